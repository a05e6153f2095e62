import os
import signal
import time

import pytest

from sentneuron.core.data.pool import open_pool
from sentneuron.core.errors import StorageError


def square(number):
    return number * number, os.getpid()


def sleep_the_less_the_later(number):
    time.sleep(0.2 / (number + 1))
    return number


def kill_own_process(number):
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(number):
    raise StorageError(f"number {number}", hint="take another")


def test_one_worker_or_one_item_needs_no_process():
    with open_pool(1) as pool:
        assert list(pool.map(square, range(3))) == [(n * n, os.getpid()) for n in range(3)]
    with open_pool(2) as pool:
        assert list(pool.map(square, [3])) == [(9, os.getpid())]
        assert list(pool.map(square, [])) == []


@pytest.mark.slow
def test_results_come_in_order_from_other_processes_and_items_are_taken_only_when_needed():
    taken = []

    def items():
        for number in range(8):
            taken.append(number)
            yield number

    with open_pool(2) as pool:
        for number, result in enumerate(pool.map(sleep_the_less_the_later, items())):
            assert result == number
            assert len(taken) <= number + 4
        assert {pid for _, pid in pool.map(square, range(2))} != {os.getpid()}


@pytest.mark.slow
def test_a_killed_worker_is_one_clear_error_and_no_hang():
    with open_pool(2) as pool, pytest.raises(StorageError, match=r"worker process was killed.*fewer --workers"):
        list(pool.map(kill_own_process, range(4)))


@pytest.mark.slow
def test_an_error_of_ours_comes_back_whole_from_a_worker():
    with open_pool(2) as pool, pytest.raises(StorageError) as caught:
        list(pool.map(refuse, range(4)))
    assert (caught.value.message, caught.value.hint) == ("number 0", "take another")
