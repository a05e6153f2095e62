"""The one exit code and the one error of several processes.

Those that fail because another one did must not drown the reason: a process's own error counts first, then a process
that died, and last those that lost another one.
"""

import re
import signal
import socket
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sentneuron.core.errors import InterruptedRunError, LostRankError, SentneuronError, StoppedError
from sentneuron.core.launch.plan import LaunchPlan
from sentneuron.core.launch.status import Status

STOPPED = (StoppedError.exit_code, InterruptedRunError.exit_code)
LOST = LostRankError.exit_code


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a launch ended."""

    code: int = 0
    message: str = ""
    hint: str = ""

    def raise_error(self) -> None:
        """Raise the error, if there was one."""
        if self.code:
            error = SentneuronError(self.message, hint=self.hint)
            error.exit_code = self.code
            raise error


def stopped(received: signal.Signals) -> Outcome:
    """Return the end by a signal that found no step under way, and so nothing to save."""
    if received == signal.SIGINT:
        return Outcome(code=InterruptedRunError.exit_code, message="interrupted", hint="run again")
    message = f"stopped by {received.name} with nothing to save"
    return Outcome(code=StoppedError.exit_code, message=message, hint="run again")


def judge(
    states: Sequence[Status],
    exits: Mapping[int, int],
    *,
    killed: AbstractSet[int] = frozenset(),
    received: signal.Signals | None = None,
    failure: Outcome | None = None,
) -> Outcome:
    """Return the most telling end.

    `states` are what the processes told, `exits` the codes of those that ended badly, by process id (negative: by that
    signal), `killed` the ids of those that the launcher killed, `received` the signal that it forwarded, and `failure`
    what the agent itself failed with.
    """
    told = sorted((state for state in states if state.code), key=lambda state: state.seconds)
    lost = [state for state in told if state.is_lost]
    own = [state for state in told if not state.is_lost and state.code not in STOPPED]
    stops = [state for state in told if state.code in STOPPED]
    silent = [state for state in states if state.code is None and exits.get(state.pid) and state.pid not in killed]
    dead = [state for state in silent if exits[state.pid] not in (-signal.SIGTERM, -(received or 0))]
    if own:
        return _as_told(own[0])
    if stops and received is not None:
        return _as_told(stops[0])
    if dead:
        return _died(dead[0], exits[dead[0].pid])
    if stops:
        return _as_told(stops[0])
    if received is not None:
        return stopped(received)
    hung = [state for state in states if state.code is None and state.pid in killed]
    if hung:
        names = ", ".join(str(state.rank) for state in hung)
        message = "; ".join(
            [f"rank {names} on {hung[0].host} hung and was killed", *(state.message for state in lost[:1])]
        )
        return Outcome(code=LOST, message=message, hint="run again to go on")
    if lost:
        return _as_told(lost[0])
    if failure is not None:
        return failure
    if silent:
        return _died(silent[0], exits[silent[0].pid])
    code = next(iter(exits.values()), LOST)
    return Outcome(
        code=LOST,
        message=f"a process on {socket.gethostname()} ended with {_name(code)} before it said a word",
        hint="run again with --debug",
    )


def rendezvous_failed(plan: LaunchPlan, error: Exception, *, has_started: bool) -> Outcome:
    """Return what it means that torch's agent failed with an error of its own."""
    reason = _reason(error)
    if plan.endpoint is None:
        return Outcome(code=LOST, message=f"cannot start processes: {reason}", hint="run again with --debug")
    if has_started:
        message = f"lost the other machines at {plan.endpoint}: {reason}"
        return Outcome(code=LOST, message=message, hint="look for their first error; run again to go on")
    if type(error).__name__ == "RendezvousTimeoutError":  # which says nothing
        reason = "only this one came" if plan.min_nodes == 2 else f"fewer than {plan.min_nodes} came"
    elif "client socket has timed out" in reason:
        reason = "nothing answers there"
    elif found := re.search(r"(\d+)/(\d+) clients joined", reason):
        reason = f"only {found[1]} of {found[2]} came"
    host = plan.endpoint.rpartition(":")[0]
    return Outcome(
        code=LOST,
        message=f"{plan.nodes} machines did not meet at {plan.endpoint} within {plan.timeout:.0f} s: {reason}",
        hint=f"start the command on each of them, with the same --rdzv-endpoint, and check that they reach {host}",
    )


def _reason(error: BaseException) -> str:
    """Return the first line of the error that all others came from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _as_told(state: Status) -> Outcome:
    return Outcome(code=state.code or 0, message=state.message, hint=state.hint)


def _died(state: Status, code: int) -> Outcome:
    hint = "see the system's log for a lack of memory; run again to go on" if code == -signal.SIGKILL else ""
    return Outcome(
        code=LOST,
        message=f"rank {state.rank} on {state.host} was killed by {_name(code)}"
        if code < 0
        else f"rank {state.rank} on {state.host} ended with {_name(code)} without a word",
        hint=hint or "run again to go on",
    )


def _name(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
