"""The epoch's windows against an epoch laid out byte by byte: nothing lost, nothing twice, resets where they belong."""

import random
import threading
import time
import weakref

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sentneuron.core.config import ShardConfig
from sentneuron.core.data import shard_file, stream
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.shards import open_shards
from sentneuron.core.data.stream import EpochStream, Window, epoch_order, rank_streams
from sentneuron.core.errors import DataError


class MemoryShard:
    """A shard in memory: row groups are lists of documents. `reads` counts the row groups decoded so far."""

    def __init__(self, row_groups: list[list[bytes]]) -> None:
        self.row_groups = row_groups
        self.row_group_bytes = [sum(map(len, group)) for group in row_groups]
        self.num_bytes = sum(self.row_group_bytes)
        self.num_documents = sum(map(len, row_groups))
        self.reads = 0

    def read_row_group(self, index):
        self.reads += 1
        lengths = [len(document) for document in self.row_groups[index]]
        text = np.frombuffer(b"".join(self.row_groups[index]), np.uint8)
        return text, np.cumsum([0, *lengths[:-1]]).astype(np.int64)


documents = st.binary(min_size=1, max_size=12)
row_groups = st.lists(documents, min_size=1, max_size=4)
corpora = st.lists(st.lists(row_groups, min_size=1, max_size=3).map(MemoryShard), max_size=7)
persist_states = st.sampled_from(["shard", "document", "always"])


def lay_out(shards, *, epoch: int, seed: int, persist_state: str) -> tuple[bytes, list[bool]]:
    """The slow and plain definition: every byte of an epoch, and whether the state is reset before it."""
    text, resets = bytearray(), []
    for index in epoch_order(len(shards), seed=seed, epoch=epoch):
        is_shard_start = True
        for group in shards[index].row_groups:
            for document in group:
                is_document_start = True
                for byte in document:
                    text.append(byte)
                    resets.append(
                        {"shard": is_shard_start, "document": is_document_start, "always": False}[persist_state]
                    )
                    is_shard_start = is_document_start = False
    return bytes(text), resets


def flags(window: Window) -> np.ndarray:
    return np.zeros(window.ids.shape, bool) if window.resets is None else window.resets


def joined(windows: list[Window]) -> tuple[bytes, bytes, list[bool]]:
    """Bytes, targets and resets of consecutive windows: stream after stream."""
    return (
        np.concatenate([window.ids for window in windows], axis=1).tobytes(),
        np.concatenate([window.targets for window in windows], axis=1).tobytes(),
        np.concatenate([flags(window) for window in windows], axis=1).reshape(-1).tolist(),
    )


def all_windows(epoch_stream: EpochStream) -> list[Window]:
    return [epoch_stream.window(step) for step in range(epoch_stream.num_steps)]


def assert_equal(found: Window, expected: Window) -> None:
    assert np.array_equal(found.ids, expected.ids)
    assert np.array_equal(found.targets, expected.targets)
    assert np.array_equal(flags(found), flags(expected))


@settings(max_examples=100, deadline=None)
@given(
    shards=corpora,
    num_streams=st.integers(1, 6),
    seq_length=st.integers(1, 9),
    epoch=st.integers(0, 2),
    persist_state=persist_states,
    staged_bytes=st.integers(1, 60),
    prefetch=st.booleans(),
)
def test_an_epoch_is_every_byte_once_and_in_order_but_for_the_tail(
    shards, num_streams, seq_length, epoch, persist_state, staged_bytes, prefetch
):
    text, resets = lay_out(shards, epoch=epoch, seed=7, persist_state=persist_state)
    batch = num_streams * seq_length
    options = {"num_streams": num_streams, "seq_length": seq_length, "epoch": epoch, "seed": 7}
    if len(text) <= batch:
        numbers = f"{len(text)} bytes .* {num_streams} streams x {seq_length} bytes, which takes {batch + 1}"
        with pytest.raises(DataError, match=numbers):
            EpochStream(shards, **options)
        return
    epoch_stream = EpochStream(shards, **options, persist_state=persist_state, prefetch=prefetch)
    covered = epoch_stream.num_steps * batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "STAGED_BYTES", staged_bytes)
        windows = all_windows(epoch_stream)
    assert joined(windows) == (text[:covered], text[1 : covered + 1], resets[:covered])
    assert epoch_stream.tail_bytes == len(text) - covered
    assert 1 <= epoch_stream.tail_bytes <= batch


