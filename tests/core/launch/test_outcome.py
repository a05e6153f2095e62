import signal

import pytest

from sentneuron.core.launch.outcome import Outcome, judge, rendezvous_failed, stopped
from sentneuron.core.launch.plan import LaunchPlan
from sentneuron.core.launch.status import Status


def state(rank, code=None, *, seconds=1.0, is_lost=False):
    return Status(
        attempt=0,
        local_rank=rank,
        rank=rank,
        pid=100 + rank,
        host="h",
        code=code,
        message=f"told by {rank}",
        is_lost=is_lost,
        seconds=seconds,
    )


LOST = state(0, 74, is_lost=True)
SAVED = state(0, 75, seconds=2.0)


@pytest.mark.parametrize(
    ("states", "exits", "given", "code", "message"),
    [
        ([LOST, state(1, 65, seconds=9.0)], {100: 74, 101: 65}, {}, 65, "told by 1"),
        ([state(0, 66, seconds=3.0), state(1, 65, seconds=2.0)], {100: 66, 101: 65}, {}, 65, "told by 1"),
        ([SAVED, state(1, 65, seconds=9.0)], {}, {"received": signal.SIGTERM}, 65, "told by 1"),
        ([LOST, state(1)], {100: 74, 101: -9}, {}, 74, "rank 1 on h was killed by SIGKILL"),
        ([LOST, state(1)], {100: 74, 101: -11}, {}, 74, "rank 1 on h was killed by SIGSEGV"),
        ([LOST, state(1)], {100: 74, 101: 3}, {}, 74, "rank 1 on h ended with exit code 3 without a word"),
        ([SAVED, state(1)], {100: 75, 101: -9}, {}, 74, "rank 1 on h was killed by SIGKILL"),
        ([SAVED, state(1, 75)], {100: 75, 101: 75}, {"received": signal.SIGTERM}, 75, "told by 1"),
        ([SAVED, state(1)], {100: 75, 101: -9}, {"received": signal.SIGTERM, "killed": {101}}, 75, "told by 0"),
        ([SAVED, state(1)], {100: 75, 101: -15}, {}, 75, "told by 0"),
        ([state(0), state(1)], {100: -9, 101: -15}, {}, 74, "rank 0 on h was killed by SIGKILL"),
        ([state(0), state(1)], {100: -15, 101: -15}, {}, 74, "rank 0 on h was killed by SIGTERM"),
        ([state(0), state(1)], {100: -10, 101: -15}, {"received": signal.SIGUSR1}, 75, "by SIGUSR1 with nothing"),
        ([state(0), state(1)], {100: -2, 101: -15}, {"received": signal.SIGINT}, 130, "interrupted"),
        ([LOST, state(1)], {100: 74, 101: -9}, {"killed": {101}}, 74, "rank 1 on h hung and was killed; told by 0"),
        ([state(0)], {100: -9}, {"killed": {100}}, 74, "rank 0 on h hung and was killed"),
        ([LOST], {100: 74}, {"failure": Outcome(code=74, message="agent")}, 74, "told by 0"),
        ([], {}, {"failure": Outcome(code=74, message="agent")}, 74, "agent"),
        ([], {100: 1}, {}, 74, "ended with exit code 1 before it said a word"),
    ],
)  # fmt: skip
def test_the_most_telling_end_counts(states, exits, given, code, message):
    outcome = judge(states, exits, **given)
    assert outcome.code == code
    assert message in outcome.message


def test_a_signal_that_found_nothing_to_save_has_the_code_of_its_kind():
    assert (stopped(signal.SIGTERM).code, stopped(signal.SIGINT).code) == (75, 130)


class RendezvousTimeoutError(Exception):
    """As torch's own, which says nothing."""


@pytest.mark.parametrize(
    ("nodes", "error", "has_started", "message"),
    [
        ((2, 2), TimeoutError("1/2 came."), False, "2 machines did not meet at h:1 within 5 s: 1/2 came"),
        (
            (2, 2),
            TimeoutError("Timed out after 6 seconds waiting for clients. 1/2 clients joined."),
            False,
            "2 machines did not meet at h:1 within 5 s: only 1 of 2 came",
        ),
        (
            (2, 2),
            TimeoutError("The client socket has timed out after 5000ms while trying to connect to (h, 1)."),
            False,
            "2 machines did not meet at h:1 within 5 s: nothing answers there",
        ),
        ((2, 2), RendezvousTimeoutError(), False, "2 machines did not meet at h:1 within 5 s: only this one came"),
        ((3, 4), RendezvousTimeoutError(), False, "3 to 4 machines did not meet at h:1 within 5 s: fewer than 3 came"),
        ((2, 2), RuntimeError("gone\nand more"), True, "lost the other machines at h:1: gone"),
    ],
)  # fmt: skip
def test_machines_that_do_not_meet_are_named_with_their_endpoint(nodes, error, has_started, message):
    plan = LaunchPlan(devices=["cpu"], min_nodes=nodes[0], max_nodes=nodes[1], endpoint="h:1", timeout=5)
    outcome = rendezvous_failed(plan, error, has_started=has_started)
    assert (outcome.code, outcome.message) == (74, message)


def test_the_first_cause_is_what_is_named():
    error = RuntimeError("see the inner exception")
    error.__cause__ = OSError("no route to host")
    outcome = rendezvous_failed(LaunchPlan(devices=["cpu"]), error, has_started=False)
    assert outcome.message == "cannot start processes: no route to host"
