"""Parts of a long suite, each in a process of its own and for a limited time, its figures kept as they come."""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

NOT_BUILT = "not built yet"

Row = dict[str, Any]
"""A figure: `what` it is of, and values."""


class NoGpuError(Exception):
    """There is nothing to measure on."""


class NotBuiltError(Exception):
    """A part of the program that does not exist yet, or a package that is not installed here."""


@dataclass(frozen=True)
class Part:
    """A piece of the suite: yields a row a figure, and raises where something is wrong."""

    name: str
    rows: Callable[[], Iterator[Row]]
    seconds: float
    """Most time it may take."""


@dataclass
class Outcome:
    """What became of a part."""

    name: str
    status: str = "passed"
    """passed, failed, out of time, not built yet, or no GPU."""
    message: str = ""
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)


def run_part(part: Part, *, seconds: float, show: Callable[[str, Row], None]) -> Outcome:
    """Run a part in a process of its own, for at most `seconds`."""
    outcome = Outcome(part.name)
    if seconds <= 0:
        outcome.status, outcome.message = "out of time", "not started"
        return outcome
    # A fork has torch imported already; no one touches CUDA before it, so that the child may.
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(part, sender), daemon=True)
    start = time.monotonic()
    process.start()
    sender.close()
    outcome.status, outcome.message = "failed", "the process ended without a word"
    while (left := start + seconds - time.monotonic()) > 0:
        if not receiver.poll(left):
            continue
        try:
            kind, content = receiver.recv()
        except EOFError:
            break
        if kind == "row":
            outcome.rows.append(content)
            show(part.name, content)
        else:
            outcome.status, outcome.message = kind, content
            break
    else:
        outcome.status, outcome.message = "out of time", f"stopped after {seconds:.0f} s"
        process.kill()
    process.join(10)
    if process.is_alive():
        process.kill()
        process.join(10)
    if process.exitcode and outcome.message == "the process ended without a word":
        outcome.message += f", exit code {process.exitcode}"
    outcome.seconds = time.monotonic() - start
    return outcome


def _work(part: Part, sender: Connection) -> None:
    """In the child: send the part's rows, and how it ended."""
    try:
        for row in part.rows():
            sender.send(("row", row))
        sender.send(("passed", ""))
    except NoGpuError as error:
        sender.send(("no GPU", str(error)))
    except NotBuiltError as error:
        sender.send((NOT_BUILT, str(error)))
    except Exception as error:  # whatever it is, the parts after this one run
        traceback.print_exc()
        sender.send(("failed", f"{type(error).__name__}: {error}"[:2000]))
