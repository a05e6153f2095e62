"""The second pass of sharding: a few shards at a time, read from all spills, sorted and written."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentneuron.core.data.pool import Pool
from sentneuron.core.data.shard_file import SCHEMA, write_shard
from sentneuron.core.data.spills import (
    NO_LABEL,
    KeyRange,
    Keys,
    first_key,
    read_spill,
    shard_bounds,
    spill_path,
)

Progress = Callable[[int, int | None], None]
Rows = npt.NDArray[np.int64]

PART_BYTES = 16 << 20
"""Text that is sorted at a time: of many small shards together, of a large one in several ranges of keys."""


class Merged(NamedTuple):
    """Some shards that were written."""

    entries: list[dict[str, Any]]
    """The manifest's; a shard without documents has no file and none."""
    num_duplicates: int


@dataclass(frozen=True)
class Merger:
    """The worker's part: everything that it needs beside the numbers of the shards."""

    spills: Path
    num_spills: int
    folder: Path
    paths: list[str]
    """The shards' files in `folder`."""
    num_parts: int
    """Of each shard; with several, shards are written one at a time."""
    dedup: bool

    def __call__(self, shards: range) -> Merged:
        """Write some shards."""
        num_duplicates = 0

        def read(wanted: KeyRange) -> list[pa.Table]:
            nonlocal num_duplicates
            tables, count = self.read(wanted)
            num_duplicates += count
            return tables

        tables: Iterable[Iterable[pa.Table]]
        if self.num_parts == 1:
            tables = ([table] for table in read(KeyRange(shards.start, shards.stop)))
        else:
            tables = ((table for wanted in self.ranges(shard) for table in read(wanted)) for shard in shards)
        entries = [self.write(shard, parts) for shard, parts in zip(shards, tables, strict=True)]
        return Merged([entry for entry in entries if entry], num_duplicates)

    def ranges(self, shard: int) -> Iterator[KeyRange]:
        """Yield the parts of one shard."""
        low, end = (first_key(number, len(self.paths)) for number in (shard, shard + 1))
        bounds = (low + part * (end - low) // self.num_parts for part in range(self.num_parts + 1))
        return (KeyRange(shard, shard + 1, low, end - 1) for low, end in pairwise(bounds))

    def write(self, shard: int, tables: Iterable[pa.Table]) -> dict[str, Any] | None:
        """Write one shard; return its entry, None where it has no document."""
        entry = write_shard(self.folder / self.paths[shard], tables)
        return entry and {"path": self.paths[shard], **entry}

    def read(self, wanted: KeyRange) -> tuple[list[pa.Table], int]:
        """Return the documents of each shard by (key, text, label), and how many duplicates were left out.

        With `dedup` one of exactly equal texts, with the smallest label. Equal texts have equal keys, and never part.
        """
        num_shards = len(self.paths)
        found = [
            read_spill(spill_path(self.spills, number), wanted, num_shards=num_shards)
            for number in range(self.num_spills)
        ]
        keys = np.concatenate([stretch.keys for stretch in found])
        texts = pa.concat_arrays([stretch.texts for stretch in found])
        labels = pa.concat_arrays([stretch.labels for stretch in found])
        rows = settle_ties(keys, np.argsort(keys), texts, labels, dedup=self.dedup)
        taken = index_array(rows)
        table = pa.Table.from_arrays([texts.take(taken), label_column(labels.take(taken))], schema=SCHEMA)
        bounds = shard_bounds(keys[rows], range(wanted.first, wanted.end), num_shards=num_shards)
        return [table.slice(start, end - start) for start, end in pairwise(bounds)], len(keys) - len(rows)


def merge_all(
    pool: Pool,
    paths: list[str],
    *,
    spills: Path,
    num_spills: int,
    num_bytes: int,
    folder: Path,
    dedup: bool,
    progress: Progress,
) -> tuple[list[dict[str, Any]], int]:
    """Write every shard that has documents; return the manifest's entries and the number of duplicates left out.

    `num_bytes` is the text in the spills, which decides how many shards are sorted together.
    """
    for name in dict.fromkeys(path.split("/")[0] for path in paths):
        (folder / name).mkdir()
    num_parts = 1 + num_bytes // len(paths) // PART_BYTES
    num_together = max(1, min(len(paths) // pool.workers, len(paths) * PART_BYTES // num_bytes))
    merger = Merger(spills, num_spills, folder, paths, num_parts, dedup)
    shards = (range(start, min(start + num_together, len(paths))) for start in range(0, len(paths), num_together))
    entries: list[dict[str, Any]] = []
    num_duplicates = num_written = 0
    progress(0, num_bytes)
    # A little is done sooner than a process starts.
    for merged in (map if num_bytes < 2 * PART_BYTES else pool.map)(merger, shards):
        entries += merged.entries
        num_duplicates += merged.num_duplicates
        num_written += sum(entry["bytes"] for entry in merged.entries)
        progress(num_written, num_bytes)
    return entries, num_duplicates


def index_array(rows: Rows) -> pa.Array:
    """Return row numbers as an array, for `take`. `pyarrow.array` would import pandas first, to look for its kinds."""
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows))])


def label_column(labels: pa.Array) -> pa.Array:
    """Return labels as strings, null for NO_LABEL."""
    _, offsets, data = labels.buffers()
    bounds = np.frombuffer(offsets, np.int32)[: len(labels) + 1]
    first_bytes = np.frombuffer(data or b"", np.uint8)
    is_missing = np.zeros(len(labels), np.bool_)
    filled = np.flatnonzero(np.diff(bounds))
    is_missing[filled] = first_bytes[bounds[filled]] == NO_LABEL[0]
    valid = pa.py_buffer(np.packbits(~is_missing, bitorder="little"))
    return pa.Array.from_buffers(pa.string(), len(labels), [valid, offsets, data], int(is_missing.sum()))


def settle_ties(keys: Keys, order: Rows, texts: pa.Array, labels: pa.Array, *, dedup: bool) -> Rows:
    """Return `order`, which sorts by key, with rows of equal keys by (text, label); with `dedup` the first of each."""
    keys = keys[order]
    is_same = keys[1:] == keys[:-1]
    places = np.flatnonzero(np.append(is_same, False) | np.append(False, is_same))
    rows = order[places]
    taken = index_array(rows)
    # NO_LABEL is greater than any label.
    values = (keys[places].tolist(), texts.take(taken).to_pylist(), labels.take(taken).to_pylist(), rows.tolist())
    tied = sorted(zip(*values, strict=True))
    order[places] = [row for *_, row in tied]
    is_kept = np.ones(len(keys), np.bool_)
    if dedup:
        is_kept[places[1:]] = [text != other for (_, text, *_), (_, other, *_) in pairwise(tied)]
    return order[is_kept]
