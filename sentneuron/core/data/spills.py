"""Documents between the two passes of sharding: one spill file a block of input, sorted by (shard, key).

A document's key decides its shard (key mod shards) and its place inside it. A spill holds the numbers of its documents
and bytes of text (int64), which document each shard begins with and their number (int64), then by document the key
(uint64), where its text and its label begin (int32, and the ends), all texts, all labels. So the documents of some
shards are one stretch of each. Byte order is the machine's: a spill does not outlive its run.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

NO_LABEL = b"\xff"
"""Stands for the label of a document without one; no UTF-8 has this byte."""

Keys = npt.NDArray[np.uint64]


def spill_path(folder: Path, number: int) -> Path:
    """Return the spill file of block `number`."""
    return folder / f"{number:06d}"


def document_keys(texts: Sequence[bytes], *, seed: int) -> Keys:
    """Return for each clean text the number that decides shard and order: a BLAKE2b of 8 bytes, big-endian.

    The seed is its salt. On a processor without instructions for SHA it takes half the time of a sha256.
    """
    blake2b, salt = hashlib.blake2b, seed.to_bytes(16, "big")
    digests = b"".join([blake2b(text, digest_size=8, salt=salt).digest() for text in texts])
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def write_spill(
    path: Path, texts: Sequence[bytes], labels: Sequence[str | None], *, num_shards: int, seed: int
) -> None:
    """Write the documents of one block."""
    keys = document_keys(texts, seed=seed)
    shards = keys % np.uint64(num_shards)
    order = np.lexsort((keys, shards))
    bounds = np.searchsorted(shards[order], np.arange(num_shards + 1, dtype=np.uint64))
    encoded = {label: NO_LABEL if label is None else label.encode() for label in set(labels)}
    rows = index_array(order)
    columns = [binary_array(texts).take(rows), binary_array([encoded[label] for label in labels]).take(rows)]
    buffers = [column.buffers() for column in columns]
    with open(path, "wb") as file:
        num_bytes = int(np.frombuffer(buffers[0][1], np.int32)[len(texts)])
        file.write(np.array([len(texts), num_bytes, *bounds], np.int64).data)
        file.write(keys[order].data)
        for _, offsets, _ in buffers:
            file.write(memoryview(offsets)[: 4 * (len(texts) + 1)])
        for _, _, data in buffers:
            file.write(data or b"")


def binary_array(strings: Sequence[bytes]) -> pa.Array:
    """Return strings as an array. `pyarrow.array` would import pandas first, to look whether they are of its kind."""
    bounds = np.zeros(len(strings) + 1, np.int32)
    np.cumsum([len(string) for string in strings], out=bounds[1:])
    return pa.Array.from_buffers(
        pa.binary(), len(strings), [None, pa.py_buffer(bounds), pa.py_buffer(b"".join(strings))]
    )


def index_array(rows: npt.NDArray[np.int64]) -> pa.Array:
    """Return row numbers as an array, for `take`; without pandas, as `binary_array`."""
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows))])


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
