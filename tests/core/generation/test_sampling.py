"""Sampling against its definition: temperature, top-k, top-p, seeds, batches and pins."""

import math
import random

import pytest
import torch

from sentneuron.core.config import ModelConfig, Precision
from sentneuron.core.errors import DataError
from sentneuron.core.generation.sampling import pick_bytes, restrict, sample
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner


@pytest.fixture(scope="module", params=["mLSTM", "LSTM", "GRU"])
def runner(request: pytest.FixtureRequest) -> Runner:
    torch.manual_seed(1)
    model = LanguageModel(ModelConfig(model=request.param, nhid=12, emsize=6, nlayers=2))
    with torch.no_grad():
        model.decoder.weight.mul_(20)  # far from uniform, so that a wrong state shows
    return Runner(model)


def logits_of(probabilities: dict[int, float]) -> torch.Tensor:
    """Return logits [1, 256] of a distribution over a few bytes."""
    logits = torch.full((1, 256), -1e9)
    for byte, probability in probabilities.items():
        logits[0, byte] = math.log(probability)
    return logits


def cell(runner, unit):
    """What reads a unit's cell value."""
    return lambda state: runner.cells(state)[:, unit]


def test_a_draw_falls_where_the_cumulative_probability_says():
    logits = logits_of({10: 0.5, 20: 0.3, 30: 0.2})
    draws = {0.0: 10, 0.49: 10, 0.51: 20, 0.79: 20, 0.81: 30, 1 - 2**-53: 30}
    assert {draw: pick_bytes(logits, [draw], temperature=1.0)[0] for draw in draws} == draws


def test_the_share_of_each_byte_is_its_probability():
    logits = logits_of({65: 0.6, 66: 0.3, 67: 0.1}).expand(6000, 256)
    source = random.Random(0)
    picked = pick_bytes(logits, [source.random() for _ in range(6000)], temperature=1.0)
    for byte, probability in ((65, 0.6), (66, 0.3), (67, 0.1)):
        assert picked.count(byte) / 6000 == pytest.approx(probability, abs=0.02)


def test_temperature_zero_takes_the_likeliest_byte_whatever_the_draw():
    logits = logits_of({10: 0.34, 20: 0.36, 30: 0.3})
    assert pick_bytes(logits.expand(2, 256), [0.0, 0.999], temperature=0) == [20, 20]


@pytest.mark.parametrize("temperature", [1e-300, 1e-3, 1.0, 50.0, 1e300])
def test_every_temperature_gives_bytes(temperature: float):
    picked = pick_bytes(torch.randn(50, 256) * 30, [k / 50 for k in range(50)], temperature=temperature)
    assert all(0 <= byte < 256 for byte in picked)


def test_a_high_temperature_flattens_and_a_low_one_sharpens():
    logits = logits_of({10: 0.6, 20: 0.4})
    assert pick_bytes(logits, [0.55], temperature=1.0) == [10]
    assert pick_bytes(logits, [0.55], temperature=10.0) == [20]
    assert pick_bytes(logits, [0.95], temperature=0.05) == [10]


def test_top_k_keeps_exactly_k_bytes_even_among_equals():
    kept = restrict(torch.full((1, 256), 1 / 256), top_k=3, top_p=None)
    assert int((kept > 0).sum()) == 3


def test_top_k_beyond_the_alphabet_changes_nothing():
    probabilities = torch.randn(2, 256).softmax(1)
    assert torch.equal(restrict(probabilities, top_k=1000, top_p=None), probabilities)


@pytest.mark.parametrize(
    ("share", "kept"), [(0.4, {10}), (0.5, {10}), (0.51, {10, 20}), (0.8, {10, 20}), (1.0, {10, 20, 30})]
)
def test_top_p_keeps_the_fewest_bytes_that_hold_the_share(share: float, kept: set[int]):
    probabilities = torch.zeros(1, 256, dtype=torch.double)
    probabilities[0, [10, 20, 30]] = torch.tensor([0.5, 0.3125, 0.1875], dtype=torch.double)
    assert set(restrict(probabilities, top_k=None, top_p=share)[0].nonzero().flatten().tolist()) == kept


def test_top_p_counts_the_share_among_what_top_k_left():
    probabilities = torch.zeros(1, 256, dtype=torch.double)
    probabilities[0, [10, 20, 30]] = torch.tensor([0.5, 0.25, 0.25], dtype=torch.double)
    assert int((restrict(probabilities, top_k=2, top_p=0.6) > 0).sum()) == 1


def test_logits_that_are_not_finite_are_an_error():
    with pytest.raises(DataError, match="not finite"):
        pick_bytes(torch.full((1, 256), math.nan), [0.5], temperature=1.0)


