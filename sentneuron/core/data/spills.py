"""Documents between the two passes of sharding: one spill file a block of input, sorted by key.

A document's key decides its shard and its place inside it: of n shards, shard s holds the keys from s * 2^64 / n on. A
spill holds the numbers of its documents and bytes of text (int64), which document each shard begins with and their
number (int64), then by document the key (uint64), where its text and its label begin (int32, and the ends), all texts,
all labels. So the documents of some shards are one stretch of each. Byte order is the machine's: a spill does not
outlive its run.
"""

import os
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

NO_LABEL = b"\xff"
"""Stands for the label of a document without one; no UTF-8 has this byte."""

Keys = npt.NDArray[np.uint64]


def spill_path(folder: Path, number: int) -> Path:
    """Return the spill file of block `number`."""
    return folder / f"{number:06d}"


def document_keys(texts: Sequence[bytes], *, seed: int) -> Keys:
    """Return for each clean text the number that decides shard and order: its XXH3 of 64 bits.

    Nothing rests on it but an even deal (texts are compared before they count as equal), so that it need not be hard
    to forge; on reviews it takes a third of the time of a BLAKE2b.
    """
    digest = xxhash.xxh3_64_intdigest
    return np.array([digest(text, seed=seed) for text in texts], np.uint64)


def first_key(shard: int, num_shards: int) -> int:
    """Return the smallest key of a shard, 2^64 for the one after the last."""
    return -(-(shard << 64) // num_shards)


def shard_bounds(keys: Keys, shards: range, *, num_shards: int) -> list[int]:
    """Return the rows of sorted keys that each of `shards` begins with, and the row where the last one ends."""
    lower = [first_key(shard, num_shards) for shard in shards]
    last = np.searchsorted(keys, np.uint64(first_key(shards.stop, num_shards) - 1), side="right")
    return [*np.searchsorted(keys, np.array(lower, np.uint64)).tolist(), int(last)]


def write_spill(
    path: Path, texts: Sequence[bytes], labels: Sequence[str | None], *, num_shards: int, seed: int
) -> None:
    """Write the documents of one block."""
    keys = document_keys(texts, seed=seed)
    order = np.argsort(keys)
    keys = keys[order]
    bounds = shard_bounds(keys, range(num_shards), num_shards=num_shards)
    encoded = {label: NO_LABEL if label is None else label.encode() for label in set(labels)}
    rows = order.tolist()
    columns = [[texts[row] for row in rows], [encoded[labels[row]] for row in rows]]
    with open(path, "wb") as file:
        file.write(np.array([len(texts), sum(map(len, texts)), *bounds], np.int64).data)
        file.write(keys.data)
        for column in columns:
            file.write(np.array(list(accumulate(map(len, column), initial=0)), np.int32).data)
        for column in columns:
            file.write(b"".join(column))


class KeyRange(NamedTuple):
    """The documents of the shards `first` to below `end`; of a single shard maybe only those with some keys."""

    first: int
    end: int
    low: int = 0
    high: int = (1 << 64) - 1
    """The greatest key."""


class Stretch(NamedTuple):
    """Documents that follow one another in a spill, in columns; NO_LABEL stands for a missing label."""

    keys: Keys
    texts: pa.Array
    labels: pa.Array


def read_spill(path: Path, wanted: KeyRange, *, num_shards: int) -> Stretch:
    """Read what a spill has of a range."""
    with open(path, "rb", buffering=0) as file:
        descriptor = file.fileno()
        num_documents, num_bytes = read_numbers(descriptor, 0, 2, np.int64).tolist()
        bounds = read_numbers(descriptor, 16 + 8 * wanted.first, wanted.end - wanted.first + 1, np.int64)
        start, stop = int(bounds[0]), int(bounds[-1])
        keys_at = 16 + 8 * (num_shards + 1)
        keys = read_numbers(descriptor, keys_at + 8 * start, stop - start, np.uint64)
        if wanted.end - wanted.first == 1:
            first = int(np.searchsorted(keys, np.uint64(wanted.low)))
            last = int(np.searchsorted(keys, np.uint64(wanted.high), side="right"))
            keys, start, stop = keys[first:last], start + first, start + last
        texts_at = keys_at + 8 * num_documents
        labels_at = texts_at + 4 * (num_documents + 1)
        data_at = labels_at + 4 * (num_documents + 1)
        texts = read_strings(descriptor, texts_at + 4 * start, data_at, stop - start)
        labels = read_strings(descriptor, labels_at + 4 * start, data_at + num_bytes, stop - start)
    return Stretch(keys, texts, labels)


def read_numbers(descriptor: int, offset: int, count: int, kind: type[np.generic]) -> npt.NDArray[Any]:
    """Read `count` numbers at `offset` of an open file."""
    return np.frombuffer(os.pread(descriptor, count * np.dtype(kind).itemsize, offset), kind)


def read_strings(descriptor: int, bounds_at: int, data_at: int, count: int) -> pa.Array:
    """Read `count` strings, of which the first one's bound is at `bounds_at`, and bound 0 means `data_at`."""
    bounds = read_numbers(descriptor, bounds_at, count + 1, np.int32)
    data = os.pread(descriptor, int(bounds[-1] - bounds[0]), data_at + int(bounds[0]))
    return pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer((bounds - bounds[0]).tobytes()), pa.py_buffer(data)]
    )
