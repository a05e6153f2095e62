"""The epoch's windows against an epoch laid out byte by byte: nothing lost, nothing twice, resets where they belong.

What is decoded for them, when and by which thread, is in test_reading_ahead.
"""

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

documents = st.binary(min_size=1, max_size=12)
row_groups = st.lists(documents, min_size=1, max_size=4)
corpora = st.lists(st.lists(row_groups, min_size=1, max_size=3), max_size=7)
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


@settings(max_examples=100, deadline=None)
@given(
    corpus=corpora,
    num_streams=st.integers(1, 6),
    seq_length=st.integers(1, 9),
    epoch=st.integers(0, 2),
    persist_state=persist_states,
    staged_bytes=st.integers(1, 60),
    prefetch=st.booleans(),
)
def test_an_epoch_is_every_byte_once_and_in_order_but_for_the_tail(
    memory_shards, all_windows, corpus, num_streams, seq_length, epoch, persist_state, staged_bytes, prefetch
):
    shards = memory_shards(corpus)
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
    corpus=corpora,
    num_streams=st.integers(1, 4),
    seq_length=st.integers(1, 5),
    persist_state=persist_states,
    staged_bytes=st.integers(1, 30),
    prefetch=st.booleans(),
    data=st.data(),
)
def test_a_window_is_the_same_whatever_was_read_before(
    memory_shards,
    all_windows,
    assert_same_window,
    corpus,
    num_streams,
    seq_length,
    persist_state,
    staged_bytes,
    prefetch,
    data,
):
    shards = memory_shards(corpus)
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
                assert_same_window(epoch_stream.window(step), expected[step])


@settings(max_examples=50, deadline=None)
@given(
    corpus=corpora,
    num_streams=st.integers(1, 12),
    seq_length=st.integers(1, 5),
    num_ranks=st.integers(1, 5),
    persist_state=persist_states,
)
def test_ranks_see_together_what_one_sees(
    memory_shards, assert_same_window, corpus, num_streams, seq_length, num_ranks, persist_state
):
    parts = [rank_streams(num_streams, rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
    for rank, part in enumerate(parts):
        assert [*part] == [number for number in range(num_streams) if number * num_ranks // num_streams == rank]
    shards = memory_shards(corpus)
    assume(sum(shard.num_bytes for shard in shards) > num_streams * seq_length)
    options = {"num_streams": num_streams, "seq_length": seq_length, "persist_state": persist_state}
    whole = EpochStream(shards, **options)
    ranks = [EpochStream(shards, **options, streams=part) for part in parts]
    for step in range(whole.num_steps):
        windows = [rank.window(step) for rank in ranks]
        resets = np.concatenate([flags(window) for window in windows])
        together = Window(
            np.concatenate([window.ids for window in windows]),
            np.concatenate([window.targets for window in windows]),
            resets if resets.any() else None,
        )
        assert_same_window(together, whole.window(step))


def test_resets_are_none_where_there_are_none(memory_shards, all_windows):
    shards = memory_shards([[[b"a" * 50], [b"b" * 50]]])
    for persist_state, expected in (("shard", [0]), ("document", [0, 5]), ("always", [])):
        windows = all_windows(EpochStream(shards, num_streams=1, seq_length=10, persist_state=persist_state))
        assert [step for step, window in enumerate(windows) if window.resets is not None] == expected


@pytest.mark.parametrize("persist_state", ["shard", "document", "always"])
def test_windows_from_parquet_are_those_of_the_files(memory_shards, all_windows, tmp_path, monkeypatch, persist_state):
    monkeypatch.setattr(shard_file, "ROW_GROUP_BYTES", 500)
    (tmp_path / "in.txt").write_text("\n".join(f"review {number}: {'so ' * (number % 9)}good" for number in range(300)))
    write_shards(ShardConfig(inputs=(str(tmp_path / "in.txt"),), output=tmp_path / "out", shards=8, split=(7, 1)))
    shards = open_shards(tmp_path / "out").split("train")
    files = sorted((tmp_path / "out/train").iterdir())
    expected = memory_shards([pq.read_table(file)["text"].to_pylist()] for file in files)
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
