"""Locks between processes."""

import fcntl
import subprocess
import sys

import pytest

from sentneuron.core.errors import OutputError
from sentneuron.core.lock import file_lock, sole_writer

HOLD = """
import sys
from pathlib import Path
from sentneuron.core.lock import file_lock, sole_writer
with globals()[sys.argv[1]](Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path):
    """Hold a lock in another process, which lets go when it is killed."""
    processes = []

    def hold(kind: str, path) -> subprocess.Popen:
        command = [sys.executable, "-c", HOLD, kind, str(path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in processes:
        process.kill()
        process.communicate()


def test_a_second_writer_is_refused_until_the_first_is_gone_however_it_ended(held, tmp_path):
    output = tmp_path / "model.pt"
    process = held("sole_writer", output)
    with (
        pytest.raises(OutputError, match=r"model\.pt is being written by another run; wait until it ends"),
        sole_writer(output),
    ):
        pass
    with sole_writer(tmp_path / "other.pt"):
        pass
    process.kill()
    process.wait()
    with sole_writer(output):
        assert (tmp_path / ".model.pt.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_file_that_its_last_holder_has_just_removed_does_not_count(tmp_path, monkeypatch):
    path = tmp_path / ".model.pt.lock"
    real, calls = fcntl.flock, []

    def flock(descriptor, operation):
        if not calls:
            path.unlink()
        calls.append(operation)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with sole_writer(tmp_path / "model.pt"):
        assert path.exists()
    assert len(calls) == 2


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with (
        pytest.raises(OutputError, match=r"folder .*nowhere does not exist"),
        sole_writer(tmp_path / "nowhere/model.pt"),
    ):
        pass


def test_whoever_waits_for_a_lock_gets_it_when_it_is_let_go(held, tmp_path):
    path = tmp_path / "made/lock"
    process = held("file_lock", path)
    waiting = subprocess.Popen(
        [sys.executable, "-c", HOLD, "file_lock", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.kill()
    assert waiting.communicate(timeout=60)[0] == "held\n"
    with file_lock(path):
        pass
