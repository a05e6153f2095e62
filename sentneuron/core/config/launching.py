"""Processes that do one piece of work together."""

from dataclasses import dataclass

from sentneuron.core.errors import UsageError
from sentneuron.core.values import require_positive


@dataclass(frozen=True, kw_only=True)
class LaunchConfig:
    """On which machines and devices processes are started; the default is this process alone."""

    gpus: str | None = None
    """How many GPUs of this machine (8), all, or which (6,7); None: this process works alone, or joins those that
    something else started. CPU processes with --device cpu."""
    nnodes: str = "1"
    """Machines: a number, or MIN:MAX."""
    node_rank: int | None = None
    """This machine's number among them, 0 to nnodes - 1; None: the rendezvous gives it."""
    rdzv_endpoint: str | None = None
    """HOST:PORT that all machines reach, one of which is HOST."""
    rdzv_id: str | None = None
    """Name of the job, the same on all machines."""
    max_restarts: int = 0
    """How often processes are started again after one was lost."""
    rank_timeout: float = 120.0
    """Seconds that a process waits for the others before it gives up."""

    def __post_init__(self) -> None:
        require_positive(rank_timeout=self.rank_timeout)
        if self.max_restarts < 0:
            raise UsageError(f"--max-restarts is {self.max_restarts}", hint="give a number, 0 or more")
        if self.node_rank is not None and self.node_rank < 0:
            raise UsageError(f"--node-rank is {self.node_rank}", hint="count machines from 0")
