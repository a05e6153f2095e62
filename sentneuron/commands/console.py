"""All that is shown: lines, tables and progress on stderr, results as JSON on stdout.

Text from users never passes through Rich's markup, and what steers in it is replaced. Rich leaves colour out
where NO_COLOR is set or stderr is no terminal. It costs a tenth of a second to import, so `--help` must not come here.
"""

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from sentneuron.commands.meter import Meter
from sentneuron.core.printable import printable

LINE_SECONDS = 5.0
"""Time between two lines of progress where stderr is no terminal."""


class Update(Protocol):
    """Report progress: `done` of `total` units since the start, and a short `note` shown beside it."""

    def __call__(self, done: float, total: float | None = None, note: str = "") -> None: ...


class Console:
    """One command's voice; also shows what `core` logs: warnings always, the rest with `verbose`."""

    def __init__(self, quiet: bool = False, verbose: bool = False, json: bool = False) -> None:
        self.quiet = quiet
        self.json = json
        self._rich = RichConsole(stderr=True, highlight=False, markup=False, emoji=False)
        if not self._rich.is_terminal:
            self._rich.width = 120  # Rich assumes 80 in a log file and folds paths
        logger = logging.getLogger("sentneuron")
        logger.handlers = [_LogHandler(self)]
        logger.setLevel(logging.INFO if verbose else logging.WARNING)

    def mute(self) -> None:
        """Show nothing from here on but what only an error says; for the processes that are not the first of many."""
        self.quiet, self.json = True, False
        logging.getLogger("sentneuron").setLevel(logging.ERROR)

    def say(self, text: str) -> None:
        """Print a line, unless quiet."""
        if not self.quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """Print a line that `quiet` does not silence."""
        self._print(text, prefix="warning: ", style="yellow")

    def error(self, message: str, *, hint: str = "") -> None:
        """Print `error: message; hint` on one line, and with `json` both as an object on stdout."""
        message, hint = " ".join(message.split()), " ".join(hint.split())
        self._print(f"{message}; {hint}" if hint else message, prefix="error: ", style="bold red")
        self.result({"error": message, "hint": hint})

    def table(self, title: str, rows: Sequence[Sequence[object]], columns: Sequence[str] = ()) -> None:
        """Print rows below a title, with a header where `columns` are named, unless quiet."""
        if self.quiet:
            return
        self._print(title)
        if rows:
            self._rich.print(_table(rows, columns))

    def sheet(self, title: str, rows: Sequence[Sequence[object]], columns: Sequence[str] = ()) -> None:
        """Print a table on stdout, quiet or not: it is what the command was asked for."""
        out = RichConsole(highlight=False, markup=False, emoji=False)
        if title:
            out.print(Text(printable(title)), soft_wrap=True)
        out.print(_table(rows, columns))

    def result(self, values: dict[str, Any]) -> None:
        """Print `values` as one JSON object on stdout where `--json` was given; NaN and infinities become null."""
        if self.json:
            print(json.dumps(_plain(values), allow_nan=False), flush=True)

    @contextmanager
    def progress(self, label: str, unit: str = "B") -> Iterator[Update]:
        """Show how far long work is: a bar on a terminal, a line every few seconds elsewhere, nothing when quiet."""
        meter = Meter(label, unit)
        if self.quiet:
            yield meter.update
        elif self._rich.is_interactive:
            with Progress(
                BarColumn(bar_width=24), TextColumn("{task.description}", markup=False), console=self._rich
            ) as bar:
                task = bar.add_task(label, total=None)

                def show(done: float, total: float | None = None, note: str = "") -> None:
                    meter.update(done, total, note)
                    if meter.is_due(0.1):
                        bar.update(task, completed=done, total=total, description=meter.describe())

                yield show
                bar.update(task, completed=meter.done, total=meter.total or meter.done, description=meter.describe())
        else:

            def show_line(done: float, total: float | None = None, note: str = "") -> None:
                meter.update(done, total, note)
                if meter.is_due(LINE_SECONDS):
                    self._print(meter.describe())

            yield show_line

    def _print(self, text: str, *, prefix: str = "", style: str = "") -> None:
        self._rich.print(Text(prefix, style=style).append(printable(text), style="default"), soft_wrap=True)


def _table(rows: Sequence[Sequence[object]], columns: Sequence[str]) -> Table:
    """Lay out rows, with a header where `columns` are named; what is long is folded."""
    table = Table(box=None, show_header=bool(columns), pad_edge=False)
    for name in columns or [""] * max(map(len, rows), default=0):
        table.add_column(Text(printable(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    return table


class _LogHandler(logging.Handler):
    """Pass `core`'s log records on to the console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        show = self._console.warn if record.levelno >= logging.WARNING else self._console.say
        show(record.getMessage())


def _plain(value: Any) -> Any:
    """Return what JSON can hold: paths as text, numpy numbers as numbers, infinities and NaN as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return _plain(value.item()) if hasattr(value, "item") else str(value)
