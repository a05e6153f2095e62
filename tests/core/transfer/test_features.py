import subprocess
import sys

import numpy as np
import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer import features, packing
from sentneuron.core.transfer.features import featurize, part_of, sweep, traces
from sentneuron.core.transfer.packing import pack

UNITS = np.array([1e-3, 2e-3, 3e-3])
TEXTS = [b"\n It was good. ", b"a", b"\n No. "]


def texts_of_lengths(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [bytes(rng.integers(32, 127, length, dtype=np.uint8)) for length in lengths]


def cell(runner, unit):
    """What reads a unit's cell value."""
    return lambda state: runner.cells(state)[:, unit]


def test_the_last_state_is_a_feature(sum_runner):
    found = featurize(sum_runner, [b"ab", b"", b"abc"])
    expected = [sum(text) * UNITS for text in (b"ab", b"", b"abc")]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float32


def test_the_mean_is_of_the_tanh_after_every_byte(sum_runner):
    text = b"hello"
    states = np.cumsum(list(text))[:, None] * UNITS
    found = featurize(sum_runner, [b"a" * 50, text, b""], pooling="mean")
    np.testing.assert_allclose(found[1], np.tanh(states).mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(found[2], 0)


@pytest.mark.parametrize("pooling", ["last", "mean", "hidden"])
def test_a_texts_features_do_not_depend_on_its_neighbours_their_order_or_the_batch(language_model, pooling):
    runner = Runner(language_model.model)
    lengths = [*range(1, 40), 63, 64, 65, 127, 128, 200, 255, 256, 299, 300]
    texts = texts_of_lengths(lengths)
    together = featurize(runner, texts, pooling=pooling)
    order = np.random.default_rng(1).permutation(len(texts))
    shuffled = featurize(runner, [texts[i] for i in order], pooling=pooling, batch_size=7)
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)
    for row in (0, 4, 40, len(texts) - 1):
        alone = featurize(runner, [texts[row]], pooling=pooling)
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_the_hidden_state_is_that_of_the_model_after_the_last_byte(language_model):
    model = language_model.model
    for text, found in zip(TEXTS, featurize(Runner(model), TEXTS, pooling="hidden"), strict=True):
        with torch.no_grad():
            hidden, _ = model.hidden(torch.tensor([list(text)]), model.initial_state(1))
        np.testing.assert_allclose(found, hidden[-1, 0].numpy(), atol=1e-6)


def test_the_hidden_state_of_all_layers_stands_bottom_layer_first():
    model = LanguageModel(ModelConfig(nhid=3, emsize=2, nlayers=2))
    both = featurize(Runner(model, all_layers=True), TEXTS, pooling="hidden")
    np.testing.assert_allclose(both[:, 3:], featurize(Runner(model), TEXTS, pooling="hidden"), atol=1e-6)
    assert (both[:, :3] != both[:, 3:]).all()


def test_texts_longer_than_a_window_lose_nothing_at_its_edge(sum_runner, monkeypatch):
    texts = texts_of_lengths([1, 3, 4, 5, 8, 9, 17])
    whole = featurize(sum_runner, texts)
    monkeypatch.setattr(packing, "WINDOW", 4)
    np.testing.assert_array_equal(featurize(sum_runner, texts), whole)
    np.testing.assert_allclose(whole, [sum(text) * UNITS for text in texts], rtol=1e-5)


def test_no_step_is_spent_on_a_text_that_has_ended(sum_runner):
    texts = [b"abcd", b"ab", b"a", b""]
    streams = pack([len(text) for text in texts], num_streams=3)
    assert [(len(step.values), step.ended) for step in sweep(sum_runner, texts, streams)] == [
        (3, [2]),
        (2, [1]),
        (1, []),
        (1, [0]),
    ]


def test_a_text_starts_from_zero_behind_another(sum_runner):
    texts = texts_of_lengths([9, 8, 7, 3, 2, 1, 1])
    in_one_stream = featurize(sum_runner, texts, batch_size=1)
    np.testing.assert_allclose(in_one_stream, [sum(text) * UNITS for text in texts], rtol=1e-5)


def test_rows_are_fetched_in_pieces_without_losing_one(sum_runner, monkeypatch):
    texts = texts_of_lengths([5, 5, 5, 4, 4, 3, 3, 2, 1, 1, 1])
    whole = featurize(sum_runner, texts, batch_size=4)
    monkeypatch.setattr(features, "FETCH", 2)
    np.testing.assert_array_equal(featurize(sum_runner, texts, batch_size=4), whole)


REVIEWS = [
    b"\n One of the best films of the year: warm, funny and beautifully played by everyone in it. ",
    b"\n Dull. ",
    b"\n I wanted to like this, and for half an hour I did; then the plot gave up, and so did I. "
    b"The music never stops, nobody in it behaves like a person, and the ending can be seen from the first scene. ",
    b"\n 10/10, would watch it again with my mother!! ",
    b"\n It is what it is. " * 20,
]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_the_shipped_model_gives_a_text_the_same_features_in_any_company(pooling, precision):
    runner = Runner(load_model(PRETRAINED).model, precision=precision)
    together = featurize(runner, REVIEWS, pooling=pooling)
    packed = featurize(runner, REVIEWS[::-1], pooling=pooling, batch_size=2)[::-1]
    # Some of its cells count to -45, where neighbouring fp32 numbers lie 4e-6 apart.
    np.testing.assert_allclose(packed, together, rtol=1e-6, atol=1e-5)
    for row in (0, 1, 3):
        alone = featurize(runner, [REVIEWS[row]], pooling=pooling)
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-6, atol=1e-5)


