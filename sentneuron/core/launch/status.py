"""What each process of this machine tells the launcher: its process id at once, signs of life, its code and its error.

One small file a process and attempt, in a folder that the launcher makes and names in the environment. A process that
finds none was started by something else, and nothing here does anything. Imports nothing heavy.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sentneuron.core.atomic import atomic_open
from sentneuron.core.errors import StoppedError

FOLDER = "SENTNEURON_RANKS_FOLDER"
LAUNCHER = "SENTNEURON_RANKS_LAUNCHER"
FINAL = (2, 65, 66, 73, 75, 130)
"""Exit codes that starting again cannot mend."""
PR_SET_PDEATHSIG = 1
BEAT = 1.0
"""Seconds between two signs of life of a process."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """One process in one attempt."""

    attempt: int
    """How often the processes were started again before."""
    local_rank: int
    rank: int
    pid: int
    host: str
    code: int | None = None
    """Exit code; None: it still runs, or died without a word."""
    message: str = ""
    hint: str = ""
    is_lost: bool = False
    """The error is that another process was lost."""
    seconds: float = 0.0
    """When it ended, since the epoch."""


def begin(environ: Mapping[str, str]) -> int | None:
    """Introduce this process to its launcher, and tie its life to it.

    Returns the exit code to end with at once, where an earlier attempt ended in a way that another cannot mend.
    """
    if FOLDER not in environ:
        return None
    _die_with(int(environ[LAUNCHER]))
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # training has handlers of its own; before it, end at once
    status = Status(
        attempt=int(environ["TORCHELASTIC_RESTART_COUNT"]),
        local_rank=int(environ["LOCAL_RANK"]),
        rank=int(environ["RANK"]),
        pid=os.getpid(),
        host=socket.gethostname(),
    )
    folder = Path(environ[FOLDER])
    if not folder.is_dir():  # the launcher is about to end
        return StoppedError.exit_code
    ends = [earlier for earlier in read_all(folder) if earlier.attempt < status.attempt and earlier.code in FINAL]
    if ends:
        first = min(ends, key=lambda earlier: earlier.seconds)
        status = replace(status, code=first.code, message=first.message, hint=first.hint, seconds=first.seconds)
    path = _write(folder, status)
    threading.Thread(target=_beat, args=(path,), daemon=True, name="beat").start()
    return status.code


def tell(environ: Mapping[str, str], code: int, *, message: str = "", hint: str = "", is_lost: bool = False) -> bool:
    """Write how this process ends, unless it has done so; False where no launcher reads it."""
    if FOLDER not in environ:
        return False
    folder = Path(environ[FOLDER])
    mine = next((status for status in read_all(folder) if status.pid == os.getpid()), None)
    if mine is not None and mine.code is None:
        _write(folder, replace(mine, code=code, message=message, hint=hint, is_lost=is_lost, seconds=time.time()))
    return mine is not None


def read_all(folder: Path) -> list[Status]:
    """Return what all processes of all attempts have told so far."""
    return [Status(**json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json"))]


def silence(folder: Path, status: Status) -> float:
    """Return for how many seconds a process has given no sign of life: stopped, or stuck in the system."""
    return time.time() - _path(folder, status).stat().st_mtime


def _beat(path: Path) -> None:
    """Give a sign of life again and again, in a thread of its own, until the launcher and its folder are gone."""
    with suppress(FileNotFoundError):
        while True:
            os.utime(path)
            time.sleep(BEAT)


def _path(folder: Path, status: Status) -> Path:
    return folder / f"{status.attempt}-{status.local_rank}.json"


def _write(folder: Path, status: Status) -> Path:
    path = _path(folder, status)
    with atomic_open(path) as file:
        json.dump(asdict(status), file)
    return path


def _die_with(launcher: int) -> None:
    """Have the kernel kill this process when its launcher ends, however that ends; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != launcher:  # it ended before the line above
        os.kill(os.getpid(), signal.SIGKILL)
