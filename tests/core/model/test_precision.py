"""Precision: every one is near the fp32 product, none is the fp32 product, and no row depends on another."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from sentneuron.core.config import ModelConfig, Precision
from sentneuron.core.errors import UsageError
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.model.precision import make_product
from sentneuron.core.model.runner import Runner

ERRORS = {"fp32": (0, 1e-6), "fp16": (5e-5, 6e-4), "bf16": (5e-4, 5e-3), "int8": (2e-3, 2e-2)}
"""Smallest and largest error of a product, relative to its norm."""


@pytest.fixture
def weight() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(70, 130) / 130**0.5


@pytest.mark.parametrize("precision", ERRORS)
def test_a_product_is_as_near_as_its_precision_says(weight, precision):
    inputs = torch.randn(9, 130)
    expected = inputs @ weight.t()
    product = make_product(weight, precision)
    out = torch.full((9, 70), math.nan)
    product(inputs, out)
    low, high = ERRORS[precision]
    assert low <= float((out - expected).norm() / expected.norm()) <= high
    added = torch.ones(9, 70)
    product(inputs, added, add=True)
    torch.testing.assert_close(added, out + 1, rtol=0, atol=1e-6)


def test_an_int8_row_does_not_depend_on_its_neighbours(weight):
    product = make_product(weight, "int8")
    inputs = torch.randn(9, 130) * torch.logspace(-6, 3, 9).unsqueeze(1)
    together, alone = torch.empty(9, 70), torch.empty(1, 70)
    product(inputs, together)
    for row in (0, 4, 8):
        product(inputs[row : row + 1], alone)
        assert torch.equal(alone[0], together[row])


def test_an_int8_product_of_nothing_is_nothing(weight):
    out = torch.empty(2, 70)
    make_product(weight, "int8")(torch.zeros(2, 130), out)
    assert not out.any()


def test_an_unknown_precision_is_wrong_usage(weight):
    with pytest.raises(UsageError, match="--precision fp8"):
        make_product(weight, "fp8")


def test_int8_off_the_cpu_is_wrong_usage(weight):
    with pytest.raises(UsageError, match="--precision int8 on meta"):
        make_product(weight.to("meta"), "int8")


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNNTanh", "RNNReLU"])
def test_a_precision_for_another_cell_is_wrong_usage(cell, precision):
    with pytest.raises(UsageError, match=f"--precision {precision} on a {cell} model"):
        Runner(LanguageModel(ModelConfig(model=cell, nhid=8)), precision=precision)


def bits_per_byte(runner: Runner, text: bytes) -> float:
    state = runner.initial_state(1)
    total = 0.0
    for byte, target in itertools.pairwise(text):
        state = runner.step(torch.tensor([byte]), state)
        total += float(cross_entropy(runner.logits(state), torch.tensor([target])))
    return total / (len(text) - 1) / math.log(2)


@pytest.mark.slow
def test_the_shipped_model_loses_little_and_something_by_each_precision():
    model = load_model(PRETRAINED).model
    text = b"\n We drove to a cinema in Leeds on a wet Thursday, and the projector broke twice before the second reel. "
    names: list[Precision] = ["fp32", "bf16", "int8"]  # fp16 is slow on a CPU, and nearer than bf16: see above
    exact, half, int8 = (bits_per_byte(Runner(model, precision=name), text) for name in names)
    assert 1.0 < exact < 3.0, exact
    assert 0 < abs(half - exact) < 0.01
    assert 0 < abs(int8 - exact) < 0.03


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_every_product_of_every_layer_has_the_precision(precision):
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(nhid=16, emsize=8, nlayers=2))
    exact, other = Runner(model), Runner(model, precision=precision)
    state, other_state = exact.initial_state(2), other.initial_state(2)
    for byte in b"abc":
        state = exact.step(torch.tensor([byte, byte]), state)
        other_state = other.step(torch.tensor([byte, byte]), other_state)
    for layer, other_layer in zip(state, other_state, strict=True):
        assert not torch.equal(layer[1], other_layer[1])
        torch.testing.assert_close(layer[1], other_layer[1], rtol=0, atol=0.05)