LONG_TEXT = """
import resource

import torch

from sentneuron.core.transfer.features import featurize


class Counter:
    num_units = 2
    device = torch.device("cpu")

    def initial_state(self, num_streams):
        return [(torch.zeros(num_streams, 2),)]

    def step(self, ids, state):
        state[0][0].add_(1)
        return state

    def cells(self, state):
        return state[0][0]


peaks = []
for longest in (20_000, 1 << 19):
    found = featurize(Counter(), [b"a" * longest] + [b"short"] * 300)
    assert found[0, 0] == longest and (found[1:] == 5).all()
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[1] - peaks[0])
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_longest_text():
    run = subprocess.run([sys.executable, "-c", LONG_TEXT], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 2.5 * 1024  # KiB, of which the text takes 512; two numbers a byte would take 4,096


def test_progress_counts_every_byte_once(sum_runner):
    seen = []
    featurize(sum_runner, texts_of_lengths([5, 1, 3, 3]), batch_size=2, progress=lambda *now: seen.append(now))
    assert seen[-1] == (12, 12)
    assert sorted(seen) == seen


def test_progress_of_a_part_moves_within_the_whole():
    seen = []
    part = part_of(lambda *now: seen.append(now), 100, 200, 1000)
    part(0, 50)
    part(25, 50)
    part(50, 50)
    part(0, 0)
    assert seen == [(100, 1000), (150, 1000), (200, 1000), (100, 1000)]


def test_no_texts_have_no_features(sum_runner):
    assert featurize(sum_runner, []).shape == (0, 3)


def test_a_trace_has_the_value_after_every_byte(sum_runner):
    sums = np.cumsum(list(b"abc"))
    for unit in (2, 0):
        np.testing.assert_allclose(
            traces(sum_runner, [b"abc"], cell(sum_runner, unit)), [sums * UNITS[unit]], rtol=1e-6
        )
    assert traces(sum_runner, [b""], cell(sum_runner, 1)) == [[]]


def test_a_trace_ends_with_the_feature(language_model):
    runner = Runner(language_model.model)
    text = b"\n A trace and its feature. "
    for unit in (3, 1):
        assert traces(runner, [text], cell(runner, unit))[0][-1] == pytest.approx(
            featurize(runner, [text])[0, unit], abs=1e-6
        )


def test_texts_side_by_side_have_the_values_that_each_has_alone(language_model):
    runner = Runner(language_model.model)
    texts = [b"\n short ", b"\n a much longer text than the others ", b"", b"\n b "]
    together = traces(runner, texts, cell(runner, 5))
    for text, values in zip(texts, together, strict=True):
        np.testing.assert_allclose(values, traces(runner, [text], cell(runner, 5))[0], atol=1e-5)
    assert traces(runner, [], cell(runner, 5)) == []
