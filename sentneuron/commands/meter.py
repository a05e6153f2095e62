"""How fast long work goes and when it ends, in words. Prints nothing; `console` shows it."""

import time
from collections import deque
from collections.abc import Callable

RATE_SECONDS = 30.0
"""Rate and time left are those of so many last seconds."""


class Meter:
    """Progress of one piece of work: amounts done, their rate, and the time left."""

    def __init__(self, label: str, unit: str = "B", *, clock: Callable[[], float] = time.monotonic) -> None:
        self.label = label
        self.unit = unit
        self.done = 0.0
        self.total: float | None = None
        self.note = ""
        self._clock = clock
        self._shown = clock()
        self._samples: deque[tuple[float, float]] = deque()

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        """Take in the amount done so far; the first call is where a resumed run starts, not what it has done."""
        self.done, self.total, self.note = done, total, note
        now = self._clock()
        if self._samples and now - self._samples[-1][0] < 0.2:
            return
        self._samples.append((now, done))
        while now - self._samples[0][0] > RATE_SECONDS and len(self._samples) > 2:
            self._samples.popleft()

    def is_due(self, seconds: float) -> bool:
        """Say whether so many seconds have passed since this last said so."""
        now = self._clock()
        if now - self._shown < seconds:
            return False
        self._shown = now
        return True

    def rate(self) -> float:
        """Return units per second over the last half minute; 0 before anything is known."""
        if not self._samples:
            return 0.0
        start, first = self._samples[0]
        seconds = self._clock() - start
        return (self.done - first) / seconds if seconds > 0 else 0.0

    def describe(self) -> str:
        """Return `label 42%, 1.2 of 3.0 MB, 7.7 kB/s, 0:04:10 left, note`, as far as it is known."""
        head, amount = self.label, with_unit(self.done, self.unit)
        if self.total:
            head = f"{self.label} {min(self.done / self.total, 1):.0%}"
            amount = f"{amount} of {with_unit(self.total, self.unit)}"
        parts = [head, amount]
        rate = self.rate()
        if rate > 0:
            parts.append(f"{with_unit(rate, self.unit)}/s")
            if self.total and self.total > self.done:
                parts.append(f"{clock_time((self.total - self.done) / rate)} left")
        return ", ".join([*parts, self.note] if self.note else parts)


def with_unit(amount: float, unit: str) -> str:
    """Format an amount: bytes with a decimal prefix (`1.2 MB`), anything else as a count (`1,234 texts`)."""
    if unit != "B":
        return f"{amount:,.1f} {unit}" if 0 < amount < 10 and amount % 1 else f"{amount:,.0f} {unit}"
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if amount >= size:
            return f"{amount / size:.1f} {prefix}B"
    return f"{amount:.0f} B"


def clock_time(seconds: float) -> str:
    """Format a duration as `h:mm:ss`, with days in front where there are any."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{f'{days} d ' if days else ''}{hour}:{minute:02}:{second:02}"
