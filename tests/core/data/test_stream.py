"""The epoch's windows: every byte is predicted once, positions are a pure function, resets stand where they should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentneuron.core.data.stream import EpochStream, epoch_order
from sentneuron.core.errors import DataError


class MemoryShard:
    """A shard in memory: row groups are lists of documents."""

    def __init__(self, row_groups: list[list[bytes]]) -> None:
        self.row_groups = row_groups
        self.row_group_bytes = [sum(map(len, group)) for group in row_groups]
        self.num_bytes = sum(self.row_group_bytes)

    def read_row_group(self, index):
        documents = self.row_groups[index]
        lengths = [len(document) for document in documents]
        return (
            np.frombuffer(b"".join(documents), np.uint8),
            np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
        )


def make_shards(num_shards: int, *, seed: int = 0) -> list[MemoryShard]:
    draw = np.random.default_rng(seed)
    return [
        MemoryShard(
            [[draw.bytes(draw.integers(1, 30)) for _ in range(draw.integers(1, 5))] for _ in range(draw.integers(1, 4))]
        )
        for _ in range(num_shards)
    ]


def epoch_bytes(shards: list[MemoryShard], **order) -> bytes:
    ordered = [shards[index] for index in epoch_order(len(shards), **order)]
    return b"".join(document for shard in ordered for group in shard.row_groups for document in group)


def all_windows(stream: EpochStream):
    return [stream.window(step) for step in range(stream.num_steps)]


@settings(max_examples=60, deadline=None)
@given(
    num_shards=st.integers(1, 8), num_streams=st.integers(1, 5), seq_length=st.integers(1, 9), epoch=st.integers(0, 3)
)
def test_every_byte_but_the_tail_is_predicted_exactly_once(num_shards, num_streams, seq_length, epoch):
    shards = make_shards(num_shards, seed=num_shards)
    expected = epoch_bytes(shards, seed=7, epoch=epoch)
    batch = num_streams * seq_length
    if len(expected) - 1 < batch:
        with pytest.raises(DataError, match=f"{len(expected)} bytes"):
            EpochStream(shards, num_streams=num_streams, seq_length=seq_length, epoch=epoch, seed=7)
        return
    stream = EpochStream(shards, num_streams=num_streams, seq_length=seq_length, epoch=epoch, seed=7)
    windows = all_windows(stream)
    read = np.concatenate([window.ids for window in windows], axis=1)
    predicted = np.concatenate([window.targets for window in windows], axis=1)
    covered = stream.num_steps * batch
    assert read.tobytes() == expected[:covered]
    assert predicted.tobytes() == expected[1 : covered + 1]
    assert stream.tail_bytes == len(expected) - covered
    assert stream.tail_bytes <= batch


def test_a_window_does_not_depend_on_what_was_read_before():
    shards = make_shards(6)
    settings_ = {"num_streams": 3, "seq_length": 5, "epoch": 2, "seed": 1, "persist_state": "document"}
    expected = all_windows(EpochStream(shards, **settings_))
    stream = EpochStream(shards, **settings_)
    for step in reversed(range(stream.num_steps)):
        for found, part in zip(stream.window(step), expected[step], strict=True):
            assert (found is None and part is None) or np.array_equal(found, part)


@pytest.mark.parametrize("persist_state", ["shard", "document", "always"])
def test_resets_stand_at_the_first_byte_of_each_shard_or_document(persist_state):
    shards = make_shards(5)
    starts, position = [], 0
    for index in epoch_order(5, seed=0, epoch=0):
        for number, group in enumerate(shards[index].row_groups):
            for place, document in enumerate(group):
                is_shard_start = number == 0 and place == 0
                if persist_state == "document" or (persist_state == "shard" and is_shard_start):
                    starts.append(position)
                position += len(document)
    stream = EpochStream(shards, num_streams=2, seq_length=7, persist_state=persist_state)
    flags = [np.zeros((2, 7), bool) if window.resets is None else window.resets for window in all_windows(stream)]
    covered = stream.num_steps * 14
    found = np.concatenate(flags, axis=1).reshape(-1)
    assert np.flatnonzero(found).tolist() == [start for start in starts if start < covered]


def test_each_epoch_has_its_own_order_and_no_seed_is_another():
    orders = {tuple(epoch_order(50, seed=seed, epoch=epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert all(sorted(order) == list(range(50)) for order in orders)


def test_the_order_of_shards_is_part_of_the_contract():
    assert epoch_order(8, seed=0, epoch=0) == [4, 2, 6, 0, 7, 5, 1, 3]
