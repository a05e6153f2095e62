"""What is decoded for the windows, when and by which thread: no row group twice, no two readers, no damage early.

What the windows hold is in test_stream.
"""

import random
import threading
import time
import weakref
from functools import partial

import numpy as np
import pytest

from sentneuron.core.data import stream
from sentneuron.core.data.stream import EpochStream, epoch_order
from sentneuron.core.errors import DataError

GROUP_BYTES = 60


def make_corpus(num_shards: int) -> list[list[list[bytes]]]:
    """Shards of one to three row groups of GROUP_BYTES each."""
    draw = random.Random(0)
    return [[[draw.randbytes(20)] * 3 for _ in range(draw.randint(1, 3))] for _ in range(num_shards)]


@pytest.fixture
def _small_stages(monkeypatch):
    monkeypatch.setattr(stream, "STAGED_BYTES", 20)


def test_a_jump_decodes_only_the_row_groups_that_its_window_lies_in(memory_shards, all_windows, assert_same_window):
    options = {"num_streams": 8, "seq_length": 10}
    expected = all_windows(EpochStream(memory_shards(make_corpus(40)), **options))
    for step in range(len(expected)):
        firsts = [(number * len(expected) + step) * 10 for number in range(8)]
        touched = sum(1 if first % GROUP_BYTES + 10 < GROUP_BYTES else 2 for first in firsts)
        shards = memory_shards(make_corpus(40))
        assert_same_window(EpochStream(shards, **options).window(step), expected[step])
        assert sum(shard.reads for shard in shards) == touched


def test_reading_on_decodes_each_row_group_once(memory_shards, all_windows):
    shards = memory_shards(make_corpus(10))
    all_windows(EpochStream(shards, num_streams=1, seq_length=7))
    assert [shard.reads for shard in shards] == [len(shard.row_groups) for shard in shards]


def test_a_stream_holds_one_row_group(memory_shards, all_windows):
    shards = memory_shards(make_corpus(20))
    alive, most = weakref.WeakSet(), 0

    class Text(np.ndarray):
        __hash__ = object.__hash__

    def read_counted(read, index):
        nonlocal most
        text, starts = read(index)
        text = text.view(Text)
        alive.add(text)
        most = max(most, len(alive))
        return text, starts

    for shard in shards:
        shard.read_row_group = partial(read_counted, shard.read_row_group)
    all_windows(EpochStream(shards, num_streams=3, seq_length=5))
    assert most == 3 + 1  # the next one is decoded before the last one goes


@pytest.mark.usefixtures("_small_stages")
def test_a_window_stays_as_it_is_while_others_are_read(memory_shards, all_windows, assert_same_window):
    epoch_stream = EpochStream(memory_shards(make_corpus(8)), num_streams=3, seq_length=5, persist_state="document")
    windows = all_windows(epoch_stream)
    for step, window in enumerate(windows):
        assert_same_window(window, epoch_stream.window(step))


@pytest.mark.usefixtures("_small_stages")
def test_a_jump_waits_for_what_is_being_read_ahead(memory_shards, all_windows, assert_same_window):
    reading, num_overlaps = threading.Lock(), 0

    def read_slowly(read, index):
        nonlocal num_overlaps
        if not reading.acquire(blocking=False):
            num_overlaps += 1
            reading.acquire()
        time.sleep(0.002)
        reading.release()
        return read(index)

    shards = memory_shards(make_corpus(8))
    options = {"num_streams": 2, "seq_length": 5}
    expected = all_windows(EpochStream(shards, **options))
    for shard in shards:
        shard.read_row_group = partial(read_slowly, shard.read_row_group)
    epoch_stream = EpochStream(shards, **options, prefetch=True)
    for step in (0, 1, 40, 41, 42, 3, 4, 5, 60):
        assert_same_window(epoch_stream.window(step), expected[step])
    assert num_overlaps == 0


@pytest.mark.usefixtures("_small_stages")
def test_damage_stops_reading_at_the_same_step_with_and_without_a_thread(memory_shards):
    def fail_to_read(index):
        raise DataError("shard 00007.parquet is damaged")

    shards = memory_shards(make_corpus(8))
    order = epoch_order(8, seed=0, epoch=0)
    shards[order[4]].read_row_group = fail_to_read

    def first_failure(*, prefetch: bool) -> int:
        epoch_stream = EpochStream(shards, num_streams=1, seq_length=5, prefetch=prefetch)

        def fails(step: int) -> bool:
            try:
                epoch_stream.window(step)
            except DataError:
                return True
            return False

        step = next(filter(fails, range(epoch_stream.num_steps)))
        assert fails(step)
        return step

    first_damaged = sum(shards[index].num_bytes for index in order[:4]) // 5
    assert first_damaged - 4 < first_failure(prefetch=False) <= first_damaged  # a stage is four windows
    assert first_failure(prefetch=True) == first_failure(prefetch=False)


@pytest.mark.usefixtures("_small_stages")
def test_no_thread_outlives_its_stream(memory_shards):
    before = set(threading.enumerate())
    epoch_stream = EpochStream(memory_shards(make_corpus(8)), num_streams=1, seq_length=5, prefetch=True)
    for step in range(10):
        epoch_stream.window(step)
    (thread,) = set(threading.enumerate()) - before
    del epoch_stream
    thread.join(10)
    assert not thread.is_alive()
