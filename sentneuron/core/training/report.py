"""What a run tells its caller: figures on the way, and what it came to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Progress(Protocol):
    """Told after every step: bytes done, bytes in all, and the latest figures as text."""

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None: ...


def ignore_progress(done: int, total: int | None = None, note: str = "") -> None:
    """Show nothing."""


@dataclass(kw_only=True)
class TrainReport:
    """What a run came to."""

    save: Path
    """The model file."""
    steps: int
    epochs: float
    bytes: int
    """Bytes trained on, all parts of the run together."""
    tail_bytes: int
    """Bytes at the end of an epoch that fill no batch."""
    bits_per_byte: float | None
    """On the training text, over the last log interval."""
    valid_bits_per_byte: float | None
    test_bits_per_byte: float | None
    seconds: float
    was_finished: bool
    """The run had ended before; nothing was done."""
