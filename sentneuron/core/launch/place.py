"""Which of a run's processes this one is."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Place:
    """A process among those of a run, and where they meet."""

    rank: int
    """Number of this process, 0 to size - 1."""
    size: int
    """Processes of the run, on all machines."""
    local_rank: int
    """Number of this process on its machine."""
    local_size: int
    """Processes of the run on this machine."""
    master_addr: str
    """Host that all processes reach."""
    master_port: int
