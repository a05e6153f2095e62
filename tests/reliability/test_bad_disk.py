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


@pytest.fixture
def transfer_words(commands, tmp_path) -> list[str]:
    """The words of a transfer to labelled texts into the folder `out` of the disk; model and data lie elsewhere."""
    import torch

    from sentneuron.core.config import ModelConfig
    from sentneuron.core.data.text import TextRule
    from sentneuron.core.model.checkpoint import SavedModel, save_model
    from sentneuron.core.model.language_model import LanguageModel

    torch.manual_seed(1)
    model = LanguageModel(ModelConfig(nhid=32, emsize=8))
    save_model(tmp_path / "lm.pt", SavedModel(kind="language-model", model=model, rule=TextRule()))
    rows = [f"{number % 2},{('dull', 'lovely')[number % 2]} film number {number}" for number in range(200)]
    (tmp_path / "labelled.csv").write_text("label,text\n" + "\n".join(rows) + "\n")
    out = ["-o", str(commands.disk / "out"), "--device", "cpu"]
    return ["transfer", str(tmp_path / "lm.pt"), "--data", str(tmp_path / "labelled.csv"), *out]


def test_a_full_disk_costs_a_transfer_nothing_that_was_there(commands, transfer_words):
    if not can_mount(commands.disk):
        pytest.skip("no mounts here")
    first, full, failed, _, again = commands(
        [
            {"words": transfer_words},
            {"fill": str(commands.disk / "filler"), "leave": 0},
            {"words": [*transfer_words, "--pooling", "mean"]},
            {"remove": str(commands.disk / "filler")},
            {"words": [*transfer_words, "--pooling", "mean"]},
        ],
        size="16m",
    )
    assert first["code"] == 0, first["err"]
    assert {"out/classifier.pt", "out/results.json", "out/features_train.npz"} <= set(first["files"])
    assert_refused(failed, full, code=74, words="No space left on device")
    assert again["code"] == 0, again["err"]
    assert again["files"]["out/results.json"] != first["files"]["out/results.json"]


def test_a_disk_that_fills_during_a_transfer_leaves_whole_files(commands, transfer_words):
    if not can_mount(commands.disk):
        pytest.skip("no mounts here")
    first, _, failed, _, again = commands(
        [
            {"words": transfer_words},
            {"fill": str(commands.disk / "filler"), "leave": 40_000},
            {"words": [*transfer_words, "--pooling", "mean"]},
            {"remove": str(commands.disk / "filler")},
            {"words": [*transfer_words, "--pooling", "mean"]},
        ],
        size="16m",
    )
    assert failed["code"] == 74, failed["err"]
    (error,) = [line for line in failed["err"].splitlines() if line.startswith("error: ")]
    assert "No space left on device" in error
    del failed["files"]["filler"]
    assert failed["files"].keys() == first["files"].keys()
    assert failed["files"] != first["files"]
    fresh = again["files"]
    for name, found in failed["files"].items():
        assert found in (first["files"][name], fresh.get(name)), (
            f"{name} is neither what it was nor what it should become"
        )


def test_a_bound_on_the_size_of_files_costs_nothing_that_was_there(commands, shards):
    disk = commands.disk
    first, limited, failed = commands(
        [train(shards, disk, "--max-steps", "8"), {"limit": 20_000}, train(shards, disk, *longer(disk))]
    )
    assert first["code"] == 0, first["err"]
    assert_refused(failed, limited, code=74, words="File too large")


def test_a_disk_that_is_read_only_is_said_before_work_starts(commands, shards, transfer_words, tmp_path):
    if not can_mount(commands.disk):
        pytest.skip("no mounts here")
    disk = commands.disk
    (tmp_path / "data.csv").write_text("text\ngood\n")
    classify = ["classify", str(tmp_path / "data.csv"), "-o", str(disk / "out.csv"), "--device", "cpu"]
    shard = ["shard", str(tmp_path / "data.csv"), "-o", str(disk / "out.shards")]
    results = commands(
        [
            train(shards, disk, "--max-steps", "8"),
            {"words": classify},
            {"words": shard},
            {"words": transfer_words},
            {"words": [*transfer_words, "-o", str(disk)]},
        ],
        size="1m",
        mode="ro",
    )
    for result in results:
        assert "features" not in result["err"]
        assert_refused(result, {"files": {}}, code=73, words="Read-only file system")
