"""An epoch as windows: what stream s sees at step k is a pure function of (epoch, k, s) and of the shards.

An epoch is the shards in a seeded order, one sequence of N bytes. With S streams and windows of T bytes there are (N -
1) // (S T) steps; stream s owns one stretch of steps * T bytes, and each byte of it is predicted once. The tail,
shorter than one batch and one byte, is left out and reported. There is no loader state: `window` seeks by bisection
over the row groups, and each stream keeps the one row group that it is in.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sentneuron.core.config import PersistState
from sentneuron.core.data.shards import Shard
from sentneuron.core.errors import DataError

ByteArray = npt.NDArray[np.uint8]


class Window(NamedTuple):
    """One step's data, all [S, T]."""

    ids: ByteArray
    """The bytes read."""
    targets: ByteArray
    """The byte that follows each."""
    resets: npt.NDArray[np.bool_] | None
    """True where the hidden state is zeroed before the byte; None where it is nowhere."""


@dataclass(frozen=True)
class _RowGroup:
    """A decoded row group, and where it lies in the epoch."""

    start: int
    data: ByteArray
    resets: npt.NDArray[np.int64]
    """Positions inside it where the hidden state is reset."""


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
    ) -> None:
        """Lay out the epoch; reads nothing.

        Raises:
            DataError: the shards hold less than one batch.
        """
        self.num_streams = num_streams
        self.seq_length = seq_length
        self.persist_state = persist_state
        ordered = [shards[index] for index in epoch_order(len(shards), seed=seed, epoch=epoch)]
        self._groups = [(shard, group) for shard in ordered for group in range(len(shard.row_group_bytes))]
        lengths = [num_bytes for shard in ordered for num_bytes in shard.row_group_bytes]
        self._starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        self.num_bytes = int(self._starts[-1])
        batch = num_streams * seq_length
        self.num_steps = max(0, self.num_bytes - 1) // batch
        if self.num_steps == 0:
            raise DataError(
                f"{self.num_bytes} bytes of text are less than one batch of {num_streams} streams x {seq_length} bytes",
                hint="use a smaller --batch-size or --seq-length, or more text",
            )
        self.tail_bytes = self.num_bytes - self.num_steps * batch
        self._stream_length = self.num_steps * seq_length
        self._cache: list[_RowGroup | None] = [None] * num_streams

    def window(self, step: int) -> Window:
        """Return step `step` of the epoch, 0 <= step < num_steps.

        Raises:
            DataError: a shard is damaged.
        """
        length = self.seq_length
        data = np.empty((self.num_streams, length + 1), np.uint8)
        resets = np.zeros((self.num_streams, length + 1), np.bool_)
        for stream in range(self.num_streams):
            self._read(stream, stream * self._stream_length + step * length, data[stream], resets[stream])
        resets = resets[:, :length]
        return Window(data[:, :length], data[:, 1:], resets if resets.any() else None)

    def _read(self, stream: int, position: int, data: ByteArray, resets: npt.NDArray[np.bool_]) -> None:
        """Fill one stream's bytes and resets from `position` of the epoch on."""
        done = 0
        while done < len(data):
            group = self._cache[stream]
            if group is None or not group.start <= position + done < group.start + len(group.data):
                group = self._cache[stream] = self._load(position + done)
            offset = position + done - group.start
            count = min(len(data) - done, len(group.data) - offset)
            data[done : done + count] = group.data[offset : offset + count]
            first, last = np.searchsorted(group.resets, [offset, offset + count])
            resets[done + group.resets[first:last] - offset] = True
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
