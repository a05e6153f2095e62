"""Documents on their way to a shard: spilled by bucket while the input streams by, read back a bucket at a time.

A document's key decides its shard (key mod shards) and its bucket inside the shard (the key's leading bits), so the
buckets of a shard, each sorted by itself, follow one another in the shard's final order. There are at least a thousand
buckets, whatever the number of shards: memory is `BUFFER_BYTES` while writing, a thousandth of the text while reading.
"""

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path

BUFFER_BYTES = 64 << 20
"""Text held before it is appended to the spill files; 1,000 files opened and closed each time cost some 20 ms."""
MIN_BUCKETS = 1000
HEADER = struct.Struct(">QIi")
"""Key, bytes of text, bytes of label (-1: none)."""


def document_key(text: bytes, *, seed: int) -> int:
    """Return the number, 0 to 2^64 - 1, that decides shard and order of a clean text."""
    return int.from_bytes(hashlib.sha256(b"%d\n" % seed + text).digest()[:8], "big")


class Spills:
    """The spill files of one run, in a folder of their own.

    `num_bytes` and `num_documents` count the texts added, `num_duplicates` those that `documents` left out.
    """

    def __init__(self, folder: Path, *, num_shards: int, seed: int, dedup: bool) -> None:
        """Make `folder`; with `dedup`, `documents` yields one of exactly equal texts."""
        self.folder = folder
        self.num_shards = num_shards
        self.seed = seed
        self.dedup = dedup
        self.num_duplicates = 0
        self.num_bytes = 0
        self.num_documents = 0
        self._buckets_per_shard = -(-MIN_BUCKETS // num_shards)
        self._buffers: dict[int, bytearray] = {}
        self._num_buffered = 0
        folder.mkdir()

    def add(self, text: bytes, label: str | None) -> None:
        """Put a clean text and its label into the bucket of its key."""
        key = document_key(text, seed=self.seed)
        bucket = key % self.num_shards * self._buckets_per_shard + (key * self._buckets_per_shard >> 64)
        encoded = b"" if label is None else label.encode()
        record = HEADER.pack(key, len(text), -1 if label is None else len(encoded)) + text + encoded
        self._buffers.setdefault(bucket, bytearray()).extend(record)
        self.num_bytes += len(text)
        self.num_documents += 1
        self._num_buffered += len(record)
        if self._num_buffered >= BUFFER_BYTES:
            self._flush()

    def documents(self, shard: int) -> Iterator[tuple[bytes, str | None]]:
        """Yield the shard's texts with their labels by (key, text, label), no label last; uses up the bucket.

        Equal texts have equal keys, hence one bucket, where they are neighbours; the first has the smallest label.
        """
        first = shard * self._buckets_per_shard
        for bucket in range(first, first + self._buckets_per_shard):
            previous = None
            for _, text, is_unlabelled, label in sorted(read_records(self._take(bucket))):
                if self.dedup and text == previous:
                    self.num_duplicates += 1
                    continue
                previous = text
                yield text, None if is_unlabelled else label

    def _flush(self) -> None:
        for bucket, buffer in self._buffers.items():
            with open(self._path(bucket), "ab") as file:
                file.write(buffer)
        self._buffers.clear()
        self._num_buffered = 0

    def _take(self, bucket: int) -> bytes:
        """Return a bucket's records, from its file and from memory, and drop them there."""
        data = bytes(self._buffers.pop(bucket, b""))
        path = self._path(bucket)
        if path.exists():
            data = path.read_bytes() + data
            path.unlink()
        return data

    def _path(self, bucket: int) -> Path:
        return self.folder / f"{bucket:06d}"


def read_records(data: bytes) -> Iterator[tuple[int, bytes, bool, str]]:
    """Yield (key, text, has no label, label) of each record in a spill file's bytes."""
    position = 0
    while position < len(data):
        key, text_length, label_length = HEADER.unpack_from(data, position)
        position += HEADER.size
        text = data[position : position + text_length]
        position += text_length
        label = data[position : position + max(label_length, 0)].decode()
        position += max(label_length, 0)
        yield key, text, label_length < 0, label
