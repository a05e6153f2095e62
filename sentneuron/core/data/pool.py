"""Work on several processes, with results in order and a bounded number of items under way.

Processes are spawned, so that no thread of a library is copied half-way through; each ends with its parent, however
that ends. Ctrl-C is the parent's alone.
"""

import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import active_children, get_context
from multiprocessing.process import BaseProcess
from typing import TypeVar

from sentneuron.core.errors import StorageError

MAX_WORKERS = 8
PR_SET_PDEATHSIG = 1

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_workers() -> int:
    """Return how many processes to use where none is named: as many as this process may use cores, at most 8."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores, MAX_WORKERS)


class Pool:
    """Runs functions on `workers` processes, started at the first need; with one worker, in this process."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._executor: ProcessPoolExecutor | None = None
        self._processes: set[BaseProcess] = set()

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the results in the order of `items`, of which at most `workers` + 1 are under way.

        A single item, too, is worked on in this process.

        Raises:
            StorageError: a worker was killed.
        """
        rest = iter(items)
        first = list(islice(rest, 2))
        if self.workers == 1 or len(first) < 2:
            yield from map(function, chain(_drained(first), rest))
            return
        waiting: deque[Future[Result]] = deque()
        try:
            for item in chain(_drained(first), rest):
                waiting.append(self._submit(function, item))
                if len(waiting) > self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise StorageError(
                "a worker process was killed, perhaps for want of memory", hint="run again with fewer --workers"
            ) from error
        finally:
            for future in waiting:
                future.cancel()

    def close(self, *, at_once: bool = False) -> None:
        """End the processes, once what they are at is done or at once."""
        if self._executor is None:
            return
        if at_once:
            for process in self._processes:
                process.kill()
        self._executor.shutdown(cancel_futures=True)

    def _submit(self, function: Callable[[Item], Result], item: Item) -> "Future[Result]":
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self.workers, mp_context=get_context("spawn"), initializer=end_with_parent, initargs=(os.getpid(),)
            )
        # A call may start a process, and a blocked signal stays blocked in it.
        others = set(active_children())
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._executor.submit(function, item)
        finally:
            self._processes |= set(active_children()) - others
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def open_pool(workers: int | None) -> Iterator[Pool]:
    """Give a pool that is closed at the end; None: `default_workers`."""
    pool = Pool(workers or default_workers())
    try:
        yield pool
    except BaseException:
        pool.close(at_once=True)
        raise
    pool.close()


def end_with_parent(parent: int) -> None:
    """Have the system kill this process when its parent dies; where the system cannot, an orphan ends when idle."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _drained(items: list[Item]) -> Iterator[Item]:
    """Yield items without keeping them."""
    while items:
        yield items.pop(0)
