"""Texts laid end to end in streams of nearly equal length, so that a batch stays full until nearly its last byte.

The longest text first, each to the stream that is shortest so far. A stream starts anew behind each of its texts; who
steps it is told where. Bytes are laid out a window at a time: memory grows with neither the longest text nor the sum.

Source: Graham 1969, "Bounds on multiprocessing timing anomalies", longest processing time first: at most 4/3 of the
shortest possible, and in practice all streams end within one short text of each other unless one text is longer than
its share.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

WINDOW = 512
"""Bytes of each stream laid out at a time."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """A stretch of all streams that still run, the longest first."""

    ids: Tensor
    """Bytes [T, B] uint8; zero behind a stream's end."""
    active: list[int]
    """Streams that have a byte at step t, T numbers that never grow: they are the first columns."""
    ended: dict[int, list[tuple[int, int]]]
    """For each step t at which texts have their last byte: these texts' places, each with its stream's column."""


def pack(lengths: Sequence[int], *, num_streams: int) -> list[list[int]]:
    """Return at most `num_streams` streams, the longest first: places in `lengths` of the texts of each, in order.

    Empty texts are in no stream.
    """
    order = sorted((place for place, length in enumerate(lengths) if length), key=lambda place: -lengths[place])
    streams: list[list[int]] = [[] for _ in range(min(num_streams, len(order)))]
    shortest = [(0, number) for number in range(len(streams))]
    for place in order:
        length, number = shortest[0]
        streams[number].append(place)
        heapq.heapreplace(shortest, (length + lengths[place], number))
    totals = {number: length for length, number in shortest}
    return [streams[number] for number in sorted(totals, key=lambda number: (-totals[number], number))]


def windows(texts: Sequence[bytes], streams: Sequence[Sequence[int]]) -> Iterator[Window]:
    """Yield the streams' bytes, WINDOW steps at a time; `streams` as `pack` returns them."""
    totals = np.array([sum(len(texts[place]) for place in stream) for stream in streams], np.int64)
    assert (np.diff(totals) <= 0).all(), "streams are not sorted by length"
    next_text, offsets = [0] * len(streams), [0] * len(streams)
    longest = int(totals.max(initial=0))
    for start in range(0, longest, WINDOW):
        size = min(WINDOW, longest - start)
        active = len(streams) - np.searchsorted(totals[::-1], np.arange(start, start + size), side="right")
        ids = np.zeros((size, active[0]), np.uint8)
        ended: dict[int, list[tuple[int, int]]] = {}
        for slot in range(active[0]):
            filled = 0
            while filled < size and next_text[slot] < len(streams[slot]):
                place = streams[slot][next_text[slot]]
                count = min(size - filled, len(texts[place]) - offsets[slot])
                ids[filled : filled + count, slot] = np.frombuffer(texts[place], np.uint8, count, offsets[slot])
                filled += count
                offsets[slot] += count
                if offsets[slot] == len(texts[place]):
                    ended.setdefault(filled - 1, []).append((place, slot))
                    next_text[slot] += 1
                    offsets[slot] = 0
        yield Window(ids=torch.from_numpy(ids), active=active.tolist(), ended=ended)
