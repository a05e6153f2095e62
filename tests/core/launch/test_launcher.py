"""What the launcher decides by itself; the rest is tested with real processes, in tests/reliability."""

import socket

from sentneuron.core.launch import launcher, status
from sentneuron.core.launch.plan import LaunchPlan


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
