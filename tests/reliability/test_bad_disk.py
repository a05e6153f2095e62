"""R6: on a disk that is full, bounded or read-only, what was there stays, and one line says what is wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sentneuron

pytestmark = pytest.mark.slow

MOUNT = 'mount -t tmpfs -o "size=$1,$2" none "$0" && shift 2 && exec "$@"'
TRAIN = "--nhid 32 --emsize 8 --batch-size 4 --seq-length 16 --save-every 4 --log-interval 4 --device cpu"


def unshare() -> list[str]:
    """Return the words that run a command with mounts of its own."""
    return ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


def can_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    words = [*unshare(), "sh", "-c", MOUNT, str(folder), "1m", "rw", "true"]
    return subprocess.run(words, capture_output=True).returncode == 0


@pytest.fixture
def commands(tmp_path):
    """Run steps of on_a_bad_disk.py, on a disk of their own where a size is given."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def run(steps: list[dict], *, size: str | None = None, mode: str = "rw") -> list[dict]:
        words = [sys.executable, str(Path(__file__).with_name("on_a_bad_disk.py")), str(disk)]
        if size is not None:
            words = [*unshare(), "sh", "-c", MOUNT, str(disk), size, mode, *words]
        environ = {
            **os.environ,
            "PYTHONPATH": str(Path(sentneuron.__file__).parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(words, input=json.dumps(steps), capture_output=True, text=True, env=environ, timeout=200)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    run.disk = disk
    return run


def train(shards, folder, *options: str) -> dict:
    return {"words": ["train", str(shards), "--save", str(folder / "model.pt"), *TRAIN.split(), *options]}


def longer(folder) -> tuple[str, ...]:
    return "--resume", str(folder / "model.resume.pt"), "--max-steps", "40"


def assert_refused(result: dict, before: dict, *, code: int, words: str) -> None:
    """One line, the right code, and all files as they were, but for the log, which grows as a run does."""
    assert result["code"] == code, result["err"]
    (error,) = [line for line in result["err"].splitlines() if line.startswith("error: ")]
    assert words in error
    assert "Traceback" not in result["err"]
    logs = {name for name in before["files"] if name.endswith(".log.jsonl")}
    assert {name: sha for name, sha in result["files"].items() if name not in logs} == {
        name: sha for name, sha in before["files"].items() if name not in logs
    }


def test_a_disk_that_is_full_costs_nothing_that_was_there(commands, shards, tmp_path):
    if not can_mount(commands.disk):
        pytest.skip("no mounts here")
    disk = commands.disk
    (tmp_path / "data.csv").write_text("text\n" + "a film like any other and rather long\n" * 300)
    classify = ["classify", str(tmp_path / "data.csv"), "-o", str(disk / "out.csv"), "--device", "cpu"]
    generate = [
        "generate",
        "--text",
        "x",
        "-n",
        "16",
        "--gen-length",
        "600",
        "--save",
        str(disk / "out.txt"),
        "--device",
        "cpu",
    ]
    results = commands(
        [
            train(shards, disk, "--max-steps", "8"),
            {"fill": str(disk / "filler"), "leave": 5000},
            train(shards, disk, *longer(disk)),
            {"blind": True},
            train(shards, disk, *longer(disk)),
            {"words": classify},
            {"words": generate},
            {"remove": str(disk / "filler")},
            train(shards, disk, *longer(disk)),
        ],
        size="2m",
    )
    first, full, refused, _, failed, classified, generated, _, again = results
    assert first["code"] == 0, first["err"]
    assert set(first["files"]) == {"model.pt", "model.resume.pt", "model.log.jsonl"}
    assert_refused(refused, full, code=74, words="MB free, and two saves take")
    assert_refused(failed, full, code=74, words="No space left on device (0.0 MB free)")
    assert_refused(classified, full, code=74, words="out.csv: No space left on device")
    assert_refused(generated, full, code=74, words="out.txt: No space left on device")
    assert again["code"] == 0, again["err"]


def test_a_bound_on_the_size_of_files_costs_nothing_that_was_there(commands, shards):
    disk = commands.disk
    first, limited, failed = commands(
        [train(shards, disk, "--max-steps", "8"), {"limit": 20_000}, train(shards, disk, *longer(disk))]
    )
    assert first["code"] == 0, first["err"]
    assert_refused(failed, limited, code=74, words="File too large")


def test_a_disk_that_is_read_only_is_said_before_work_starts(commands, shards, tmp_path):
    if not can_mount(commands.disk):
        pytest.skip("no mounts here")
    disk = commands.disk
    (tmp_path / "data.csv").write_text("text\ngood\n")
    classify = ["classify", str(tmp_path / "data.csv"), "-o", str(disk / "out.csv"), "--device", "cpu"]
    shard = ["shard", str(tmp_path / "data.csv"), "-o", str(disk / "out.shards")]
    results = commands(
        [train(shards, disk, "--max-steps", "8"), {"words": classify}, {"words": shard}], size="1m", mode="ro"
    )
    for result in results:
        assert_refused(result, {"files": {}}, code=73, words="Read-only file system")