def test_the_length_counts_bytes_after_the_prompt(runner: Runner):
    made = sample(runner, b"\n I loved", length=17, num_samples=3)
    assert [len(data) for data in made.samples] == [17, 17, 17]


def test_a_seed_repeats_its_samples_and_another_changes_them(runner: Runner):
    first, again, other = (sample(runner, b"\n a", length=30, num_samples=2, seed=seed).samples for seed in (5, 5, 6))
    assert first == again
    assert first != other
    assert first[0] != first[1]


def test_a_sample_does_not_depend_on_how_many_there_are(runner: Runner):
    few = sample(runner, b"\n a", length=30, num_samples=2).samples
    many = sample(runner, b"\n a", length=30, num_samples=5).samples
    assert many[:2] == few
    assert sample(runner, b"\n a", length=30, num_samples=1).samples == few[:1]


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_a_sample_does_not_depend_on_how_many_there_are_at_a_precision(precision: Precision):
    torch.manual_seed(1)
    runner = Runner(LanguageModel(ModelConfig(nhid=12, emsize=6)), precision=precision)
    few = sample(runner, b"\n a", length=30, num_samples=2).samples
    assert sample(runner, b"\n a", length=30, num_samples=5).samples[:2] == few


def test_temperature_zero_is_the_chain_of_likeliest_bytes(runner: Runner):
    prompt = b"\n It was"
    expected = bytearray()
    state = runner.initial_state(1)
    for byte in prompt:
        state = runner.step(torch.tensor([byte]), state)
    for _ in range(12):
        expected.append(int(runner.logits(state).argmax()))
        state = runner.step(torch.tensor([expected[-1]]), state)
    assert sample(runner, prompt, length=12, temperature=0).samples == [bytes(expected)]


def test_recorded_values_are_the_cell_after_each_byte(runner: Runner):
    made = sample(runner, b"\n ab", length=9, num_samples=2, watch=cell(runner, 7))
    state = runner.initial_state(1)
    expected = []
    for byte in b"\n ab" + made.samples[1]:
        state = runner.step(torch.tensor([byte]), state)
        expected.append(float(runner.cells(state)[0, 7]))
    assert [*made.prompt_values, *made.sample_values[1]] == pytest.approx(expected, abs=1e-6)


def test_a_pinned_neuron_holds_its_value_at_every_step_and_steers_the_rest(runner: Runner):
    free = sample(runner, b"\n ab", length=40, temperature=0, watch=cell(runner, 7))
    pinned = sample(runner, b"\n ab", length=40, temperature=0, watch=cell(runner, 7), pins={7: 5.0, 2: -5.0})
    assert {*pinned.prompt_values, *pinned.sample_values[0]} == {5.0}
    assert pinned.samples != free.samples


def test_on_all_layers_a_number_names_a_unit_of_any_layer_from_the_bottom_up(runner: Runner):
    deep = Runner(runner.model, all_layers=True)
    top, bottom = 12 + 7, 7
    free = {unit: sample(deep, b"\n ab", length=9, watch=cell(deep, unit)) for unit in (top, bottom)}
    assert free[top] == sample(runner, b"\n ab", length=9, watch=cell(runner, 7))
    assert free[bottom].prompt_values != free[top].prompt_values
    pinned = sample(deep, b"\n ab", length=9, watch=cell(deep, top), pins={bottom: 4.0})
    assert pinned.prompt_values[0] == free[top].prompt_values[0]  # a pin shows from the next byte on
    assert pinned.prompt_values[1] != free[top].prompt_values[1]
    assert set(sample(deep, b"\n ab", length=9, watch=cell(deep, bottom), pins={bottom: 4.0}).prompt_values) == {4.0}


def test_what_is_not_kept_is_handed_out_all_the_same(runner: Runner):
    seen: list[list[int]] = []
    made = sample(runner, b"\n ", length=8, num_samples=2, watch=cell(runner, 7), keep=False, on_bytes=seen.append)
    assert (made.samples, [len(values) for values in made.sample_values]) == ([b"", b""], [0, 0])
    assert len(made.prompt_values) == 2
    kept = sample(runner, b"\n ", length=8, num_samples=2, watch=cell(runner, 7)).samples
    assert [bytes(row[index] for row in seen) for index in range(2)] == kept


def test_bytes_are_handed_out_as_they_are_drawn(runner: Runner):
    seen: list[list[int]] = []
    made = sample(runner, b"\n ", length=8, num_samples=2, on_bytes=seen.append)
    assert [bytes(row[index] for row in seen) for index in range(2)] == made.samples


def test_progress_ends_at_prompt_and_length_together(runner: Runner):
    calls: list[tuple[int, int | None]] = []
    sample(runner, b"\n abc", length=4, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 9) for done in range(1, 10)]
