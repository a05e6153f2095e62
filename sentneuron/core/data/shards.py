"""Read a shard folder lazily, from a disk or a bucket.

Names and sizes are checked when the folder is opened. A row group is held against the manifest's checksum each time it
is decoded, so that nothing needs to read a whole file to be sure of a part of it; `ShardSet.check` reads everything.
Reading is safe from several threads.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from sentneuron.core.data.folders import Folder
from sentneuron.core.data.manifest import SPLITS, read_manifest
from sentneuron.core.data.remote import explanation, is_outage
from sentneuron.core.data.shard_file import concatenated, row_group_checksum
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, InputNotFoundError, SentneuronError

AGAIN = "run 'sentneuron shard' again"
BLOCK_BYTES = 4 << 20

Progress = Callable[[int, int | None], None]


class Footers:
    """The footers of the shards read last.

    Parsing one costs about as much as decoding a row group (0.8 ms against 0.6, on one core, for 144 row groups), and
    from a bucket two round trips. One takes 1.8 KB a row group: 256 of them, for as many streams in as many shards, are
    64 MB where a shard holds 38 MB of text. Files on a disk are not kept open: there may be more than a process may
    have.
    """

    LIMIT = 256

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._kept: OrderedDict[str, tuple[pa.NativeFile, pq.FileMetaData]] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def open(self, name: str) -> Iterator[pq.ParquetFile]:
        """Open a shard; raises what pyarrow raises."""
        with self._lock:
            source, metadata = self._kept.get(name, (None, None))
        source = source or self._folder.open(name)
        try:
            file = pq.ParquetFile(source, metadata=metadata, page_checksum_verification=True, pre_buffer=False)
            yield file
            self._keep(name, source, file.metadata)
        finally:
            if not self._folder.is_remote:
                source.close()

    def _keep(self, name: str, source: pa.NativeFile, metadata: pq.FileMetaData) -> None:
        with self._lock:
            self._kept[name] = (source if self._folder.is_remote else None, metadata)
            self._kept.move_to_end(name)
            if len(self._kept) > self.LIMIT:
                self._kept.popitem(last=False)


class Shard:
    """One Parquet file of clean texts, known from the manifest until it is read."""

    def __init__(self, folder: Folder, entry: dict[str, Any], footers: Footers) -> None:
        self._folder = folder
        self._name: str = entry["path"]
        self._footers = footers
        self._checksums: list[str] = entry["row_group_checksums"]
        self.path: str = folder.path(self._name)
        """Path or URI."""
        self.num_bytes: int = entry["bytes"]
        self.num_documents: int = entry["documents"]
        self.row_group_bytes: list[int] = entry["row_group_bytes"]
        self.row_group_documents: list[int] = entry["row_group_documents"]
        self.file_bytes: int = entry["file_bytes"]
        self.sha256: str = entry["sha256"]

    def read_row_group(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Return a row group's text as one array (read-only), and the start of each document inside it.

        Raises:
            DataError: the file is gone, or the row group is not the one that was written; names both.
            StorageError: the disk or the bucket cannot be read.
        """
        try:
            with self._footers.open(self._name) as file:
                column = file.read_row_group(index, columns=["text"], use_threads=False)["text"]
        except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
            raise self._failure(f"row group {index} cannot be read", error) from error
        if column.type == pa.binary():
            text, starts = concatenated(column)
            if len(text) == self.row_group_bytes[index] and row_group_checksum(text, starts) == self._checksums[index]:
                return text, starts
        raise DataError(
            f"shard {self.path}: row group {index} is damaged: its checksum is not the manifest's", hint=AGAIN
        )

    def verify(self, on_block: Callable[[int], None] = lambda num_bytes: None) -> None:
        """Compare the whole file with the manifest's sha256; `on_block` gets the bytes read, piece by piece.

        Raises:
            DataError: it is gone, or another one.
            StorageError: the disk or the bucket cannot be read.
        """
        digest = hashlib.sha256()
        try:
            with self._folder.open(self._name) as file:
                while block := file.read(BLOCK_BYTES):
                    digest.update(block)
                    on_block(len(block))
        except (pa.ArrowException, OSError) as error:
            raise self._failure("it cannot be read", error) from error
        if digest.hexdigest() != self.sha256:
            raise DataError(f"shard {self.path} is damaged: its checksum is not the manifest's", hint=AGAIN)

    def _failure(self, what: str, error: Exception) -> SentneuronError:
        """Tell a missing file and a failing disk or network from damage."""
        explained = explanation(error, self.path)
        if isinstance(explained, InputNotFoundError):
            return DataError(f"shard {self.path} is missing", hint=AGAIN)
        if is_outage(error) or getattr(error, "errno", None) is not None:
            return explained
        return DataError(f"shard {self.path}: {what}: {error}", hint=AGAIN)


