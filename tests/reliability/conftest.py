"""Whole commands of several processes, which are hit while they run, and what must be left afterwards."""

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import sentneuron
from sentneuron.core.training.journal import read_lines

STEPS = 160
PATIENCE = 100
"""Seconds for what is not measured, on a machine that is busy with other tests."""
MARK = "MARK_OF_A_TESTS_COMMAND"


class Command:
    """`sentneuron` with these words, in a session of its own; its processes are known by their environment."""

    def __init__(self, words: list[str], *, launcher: Sequence[str] = (), has_terminal: bool = False) -> None:
        self.save = Path(words[words.index("--save") + 1])
        self._log = self.save.with_suffix(".log.jsonl")
        self._old_log = inode_of(self._log)
        number = uuid.uuid4()
        self._mark = f"{MARK}={number}".encode()
        self._out, self._err = (self.save.parent / f"{number}.{name}" for name in ("out", "err"))
        settings = {name: value for name, value in os.environ.items() if not name.startswith("SENTNEURON_")}
        settings |= {"PYTHONPATH": str(Path(sentneuron.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
        self._terminal, inner = pty.openpty() if has_terminal else (-1, subprocess.DEVNULL)
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *launcher, "sentneuron", *words],
                stdin=inner,
                stdout=out,
                stderr=err,
                env=settings | {MARK: str(number)},
                start_new_session=True,
                preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if has_terminal else None,
            )
        if has_terminal:
            os.close(inner)

    def reach(self, step: int) -> None:
        """Return when this run's log has come to the step."""
        self.wait_until(lambda: inode_of(self._log) not in (None, self._old_log) and self.last_step >= step)

    def wait_until(self, is_reached: Callable[[], bool]) -> None:
        """Return when the claim holds, as it must before the command ends."""
        deadline = time.monotonic() + PATIENCE
        while not is_reached():
            assert self.process.poll() is None, self.err
            assert time.monotonic() < deadline, self.err
            time.sleep(0.01)

    def press_ctrl_c(self) -> None:
        os.write(self._terminal, b"\x03")

    @property
    def last_step(self) -> int:
        """The last one in the log."""
        return max((line["step"] for line in read_lines(self._log)), default=0)

    @property
    def ranks(self) -> dict[int, int]:
        """Process id by rank."""
        found = {}
        for pid, environ in self._environs().items():
            rank = next((item[5:] for item in environ if item.startswith(b"RANK=")), None)
            if rank is not None:
                found[int(rank)] = pid
        return found

    @property
    def err(self) -> str:
        return self._err.read_text()

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def errors(self) -> list[str]:
        """Lines that say that something is wrong."""
        return [line for line in self.err.splitlines() if re.search("error|Traceback", line, re.IGNORECASE)]

    @property
    def error(self) -> str:
        """The one such line, which is the last."""
        assert self.errors == self.err.splitlines()[-1:], self.err
        return self.errors[0]

    @property
    def result(self) -> dict:
        """The one JSON object on stdout."""
        return json.loads(self.out)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Return the exit code; it ends in time, and leaves no process behind."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s, {self.ranks}: {self.err}") from None
        self.assert_gone()
        return code

    def assert_gone(self, seconds: float = 5.0) -> None:
        """Wait for the end of what was killed with its launcher."""
        deadline = time.monotonic() + seconds
        while left := self._environs():
            assert time.monotonic() < deadline, left
            time.sleep(0.01)

    def close(self) -> None:
        """End all that is left."""
        for pid in self._environs():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        if self._terminal >= 0:
            os.close(self._terminal)

    def _environs(self) -> dict[int, list[bytes]]:
        """What each of its processes was started with; nothing of those that have ended."""
        found = {}
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                environ = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if self._mark in environ:
                found[int(path.parent.name)] = environ
        return found


class Forks:
    """Starts one command in forks of one process; see forking_command.py."""

    def __init__(self, command: str, folder: Path) -> None:
        self.log = folder / f"{command}.log"
        settings = {name: value for name, value in os.environ.items() if not name.startswith("SENTNEURON_")}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forking_command.py")), command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**settings, "PYTHONPATH": str(Path(sentneuron.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        )

    def start(self, *arguments: str) -> int:
        """Return the process id, which is that of a session of its own."""
        self._process.stdin.write(json.dumps([str(self.log), *arguments]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self) -> int:
        """Return the exit status of the process started last."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=30)


@pytest.fixture(scope="session")
def forks(tmp_path_factory):
    """Give a process that runs a command in forks of itself."""
    made: dict[str, Forks] = {}

    def fork(command: str) -> Forks:
        if command not in made:
            made[command] = Forks(command, tmp_path_factory.mktemp("forks"))
        return made[command]

    yield fork
    for process in made.values():
        process.close()


def inode_of(path: Path) -> int | None:
    """A run that opens its log makes a new file of it."""
    return path.stat().st_ino if path.exists() else None


@pytest.fixture(scope="session")
def make_words(shards) -> Callable[..., list[str]]:
    """The words that train a model in a folder on a batch of four streams; options are added to them."""

    def make(folder: Path, data: Path = shards, *, gpus: int = 2) -> list[str]:
        settings = (
            "--nhid 16 --emsize 8 --dropout 0.1 --lr 0.1 --batch-size 2 --seq-length 16 --save-every 25 --eval-every 80"
            f" --log-interval 1 --max-steps {STEPS} --device cpu --gpus {gpus}"
        )
        return ["train", str(data), "--save", str(folder / "model.pt"), *settings.split()]

    return make


@pytest.fixture
def start():
    """Start commands, all of whose processes end with the test."""
    started: list[Command] = []

    def start(words: list[str], *options: str, **how: Any) -> Command:
        started.append(Command([*words, *options], **how))
        return started[-1]

    yield start
    for command in started:
        command.close()


@pytest.fixture
def soon() -> float:
    """Seconds for an end at once: five are promised, the rest is for a machine that runs other tests, too."""
    return 5.0 + 7.0


@pytest.fixture(scope="session")
def whole(make_words, tmp_path_factory) -> Path:
    """The model of a run that nobody disturbed, one for all workers."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "whole"
    with open(shared / "whole.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            own = tmp_path_factory.mktemp("whole")
            command = Command([*make_words(own), "--json"])
            try:
                assert command.wait() == 0, command.err
            finally:
                command.close()
            assert command.result["steps"] == STEPS
            own.rename(folder)
    return folder / "model.pt"


@pytest.fixture
def assert_as_whole(whole, assert_same_run):
    """Hold a model and its companions against the undisturbed run's, to the bit."""
    return partial(assert_same_run, whole)
