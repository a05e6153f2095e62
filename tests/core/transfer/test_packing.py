"""Packing: every byte of every text once and in order, streams of nearly equal length, a window at a time."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentneuron.core.transfer import packing
from sentneuron.core.transfer.packing import WINDOW, pack, windows


def utilisation(lengths, num_streams):
    """Share of a full batch, until the last text ends, that is bytes of texts."""
    streams = pack(lengths, num_streams=num_streams)
    longest = sum(lengths[place] for place in streams[0])
    return sum(lengths) / (len(streams) * longest)


@given(st.lists(st.binary(max_size=12), max_size=20), st.integers(1, 6), st.integers(1, 9))
def test_the_windows_hold_every_text_once_whole_and_in_one_stream(texts, num_streams, window):
    streams = pack([len(text) for text in texts], num_streams=num_streams)
    written = [bytearray() for _ in streams]
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "WINDOW", window)
        for part in windows(texts, streams):
            assert len(part.ids) <= window
            for t, (row, active) in enumerate(zip(part.ids, part.active, strict=True)):
                for slot in range(active):
                    written[slot].append(int(row[slot]))
                for place, slot in part.ended.get(t, []):
                    found[place] = bytes(written[slot])
                    written[slot].clear()
    assert found == {place: text for place, text in enumerate(texts) if text}
    assert not any(written)


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 8))
def test_streams_are_sorted_and_none_is_empty(lengths, num_streams):
    streams = pack(lengths, num_streams=num_streams)
    totals = [sum(lengths[place] for place in stream) for stream in streams]
    assert totals == sorted(totals, reverse=True)
    assert len(streams) == min(num_streams, sum(length > 0 for length in lengths))
    assert all(totals)


def test_lengths_as_unequal_as_those_of_reviews_fill_a_full_batch():
    rng = np.random.default_rng(0)
    reviews = rng.lognormal(6.9, 0.65, 2000).astype(int).tolist()  # median 990 bytes, the longest about 8,000
    sentences = rng.integers(20, 260, 4096).tolist()
    assert utilisation(reviews, 256) > 0.95
    assert utilisation(sentences, 256) > 0.95
    assert sum(reviews) / sum(max(reviews[i : i + 256]) * 256 for i in range(0, 2000, 256)) < 0.4


@pytest.mark.slow
def test_windows_do_not_grow_with_the_longest_text():
    texts = [b"a" * (2 << 20)] + [b"short"] * 300
    streams = pack([len(text) for text in texts], num_streams=256)
    tracemalloc.start()
    num_bytes = sum(sum(part.active) for part in windows(texts, streams))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_bytes == sum(map(len, texts))
    assert peak < 8 * WINDOW * 256
