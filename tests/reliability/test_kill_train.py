"""R1: `train` killed with SIGKILL at any point goes on to the same bits, and every file in sight is whole at all times.

Half of the kills hit it while it saves.

SENTNEURON_KILLS=200 pytest -n 0 -s tests/reliability/test_kill_train.py   kills more often, and says where.
"""

import math
import os
import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.training.resume import load_run, resume_path

KILLS = int(os.environ.get("SENTNEURON_KILLS", "9"))
KILLS_A_RUN = 3
BETWEEN = "between saves"
WORDS = (
    "--nhid 16 --emsize 8 --dropout 0.1 --lr 0.1 --batch-size 4 --seq-length 16 --max-steps 60 --save-every 4 "
    "--eval-every 20 --log-interval 3 --device cpu"
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")]


def saving(folder: Path) -> str | None:
    """Name of the file that is being written."""
    for entry in os.scandir(folder):
        if entry.name.endswith(".tmp"):
            return entry.name.removeprefix(".").rsplit(".", 2)[0]
    return None


def has_ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def wait_for_save(pid: int, folder: Path, *, number: int) -> None:
    """Return while the `number`-th file from now on is being written, or when the run has ended."""
    seen, last = 0, None
    while not has_ended(pid):
        now = saving(folder)
        if now is not None and last is None:
            seen += 1
            if seen == number:
                return
        last = now


def assert_whole(save: Path) -> None:
    """Whatever lies there under its own name can be read."""
    if save.exists():
        load_model(save)
    if resume_path(save).exists():
        load_run(resume_path(save))


def during_saves(killed: Counter[str]) -> int:
    return killed.total() - killed[BETWEEN]


def test_a_run_killed_at_any_point_ends_as_if_nothing_had_happened(forks, shards, tmp_path, assert_same_run):
    runs = forks("train")
    draw = random.Random(0)

    def words(folder: Path) -> list[str]:
        return [str(shards), "--save", str(folder / "model.pt"), *WORDS.split()]

    whole = tmp_path / "whole"
    seconds = math.inf
    for _ in range(2):  # the first one is slower
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir()
        started = time.monotonic()
        runs.start(*words(whole))
        assert runs.wait() == 0, runs.log.read_text()
        seconds = min(seconds, time.monotonic() - started)

    killed: Counter[str] = Counter()
    trial = 0
    while killed.total() < KILLS or 2 * during_saves(killed) < KILLS:
        folder = tmp_path / str(trial)
        folder.mkdir()
        for _ in range(KILLS_A_RUN):
            pid = runs.start(*words(folder))
            if 2 * during_saves(killed) <= killed.total():
                wait_for_save(pid, folder, number=draw.randint(1, 9))
            else:
                time.sleep(draw.uniform(0.1, 0.6) * seconds)
            os.kill(pid, signal.SIGKILL)
            if runs.wait() == 0:
                continue  # it was faster
            killed[f"writing {saving(folder)}" if saving(folder) else BETWEEN] += 1
            assert_whole(folder / "model.pt")
        runs.start(*words(folder))
        assert runs.wait() == 0, runs.log.read_text()
        assert_same_run(whole / "model.pt", folder / "model.pt")
        assert {path.name for path in folder.iterdir()} == {"model.pt", "model.resume.pt", "model.log.jsonl"}
        trial += 1

    print(f"killed {killed.total()} times in {trial} runs: {dict(killed)}")
    assert killed[BETWEEN]