class ShardSet:
    """A shard folder: its manifest, its text rule, its shards by split."""

    def __init__(self, folder: Folder, manifest: dict[str, Any]) -> None:
        self.name = folder.name
        """Path or URI."""
        self.manifest = manifest
        footers = Footers(folder)
        self._shards: dict[str, list[Shard]] = {name: [] for name in SPLITS}
        for entry in manifest["files"]:
            self._shards[entry["path"].split("/")[0]].append(Shard(folder, entry, footers))

    def split(self, name: str) -> list[Shard]:
        """Return the shards of `train`, `valid` or `test`, in order of their names; none of them is empty."""
        return self._shards[name]

    def check(self, *, part: slice = slice(None), progress: Progress = lambda done, total: None) -> None:
        """Compare files with the manifest's sha256, all or a part of them; `progress` counts their bytes.

        Raises:
            DataError: a shard is damaged or gone; names it.
            StorageError: the disk or the bucket cannot be read.
        """
        shards = [shard for split in SPLITS for shard in self._shards[split]][part]
        done, total = 0, sum(shard.file_bytes for shard in shards)

        def count(num_bytes: int) -> None:
            nonlocal done
            done += num_bytes
            progress(done, total)

        progress(0, total)
        for shard in shards:
            shard.verify(count)

    @cached_property
    def rule(self) -> TextRule:
        """The rule that made the texts clean."""
        return TextRule.from_dict(self.manifest["text"])

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of what a model is trained on: the names and checksums of all shards, and the text rule."""
        files = [[entry["path"], entry["sha256"]] for entry in self.manifest["files"]]
        return hashlib.sha256(json.dumps([files, self.manifest["text"]], sort_keys=True).encode()).hexdigest()


def open_shards(name: str | Path) -> ShardSet:
    """Open a folder made by `write_shards`, by its path or URI, and hold names and sizes against its manifest.

    Raises:
        InputNotFoundError: there is no such folder.
        DataError: not a shard folder, a damaged manifest, or a shard that is missing, foreign or of another size.
        StorageError: the disk or the bucket cannot be read.
    """
    folder = Folder(name)
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    return ShardSet(folder, manifest)


def check_files(folder: Folder, manifest: dict[str, Any]) -> None:
    """Hold the names and sizes of a folder's files against its manifest.

    Raises:
        DataError: a shard is missing, foreign or of another size; names the first.
        StorageError: the folder cannot be listed.
    """
    expected: dict[str, int] = {entry["path"]: entry["file_bytes"] for entry in manifest["files"]}
    found = folder.sizes()
    for file, num_bytes in expected.items():
        if file not in found:
            raise DataError(f"shard {folder.path(file)} is missing", hint=AGAIN)
        if found[file] != num_bytes:
            raise DataError(f"shard {folder.path(file)} has {found[file]:,} bytes, not {num_bytes:,}", hint=AGAIN)
    for file in found:
        if file.startswith(tuple(f"{split}/" for split in SPLITS)) and file not in expected:
            raise DataError(
                f"{folder.path(file)} is not in the folder's manifest", hint=f"move it elsewhere, or {AGAIN}"
            )
