"""What several processes cannot do is said once, with the exit code that one process has, and not tried again."""

import shutil
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at /proc")]


def check(command, code, message):
    assert command.wait() == code, command.err
    assert message in command.error
    assert command.error == f"error: {command.result['error']}; {command.result['hint']}"
    assert "started again" not in command.err


def test_damaged_data(start, make_words, shards, tmp_path):
    damaged = tmp_path / "damaged.shards"
    shutil.copytree(shards, damaged)
    for shard in damaged.glob("train/*.parquet"):
        shard.write_bytes(shard.read_bytes()[:-20] + bytes(20))
    check(start(make_words(tmp_path, damaged), "--max-restarts", "2", "--json"), 65, "row group 0 cannot be read")


def test_a_run_that_diverges_on_all_ranks(start, make_words, tmp_path):
    words = [*make_words(tmp_path), "--fp16", "--loss-scale", "1e30", "--max-restarts", "2", "--json"]
    check(start(words), 65, "the run diverged: 50 steps in a row were not finite")


def test_more_processes_than_can_share_the_runs_batch(start, make_words, whole, tmp_path):
    for path in whole.parent.glob("model*"):
        shutil.copy(path, tmp_path)
    message = "3 processes cannot share the run's global batch of 4 streams equally"
    check(start(make_words(tmp_path, gpus=3), "--json"), 2, message)
