"""Start the processes of this machine through torch's elastic agent, and make sense of how they end.

The agent starts them, meets those of other machines, ends the rest when one fails, and starts them again. It knows no
exit codes and no signals: the processes write theirs into files (see status.py), signals are forwarded to them by
process id, and who does not end after a failure is killed. The agent works in a thread, so that a signal finds the
main thread awake.
"""

import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sentneuron.core.launch import status
from sentneuron.core.launch.outcome import Outcome, judge, rendezvous_failed, stopped
from sentneuron.core.launch.plan import LaunchPlan
from sentneuron.core.signals import StopRequest

if TYPE_CHECKING:
    from torch.distributed.launcher.api import LaunchConfig

GRACE = 3.0
"""Seconds between the first failure and the end of those that have not ended by themselves."""
POLL = 0.1
START_SECONDS = 30.0
"""What a process may be silent for beyond the time that ranks wait for one another: importing torch is not heard."""
RENDEZVOUS_SLACK = 40.0
"""Seconds beyond twice the plan's timeout until a rendezvous that torch itself does not end is given up."""

log = logging.getLogger(__name__)


def launch(
    plan: LaunchPlan,
    words: Sequence[str],
    *,
    verbose: bool = False,
    announce: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Run `python -m sentneuron` with these words once a device, and wait for the end.

    SIGTERM, SIGUSR1 and Ctrl-C are forwarded; a second Ctrl-C kills the processes, as `announce` is told after the
    first. `verbose` lets torch log.
    """
    with StopRequest() as stop, TemporaryDirectory(prefix="sentneuron-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        agent, watch = (
            _Agent(plan, words, folder, verbose=verbose),
            _Watch(folder, patience=plan.timeout + START_SECONDS),
        )
        inherited = _inherited(plan, folder, verbose=verbose)
        os.environ.update(inherited)
        agent.start()
        deadline = time.monotonic() + 2 * plan.timeout + RENDEZVOUS_SLACK
        has_told = False
        try:
            while agent.is_alive():
                agent.join(POLL)
                watch.look(stop.received)
                if stop.is_interrupt and not has_told:
                    announce("stopping; press Ctrl-C again to end at once")
                    has_told = True
                if stop.received is not None and not watch.found:  # still at the rendezvous
                    return stopped(stop.received)
                if plan.endpoint is not None and not watch.found and time.monotonic() > deadline:
                    # something else listens there, takes the connection and says nothing: torch waits for ever
                    silence = TimeoutError("what listens there does not answer")
                    return rendezvous_failed(plan, silence, has_started=False)
        except KeyboardInterrupt:
            watch.kill()
            return stopped(signal.SIGINT)
        for variable in inherited:
            del os.environ[variable]
        if agent.error is None:
            return Outcome()
        failure = rendezvous_failed(plan, agent.error, has_started=bool(watch.found)) if not agent.failures else None
        states = status.read_all(folder)
        return judge(states, agent.failures, killed=watch.killed, received=stop.received, failure=failure)


class _Agent(threading.Thread):
    """Runs torch's agent; afterwards `error` is what it raised, and `failures` the exit code of each bad process."""

    def __init__(self, plan: LaunchPlan, words: Sequence[str], folder: Path, *, verbose: bool) -> None:
        super().__init__(daemon=True)
        self.error: Exception | None = None
        self.failures: dict[int, int] = {}
        """By process id; negative: killed by that signal."""
        self._plan = plan
        self._words = [word.replace("$", "$$") for word in words]  # torch substitutes ${local_rank}
        self._folder = folder
        self._verbose = verbose

    def run(self) -> None:
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import elastic_launch

        if not self._verbose:
            logger = logging.getLogger("torch.distributed")
            logger.handlers = [logging.NullHandler()]
            logger.propagate = False
        try:
            config = _launch_config(self._plan, self._folder)
            elastic_launch(config, sys.executable)("-m", "sentneuron", *self._words)
        except ChildFailedError as error:
            self.error = error
            self.failures = {failure.pid: failure.exitcode for failure in error.failures.values()}
        except Exception as error:  # whatever it is, the main thread reports it
            self.error = error


class _Watch:
    """Sees to it that signals arrive, and that no process outlives a failure for long."""

    def __init__(self, folder: Path, *, patience: float) -> None:
        """Watch the processes that tell of themselves in a folder; one that is silent for `patience` seconds hangs."""
        self.found: dict[int, status.Status] = {}
        """Processes that have told of themselves, by process id."""
        self.killed: set[int] = set()
        self._folder = folder
        self._patience = patience
        self._told: set[int] = set()
        self._failed_at: float | None = None
        self._attempt = 0

    def look(self, received: signal.Signals | None) -> None:
        """Look at every process once; forward the signal that was received."""
        now = {state.pid: state for state in status.read_all(self._folder)}
        if now.keys() - self.found.keys():
            self._failed_at = None  # another attempt
        self.found |= now
        running = {pid for pid in now if _is_running(pid)}
        if received is not None:
            for pid in running - self._told:
                os.kill(pid, received)
                self._told.add(pid)
        last = max((state.attempt for state in now.values()), default=0)
        if last > self._attempt and not any(state.code in status.FINAL for state in now.values()):
            log.warning("a process was lost: all were started again, restart %d", last)
        self._attempt = last
        current = [state for state in now.values() if state.attempt == last]
        if any(state.code if state.code is not None else state.pid not in running for state in current):
            self._failed_at = self._failed_at or time.monotonic()
            if time.monotonic() - self._failed_at > GRACE:
                self.kill()

        for pid in running:
            if status.silence(self._folder, now[pid]) > self._patience:
                self._kill(pid)

    def kill(self) -> None:
        """Kill all processes that still run."""
        for pid in self.found:
            if _is_running(pid):
                self._kill(pid)

    def _kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.killed.add(pid)


def _is_running(pid: int) -> bool:
    """Tell whether this child has not ended, without taking its exit code from the agent."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _launch_config(plan: LaunchPlan, folder: Path) -> "LaunchConfig":
    """Return torch's form of a plan."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    seconds = math.ceil(plan.timeout)
    configs: dict[str, int] = {"timeout": seconds, "join_timeout": seconds, "read_timeout": seconds}
    if plan.node_rank is not None:
        configs = {"timeout": seconds, "rank": plan.node_rank}
    return LaunchConfig(
        min_nodes=plan.min_nodes,
        max_nodes=plan.max_nodes,
        nproc_per_node=len(plan.devices),
        run_id=plan.job,
        rdzv_backend="c10d" if plan.node_rank is None else "static",
        rdzv_endpoint=plan.endpoint or "127.0.0.1:0",
        rdzv_configs=configs,
        local_addr=_own_address(plan.endpoint),
        max_restarts=plan.max_restarts,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder / "logs")),
        shutdown_timeout=math.ceil(GRACE),
    )


def _own_address(endpoint: str | None) -> str | None:
    """Return the address of this machine on the network that leads to the endpoint; None: torch finds one."""
    if endpoint is None:
        return "127.0.0.1"
    host, _, port = endpoint.rpartition(":")
    try:
        family, kind, *_, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # sends nothing
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _inherited(plan: LaunchPlan, folder: Path, *, verbose: bool) -> dict[str, str]:
    """Return the environment variables that the processes get on top of this one's."""
    values = {status.FOLDER: str(folder), status.LAUNCHER: str(os.getpid())}
    if plan.devices[0] == "cpu":
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        values["OMP_NUM_THREADS"] = str(max(1, cores // len(plan.devices)))
    if plan.node_rank is None and (plan.max_restarts or plan.min_nodes < plan.max_nodes):
        # torch 2.13 would keep the first attempt's store: a machine that joins later finds nothing in it
        values["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    if not verbose:
        values["TORCH_CPP_LOG_LEVEL"] = "FATAL"  # torch logs what it raises, too
    return {name: value for name, value in values.items() if name not in os.environ}
