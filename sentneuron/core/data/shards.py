"""Read a shard folder lazily: sizes are checked when it is opened, a file's sha256 when it is first read.

A shard keeps no file open between two reads: a corpus has more shards than a process may have open files, and opening
costs far less than decoding a row group. Reading is safe from several threads.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sentneuron.core.data.manifest import SPLITS, read_manifest
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError

AGAIN = "run 'sentneuron shard' again"


class Shard:
    """One Parquet file of clean texts, known from the manifest until it is read."""

    def __init__(self, folder: Path, entry: dict[str, Any]) -> None:
        self.path: Path = folder / entry["path"]
        self.num_bytes: int = entry["bytes"]
        self.num_documents: int = entry["documents"]
        self.row_group_bytes: list[int] = entry["row_group_bytes"]
        self.sha256: str = entry["sha256"]
        self._is_verified = False

    def read_row_group(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a row group's text as one uint8 array (read-only), and the int64 start of each document inside it.

        Raises:
            DataError: the file is not the one in the manifest, or the row group cannot be decoded; names both.
        """
        self.verify()
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                column = file.read_row_group(index, columns=["text"], use_threads=False).column(0)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"shard {self.path}: row group {index} cannot be read: {error}", hint=AGAIN) from error
        text, starts = concatenated(column)
        if len(text) != self.row_group_bytes[index]:
            raise DataError(f"shard {self.path}: row group {index} is not as long as the manifest says", hint=AGAIN)
        return text, starts

    def verify(self) -> None:
        """Compare the file with the manifest's sha256, once.

        Raises:
            DataError: it is gone or another one.
        """
        if self._is_verified:
            return
        try:
            with open(self.path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"shard {self.path} cannot be read: {error.strerror}", hint=AGAIN) from error
        if found != self.sha256:
            raise DataError(f"shard {self.path} is damaged: its checksum is not the manifest's", hint=AGAIN)
        self._is_verified = True


class ShardSet:
    """A shard folder: its manifest, its text rule, its shards by split."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._shards: dict[str, list[Shard]] = {name: [] for name in SPLITS}
        for entry in manifest["files"]:
            self._shards[entry["path"].split("/")[0]].append(Shard(folder, entry))

    def split(self, name: str) -> list[Shard]:
        """Return the shards of `train`, `valid` or `test`, in order of their names; none of them is empty."""
        return self._shards[name]

    @cached_property
    def rule(self) -> TextRule:
        """The rule that made the texts clean."""
        return TextRule.from_dict(self.manifest["text"])

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of what a model is trained on: the names and checksums of all shards, and the text rule."""
        files = [[entry["path"], entry["sha256"]] for entry in self.manifest["files"]]
        return hashlib.sha256(json.dumps([files, self.manifest["text"]], sort_keys=True).encode()).hexdigest()


def open_shards(folder: Path) -> ShardSet:
    """Open a folder made by `write_shards`, and check that its files are those of the manifest, by name and size.

    Raises:
        InputNotFoundError: there is no such folder.
        DataError: not a shard folder, a damaged manifest, or a shard that is missing, foreign or of another size.
    """
    manifest = read_manifest(folder)
    expected = {folder / entry["path"]: entry["file_bytes"] for entry in manifest["files"]}
    for path, num_bytes in expected.items():
        if not path.is_file():
            raise DataError(f"shard {path} is missing", hint=AGAIN)
        if path.stat().st_size != num_bytes:
            raise DataError(f"shard {path} has {path.stat().st_size:,} bytes, not {num_bytes:,}", hint=AGAIN)
    for split in SPLITS:
        for path in sorted((folder / split).glob("*")):
            if path not in expected:
                raise DataError(f"{path} is not in the folder's manifest", hint=f"move it elsewhere, or {AGAIN}")
    return ShardSet(folder, manifest)


def concatenated(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Join a binary column's values, and return where each starts; one chunk, the usual case, is not copied."""
    texts, starts, position = [], [], 0
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
        texts.append(np.frombuffer(data, np.uint8)[ends[0] : ends[-1]])
        starts.append(ends[:-1] - ends[0] + position)
        position += len(texts[-1])
    return (texts[0], starts[0]) if len(texts) == 1 else (np.concatenate(texts), np.concatenate(starts))
