"""Two launchers on one machine play two machines: they train as one, and neither waits for the other for ever."""

import signal
import socket
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at /proc")]


@pytest.fixture
def endpoint():
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def options(endpoint):
    """The options of each of the machines, with numbers and without."""
    common = ["--nnodes", "2", "--rdzv-endpoint", endpoint]
    return {number: [*common, "--node-rank", str(number)] for number in (0, 1)} | {None: common}


def test_two_machines_that_were_lost_and_stopped_end_as_one_does(
    start, make_words, tmp_path, options, assert_as_whole, soon
):
    words = make_words(tmp_path, gpus=1)
    first, second = (start(words, *options[number]) for number in (0, 1))
    first.reach(30)
    first.process.kill()  # and with it, the endpoint
    first.wait(soon)
    assert second.wait(2 * soon) == 74
    assert "rank 1 of 2 on " in second.error
    assert "lost another one: " in second.error

    machines = [start(words, *options[None]) for _ in range(2)]
    machines[0].reach(60)
    machines[1].process.send_signal(signal.SIGUSR1)
    assert [machine.wait(soon) for machine in machines] == [75, 75]
    told = sorted(machine.error.partition(" after")[0] for machine in machines)
    assert told == ["error: stopped by SIGUSR1", "error: stopped by a signal to another rank"]

    machines = [start(words, *options[number], "--json") for number in (0, 1)]
    assert [machine.wait() for machine in machines] == [0, 0], [machine.err for machine in machines]
    assert machines[0].result["steps"] == 160
    assert machines[1].out == ""
    assert_as_whole(machines[0].save)


@pytest.mark.parametrize(
    ("number", "missing"), [(0, "only 1 of 2 came"), (1, "nothing answers there"), (None, "only this one came")]
)
def test_a_machine_that_waits_in_vain_says_where_and_for_what(
    start, make_words, tmp_path, options, endpoint, number, missing, soon
):
    alone = start(make_words(tmp_path, gpus=1), *options[number], "--rank-timeout", "3")
    assert alone.wait(3 + 2 * soon) == 74
    assert alone.error.startswith(f"error: 2 machines did not meet at {endpoint} within 3 s: {missing}; ")
