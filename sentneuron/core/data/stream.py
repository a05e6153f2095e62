"""An epoch as windows: what stream s sees at step k is a pure function of (epoch, k, s) and of the shards.

An epoch is the shards in a seeded order, one sequence of N bytes. With S streams and windows of T bytes there are (N -
1) // (S T) steps; stream s owns one stretch of steps * T bytes, and each byte of it is predicted once. The tail,
shorter than one batch and one byte, is left out and reported.

There is no loader state: `window` takes the steps in any order and seeks by bisection over the row groups. What it
keeps only saves work: for each stream the one row group that it is in, and, where steps follow one another, the next
STAGED_BYTES of text, so that Python runs once for many windows and not for each. One thread may read the stage after
that meanwhile: it saves some percent of the time where a step takes 5 to 30 ms, and more where shards lie in a bucket.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sentneuron.core.config import PersistState
from sentneuron.core.data.shards import Shard
from sentneuron.core.errors import DataError

STAGED_BYTES = 32 << 10
"""Text copied at a time for each stream: an eighth of a row group. Half of it costs twice the Python."""

ByteArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


class Window(NamedTuple):
    """One step's data, all [S, T]; views of a larger array that nothing changes later."""

    ids: ByteArray
    """The bytes read."""
    targets: ByteArray
    """The byte that follows each."""
    resets: BoolArray | None
    """True where the hidden state is zeroed before the byte; None where it is nowhere."""


@dataclass(frozen=True)
class _RowGroup:
    """A decoded row group, and where it lies in the epoch."""

    start: int
    data: ByteArray
    resets: npt.NDArray[np.int64]
    """Positions inside it where the hidden state is reset."""


@dataclass(frozen=True)
class _Stage:
    """The bytes of the steps from `first` to before `end`, and the byte after them: all [S, (end - first) T + 1]."""

    first: int
    end: int
    data: ByteArray
    resets: BoolArray


class EpochStream:
    """The windows of one epoch."""

    def __init__(
        self,
        shards: Sequence[Shard],
        *,
        num_streams: int,
        seq_length: int,
        epoch: int = 0,
        seed: int = 0,
        persist_state: PersistState = "shard",
        streams: range | None = None,
        prefetch: bool = False,
    ) -> None:
        """Lay out the epoch for `num_streams` streams, to read `streams` of them (None: all); reads nothing yet.

        With `prefetch` one thread reads ahead while the caller works; it ends when this object goes.

        Raises:
            DataError: the shards hold less than one batch.
        """
        self.num_streams = num_streams
        self.seq_length = seq_length
        self.persist_state = persist_state
        self.streams = range(num_streams) if streams is None else streams
        ordered = [shards[index] for index in epoch_order(len(shards), seed=seed, epoch=epoch)]
        self._groups = [(shard, group) for shard in ordered for group in range(len(shard.row_group_bytes))]
        lengths = [num_bytes for shard in ordered for num_bytes in shard.row_group_bytes]
        self._starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        self.num_bytes = int(self._starts[-1])
        batch = num_streams * seq_length
        self.num_steps = max(0, self.num_bytes - 1) // batch
        if self.num_steps == 0:
            raise DataError(
                f"{self.num_bytes:,} bytes of text are less than one batch of {num_streams} streams x {seq_length} "
                f"bytes, which takes {batch + 1:,}",
                hint="use a smaller --batch-size or --seq-length, or more text",
            )
        self.tail_bytes = self.num_bytes - self.num_steps * batch
        self._stream_length = self.num_steps * seq_length
        self._cache: list[_RowGroup | None] = [None] * len(self.streams)
        self._stage: _Stage | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prefetch") if prefetch else None
        self._ahead: Future[_Stage] | None = None

    def window(self, step: int) -> Window:
        """Return step `step` of the epoch, 0 <= step < num_steps; its first dimension is `streams`.

        Raises:
            DataError: a shard is damaged.
        """
        stage = self._stage
        if stage is None or not stage.first <= step < stage.end:
            stage = self._stage = self._next_stage(step)
        start = (step - stage.first) * self.seq_length
        stop = start + self.seq_length
        resets = stage.resets[:, start:stop]
        return Window(stage.data[:, start:stop], stage.data[:, start + 1 : stop + 1], resets if resets.any() else None)

    def _next_stage(self, step: int) -> _Stage:
        """Return a stage that begins with `step`: read ahead by the thread, or now."""
        is_next = self._stage is not None and step == self._stage.end
        # A jump stages one window, so that it decodes no row group but the one each stream lands in.
        num_windows = max(1, STAGED_BYTES // self.seq_length) if is_next else 1
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            wait([ahead])  # the row groups kept are for one reader at a time
        stage = ahead.result() if ahead is not None and is_next else self._read(step, num_windows)
        if self._thread is not None and is_next and stage.end < self.num_steps:
            self._ahead = self._thread.submit(self._read, stage.end, num_windows)
        return stage

    def _read(self, first: int, num_windows: int) -> _Stage:
        """Copy the bytes and resets of some steps, as many as are left, from the row groups."""
        end = min(first + num_windows, self.num_steps)
        shape = (len(self.streams), (end - first) * self.seq_length + 1)
        stage = _Stage(first, end, np.empty(shape, np.uint8), np.zeros(shape, np.bool_))
        for row, stream in enumerate(self.streams):
            position = stream * self._stream_length + first * self.seq_length
            self._copy(row, position, stage.data[row], stage.resets[row])
        return stage

    def _copy(self, row: int, position: int, data: ByteArray, resets: BoolArray) -> None:
        """Fill one stream's bytes and resets from `position` of the epoch on."""
        done = 0
        while done < len(data):
            group = self._cache[row]
            if group is None or not group.start <= position + done < group.start + len(group.data):
                group = self._cache[row] = self._load(position + done)
            offset = position + done - group.start
            count = min(len(data) - done, len(group.data) - offset)
            data[done : done + count] = group.data[offset : offset + count]
            first, last = group.resets.searchsorted((offset, offset + count))
            resets[group.resets[first:last] + (done - offset)] = True
            done += count

    def _load(self, position: int) -> _RowGroup:
        index = int(np.searchsorted(self._starts, position, side="right")) - 1
        shard, group = self._groups[index]
        data, documents = shard.read_row_group(group)
        if self.persist_state == "document":
            resets = documents
        else:
            is_shard_start = self.persist_state == "shard" and group == 0
            resets = np.zeros(1 if is_shard_start else 0, np.int64)
        return _RowGroup(int(self._starts[index]), data, resets)


def epoch_order(num_shards: int, *, seed: int, epoch: int) -> list[int]:
    """Return the order of the shards in an epoch: by a hash, so that no library's generator is part of the contract."""
    return sorted(range(num_shards), key=lambda index: hashlib.sha256(f"{seed}/{epoch}/{index}".encode()).digest())


def rank_streams(num_streams: int, *, rank: int, num_ranks: int) -> range:
    """Return the streams s of a rank, which are those with s * num_ranks // num_streams == rank."""
    first, end = (-(-number * num_streams // num_ranks) for number in (rank, rank + 1))
    return range(first, end)
