"""R7 and one optimizer for three precisions: master weights, loss scale, clipping, and steps that change nothing."""

import copy
import math

import pytest
import torch
from torch import nn

from sentneuron.core.config import TrainConfig
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.training import loss_scale
from sentneuron.core.training.flat import ALIGNMENT, FlatParameters
from sentneuron.core.training.loss_scale import FLOOR, START, LossScale
from sentneuron.core.training.optimizer import Optimizer

SMALL = 2.0**-4
"""Gradients so small that the first loss scale, 2^16, fits into fp16 with them."""


class Affine(nn.Module):
    """A model of two parameters whose gradients are easy to see: the loss is their product with `factors`, summed."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.linspace(0.5, 1, 15).view(3, 5))
        self.second = nn.Parameter(torch.tensor([2.0]))

    def forward(self, factor: float = 1.0) -> torch.Tensor:
        return ((self.first.float().sum() + self.second.float().sum()) * factor).float()


def make(**settings) -> tuple[Affine, Optimizer]:
    model = Affine()
    return model, Optimizer(model, TrainConfig(**settings), Ranks())


def take_step(
    model: Affine, optimizer: Optimizer, factor: float = SMALL, *, learning_rate: float = 1e-3, passes: int = 1
):
    optimizer.begin()
    loss = torch.zeros(())
    for _ in range(passes):
        value = model(factor)
        value.backward(optimizer.loss_weight)
        loss += value.detach()
    return optimizer.step(loss, learning_rate=learning_rate)


@pytest.mark.parametrize("optim", ["Adam", "SGD"])
def test_in_fp32_it_is_torchs_optimizer_after_torchs_clipping(optim):
    model, optimizer = make(optim=optim, clip=0.7)
    plain = Affine()
    expected = getattr(torch.optim, optim)(plain.parameters(), lr=1e-3)
    for factor in (1.0, -3.0, 0.01, 2.0):
        outcome = take_step(model, optimizer, factor)
        expected.zero_grad()
        plain(factor).backward()
        norm = nn.utils.clip_grad_norm_(plain.parameters(), 0.7)
        expected.step()
        assert outcome.is_finite
        assert outcome.grad_norm == pytest.approx(norm.item())
        for one, two in zip(model.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(one, two, rtol=1e-6, atol=1e-7)
    assert optimizer.num_updates == 4


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_master_weights_add_up_what_half_precision_cannot_hold(precision):
    model, optimizer = make(precision=precision, optim="SGD", clip=1e9)
    assert model.second.dtype in (torch.float16, torch.bfloat16)
    before = model.second.item()
    take_step(model, optimizer, learning_rate=2e-4 / SMALL)
    assert model.second.item() == before  # 2.0 - 2e-4 rounds to 2.0
    for _ in range(99):
        take_step(model, optimizer, learning_rate=2e-4 / SMALL)
    assert optimizer.weights()["second"].item() == pytest.approx(2 - 100 * 2e-4, rel=1e-5)
    assert model.second.item() == pytest.approx(2 - 100 * 2e-4, rel=1e-2)
    assert model.second.item() < before


@pytest.mark.parametrize("scale", ["1", "1024", "dynamic"])
def test_the_scale_shows_neither_in_the_norm_nor_in_the_weights(scale):
    model, optimizer = make(precision="fp16", loss_scale=scale, clip=0.1)
    outcome = take_step(model, optimizer)
    assert outcome.grad_norm == pytest.approx(4 * SMALL)  # sixteen gradients of SMALL
    unscaled, other = make(precision="bf16", clip=0.1)
    take_step(unscaled, other)
    for name, part in optimizer.weights().items():
        assert torch.equal(part, other.weights()[name])


@pytest.mark.parametrize("factor", [float("inf"), float("nan"), 6000.0])
def test_an_overflow_halves_the_scale_and_touches_nothing(factor):
    model, optimizer = make(precision="fp16")
    take_step(model, optimizer)
    before = copy.deepcopy((optimizer.weights(), optimizer.state_dict()["moments"], model.state_dict()))
    outcome = take_step(model, optimizer, factor)
    assert not outcome.is_finite
    assert outcome.loss_is_finite == math.isfinite(factor)
    after = optimizer.weights(), optimizer.state_dict()["moments"], model.state_dict()
    for one, two in zip(before, after, strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)
    assert optimizer.num_updates == 1
    assert optimizer.loss_scale.value == START / 2
    assert take_step(model, optimizer).is_finite


def test_several_passes_give_the_mean_gradient():
    model = Affine()
    optimizer = Optimizer(model, TrainConfig(clip=1e9), Ranks(), num_shares=4)
    assert take_step(model, optimizer, passes=4).grad_norm == pytest.approx(4 * SMALL)


@pytest.mark.parametrize(("precision", "optim"), [("fp32", "Adam"), ("fp16", "Adam"), ("bf16", "SGD")])
def test_a_restored_optimizer_goes_on_to_the_bit(precision, optim):
    model, optimizer = make(precision=precision, optim=optim)
    take_step(model, optimizer, 6000.0)  # halves the scale of fp16
    take_step(model, optimizer)
    kept = copy.deepcopy((optimizer.weights(), optimizer.state_dict()))
    again, restored = make(precision=precision, optim=optim)
    restored.load(*kept)
    for factor in (0.03, -0.2):
        take_step(model, optimizer, factor)
        take_step(again, restored, factor)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), again.parameters(), strict=True))
    assert restored.loss_scale.value == optimizer.loss_scale.value
    assert restored.num_updates == optimizer.num_updates


def test_the_scale_doubles_after_enough_good_steps_and_stops_at_its_floor(monkeypatch):
    monkeypatch.setattr(loss_scale, "PATIENCE", 3)
    scale = LossScale()
    seen = []
    for is_finite in (True, True, False, True, True, True, True):
        scale.update(is_finite=is_finite)
        seen.append(scale.value / START)
    assert seen == [1, 1, 0.5, 0.5, 0.5, 1, 1]
    for _ in range(100):
        scale.update(is_finite=False)
    assert scale.value == FLOOR
    for _ in range(200):
        scale.update(is_finite=True)
    assert scale.value == loss_scale.CEILING


def test_a_fixed_scale_stays():
    scale = LossScale(1024)
    for is_finite in [False] * 5 + [True] * 5000:
        scale.update(is_finite=is_finite)
    assert scale.value == 1024


def test_parameters_and_gradients_are_views_that_hold_what_they_held():
    model, before = Affine(), Affine()
    flat = FlatParameters(model, torch.float32, num_notes=2)
    assert len(flat.exchanged) == flat.size + 2 == 2 * ALIGNMENT + 2
    for one, two in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(one, two)
        assert one.data_ptr() % (ALIGNMENT * 4) == flat.weights.data_ptr() % (ALIGNMENT * 4)
    model(2.0).backward()
    assert flat.gradients.sum() == 32
    assert torch.equal(flat.split(flat.gradients)["first"], torch.full((3, 5), 2.0))
