"""The global batch, and each rank's share of it: some streams, in passes of equal size."""

from dataclasses import dataclass

from sentneuron.core.data.stream import rank_streams
from sentneuron.core.errors import UsageError


@dataclass(frozen=True)
class Batch:
    """The streams of a rank, cut into passes."""

    num_streams: int
    """Streams of all ranks together."""
    streams: range
    """This rank's."""
    pass_size: int
    """Streams of one pass."""

    @property
    def num_passes(self) -> int:
        """Passes a step."""
        return len(self.streams) // self.pass_size

    @property
    def passes(self) -> list[slice]:
        """Each pass's places among the rank's streams."""
        starts = range(0, len(self.streams), self.pass_size)
        return [slice(start, start + self.pass_size) for start in starts]


def share_batch(num_streams: int, *, rank: int, num_ranks: int, batch_size: int) -> Batch:
    """Share streams equally: rank r has the r-th part, in as few passes of at most `batch_size` streams as divide it.

    Raises:
        UsageError: they cannot be shared equally.
    """
    if num_streams % num_ranks:
        raise UsageError(
            f"{num_ranks} processes cannot share the run's global batch of {num_streams} streams equally",
            hint=f"use a number of GPUs that divides {num_streams}",
        )
    streams = rank_streams(num_streams, rank=rank, num_ranks=num_ranks)
    count = num_streams // num_ranks  # len(streams) would overflow before the error that is due
    num_passes = next(number for number in range(-(-count // batch_size), count + 1) if count % number == 0)
    return Batch(num_streams, streams, count // num_passes)
