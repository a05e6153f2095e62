"""Stop between two steps when asked to: SIGTERM, SIGUSR1 and Ctrl-C set a flag; a second Ctrl-C ends at once."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class StopRequest:
    """Within its block, `received` holds the signal that asked to stop, or None."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def is_interrupt(self) -> bool:
        """True after Ctrl-C."""
        return self.received == signal.SIGINT

    @property
    def is_stop(self) -> bool:
        """True after another signal."""
        return self.received is not None and not self.is_interrupt

    @property
    def name(self) -> str:
        """The signal's name; a rank that was told by another one does not know it."""
        return "a signal to another rank" if self.received is None else self.received.name

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
