"""What the launcher decides by itself; the rest is tested with real processes, in tests/reliability."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sentneuron
from sentneuron.core.launch import launcher, status
from sentneuron.core.launch.plan import LaunchPlan


@pytest.mark.slow
def test_an_endpoint_that_takes_connections_and_says_nothing_is_given_up(monkeypatch):
    for name in (status.FOLDER, status.LAUNCHER, "TORCH_CPP_LOG_LEVEL"):
        monkeypatch.setenv(name, "")  # set by the launcher, whose process ends where it gives up
    monkeypatch.setattr(launcher, "RENDEZVOUS_SLACK", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        plan = LaunchPlan(devices=["cpu"], min_nodes=2, max_nodes=2, node_rank=1, endpoint=endpoint, timeout=1)
        outcome = launcher.launch(plan, ["--version"])
    assert outcome.code == 74
    message = f"2 machines did not meet at {endpoint} within 1 s: what listens there does not answer"
    assert outcome.message == message


@pytest.fixture
def rank(tmp_path):
    """A process that has introduced itself to this one, as a launcher's does, and waits."""
    places = {"RANK": "0", "LOCAL_RANK": "0", "TORCHELASTIC_RESTART_COUNT": "0"}
    told = {status.FOLDER: str(tmp_path), status.LAUNCHER: str(os.getpid())}
    code = "import os, time; from sentneuron.core.launch import status; status.begin(os.environ); time.sleep(60)"
    environ = {**os.environ, **places, **told, "PYTHONPATH": str(Path(sentneuron.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", code], env=environ)
    deadline = time.monotonic() + 30
    while not status.read_all(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_process_is_killed_when_it_gives_no_sign_of_life_and_not_before(rank, tmp_path):
    watch = launcher._Watch(tmp_path, patience=3 * status.BEAT)
    seen = time.monotonic()
    while time.monotonic() < seen + 4 * status.BEAT:
        watch.look(None)
        time.sleep(0.05)
    assert rank.poll() is None
    rank.send_signal(signal.SIGSTOP)
    while time.monotonic() < seen + 30 and not watch.killed:
        watch.look(None)
        time.sleep(0.05)
    assert watch.killed == {rank.pid}
    assert rank.wait() == -signal.SIGKILL