@settings(max_examples=60, deadline=None)
@given(
    shards=corpora,
    num_streams=st.integers(1, 4),
    seq_length=st.integers(1, 5),
    persist_state=persist_states,
    staged_bytes=st.integers(1, 30),
    prefetch=st.booleans(),
    data=st.data(),
)
def test_a_window_is_the_same_whatever_was_read_before(
    shards, num_streams, seq_length, persist_state, staged_bytes, prefetch, data
):
    assume(sum(shard.num_bytes for shard in shards) > num_streams * seq_length)
    options = {"num_streams": num_streams, "seq_length": seq_length, "persist_state": persist_state}
    expected = all_windows(EpochStream(shards, **options))
    steps = st.integers(0, len(expected) - 1)
    runs = data.draw(st.lists(st.tuples(steps, st.integers(1, 5)), min_size=1, max_size=8))
    epoch_stream = EpochStream(shards, **options, prefetch=prefetch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "STAGED_BYTES", staged_bytes)
        for first, count in runs:
            for step in range(first, min(first + count, len(expected))):
                assert_equal(epoch_stream.window(step), expected[step])


@settings(max_examples=50, deadline=None)
@given(
    shards=corpora,
    num_streams=st.integers(1, 12),
    seq_length=st.integers(1, 5),
    num_ranks=st.integers(1, 5),
    persist_state=persist_states,
)
def test_ranks_see_together_what_one_sees(shards, num_streams, seq_length, num_ranks, persist_state):
    parts = [rank_streams(num_streams, rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
    for rank, part in enumerate(parts):
        assert [*part] == [number for number in range(num_streams) if number * num_ranks // num_streams == rank]
    assume(sum(shard.num_bytes for shard in shards) > num_streams * seq_length)
    options = {"num_streams": num_streams, "seq_length": seq_length, "persist_state": persist_state}
    whole = EpochStream(shards, **options)
    ranks = [EpochStream(shards, **options, streams=part) for part in parts]
    for step in range(whole.num_steps):
        windows = [rank.window(step) for rank in ranks]
        together = Window(
            np.concatenate([window.ids for window in windows]),
            np.concatenate([window.targets for window in windows]),
            np.concatenate([flags(window) for window in windows]),
        )
        assert_equal(together, whole.window(step))


GROUP_BYTES = 60


def make_shards(num_shards: int) -> list[MemoryShard]:
    """Shards of one to three row groups of GROUP_BYTES each."""
    draw = random.Random(0)
    return [MemoryShard([[draw.randbytes(20)] * 3 for _ in range(draw.randint(1, 3))]) for _ in range(num_shards)]


def test_a_jump_decodes_only_the_row_groups_that_its_window_lies_in():
    options = {"num_streams": 8, "seq_length": 10}
    expected = all_windows(EpochStream(make_shards(40), **options))
    for step in range(len(expected)):
        firsts = [(number * len(expected) + step) * 10 for number in range(8)]
        touched = sum(1 if first % GROUP_BYTES + 10 < GROUP_BYTES else 2 for first in firsts)
        shards = make_shards(40)
        assert_equal(EpochStream(shards, **options).window(step), expected[step])
        assert sum(shard.reads for shard in shards) == touched


def test_reading_on_decodes_each_row_group_once():
    shards = make_shards(10)
    all_windows(EpochStream(shards, num_streams=1, seq_length=7))
    assert [shard.reads for shard in shards] == [len(shard.row_groups) for shard in shards]


def test_a_stream_holds_one_row_group(monkeypatch):
    shards = make_shards(20)
    alive, most = weakref.WeakSet(), 0
    read = MemoryShard.read_row_group

    class Text(np.ndarray):
        __hash__ = object.__hash__

    def counted(self, index):
        nonlocal most
        text, starts = read(self, index)
        text = text.view(Text)
        alive.add(text)
        most = max(most, len(alive))
        return text, starts

    monkeypatch.setattr(MemoryShard, "read_row_group", counted)
    all_windows(EpochStream(shards, num_streams=3, seq_length=5))
    assert most == 3 + 1  # the next one is decoded before the last one goes


@pytest.fixture
def small_stages(monkeypatch):
    monkeypatch.setattr(stream, "STAGED_BYTES", 20)


def test_a_window_stays_as_it_is_while_others_are_read(small_stages):
    epoch_stream = EpochStream(make_shards(8), num_streams=3, seq_length=5, persist_state="document")
    windows = all_windows(epoch_stream)
    for step, window in enumerate(windows):
        assert_equal(window, epoch_stream.window(step))


def test_a_jump_waits_for_what_is_being_read_ahead(small_stages):
    reading, num_overlaps = threading.Lock(), 0

    class SlowShard(MemoryShard):
        def read_row_group(self, index):
            nonlocal num_overlaps
            if not reading.acquire(blocking=False):
                num_overlaps += 1
                reading.acquire()
            time.sleep(0.002)
            reading.release()
            return super().read_row_group(index)

    shards = make_shards(8)
    options = {"num_streams": 2, "seq_length": 5}
    expected = all_windows(EpochStream(shards, **options))
    epoch_stream = EpochStream([SlowShard(shard.row_groups) for shard in shards], **options, prefetch=True)
    for step in (0, 1, 40, 41, 42, 3, 4, 5, 60):
        assert_equal(epoch_stream.window(step), expected[step])
    assert num_overlaps == 0


def test_damage_stops_reading_at_the_same_step_with_and_without_a_thread(small_stages):
    class DamagedShard(MemoryShard):
        def read_row_group(self, index):
            raise DataError("shard 00007.parquet is damaged")

    shards = make_shards(8)
    order = epoch_order(8, seed=0, epoch=0)
    shards[order[4]] = DamagedShard(shards[order[4]].row_groups)

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


def test_no_thread_outlives_its_stream(small_stages):
    before = set(threading.enumerate())
    epoch_stream = EpochStream(make_shards(8), num_streams=1, seq_length=5, prefetch=True)
    for step in range(10):
        epoch_stream.window(step)
    (thread,) = set(threading.enumerate()) - before
    del epoch_stream
    thread.join(10)
    assert not thread.is_alive()


def test_resets_are_none_where_there_are_none():
    shards = [MemoryShard([[b"a" * 50], [b"b" * 50]])]
    for persist_state, expected in (("shard", [0]), ("document", [0, 5]), ("always", [])):
        windows = all_windows(EpochStream(shards, num_streams=1, seq_length=10, persist_state=persist_state))
        assert [step for step, window in enumerate(windows) if window.resets is not None] == expected


@pytest.mark.parametrize("persist_state", ["shard", "document", "always"])
def test_windows_from_parquet_are_those_of_the_files(tmp_path, monkeypatch, persist_state):
    monkeypatch.setattr(shard_file, "ROW_GROUP_BYTES", 500)
    (tmp_path / "in.txt").write_text("\n".join(f"review {number}: {'so ' * (number % 9)}good" for number in range(300)))
    write_shards(ShardConfig(inputs=(str(tmp_path / "in.txt"),), output=tmp_path / "out", shards=8, split=(7, 1)))
    shards = open_shards(tmp_path / "out").split("train")
    files = sorted((tmp_path / "out/train").iterdir())
    expected = [MemoryShard([pq.read_table(file)["text"].to_pylist()]) for file in files]
    assert max(len(shard.row_group_bytes) for shard in shards) > 1
    text, resets = lay_out(expected, epoch=1, seed=3, persist_state=persist_state)
    epoch_stream = EpochStream(shards, num_streams=4, seq_length=16, epoch=1, seed=3, persist_state=persist_state)
    covered = epoch_stream.num_steps * 64
    assert joined(all_windows(epoch_stream)) == (text[:covered], text[1 : covered + 1], resets[:covered])
    assert covered > 4000


def test_each_epoch_has_its_own_order_and_no_seed_is_another():
    orders = {tuple(epoch_order(50, seed=seed, epoch=epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert all(sorted(order) == list(range(50)) for order in orders)


def test_the_order_of_shards_is_part_of_the_contract():
    assert epoch_order(8, seed=0, epoch=0) == [4, 2, 6, 0, 7, 5, 1, 3]
