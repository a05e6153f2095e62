"""The language model: every cell carries state, obeys resets and agrees with its one-byte-at-a-time runner."""

from typing import get_args

import pytest
import torch

from sentneuron.core.config import Cell, ModelConfig
from sentneuron.core.errors import UsageError
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner

CELLS = get_args(Cell)


def make_model(**settings) -> LanguageModel:
    torch.manual_seed(1)
    return LanguageModel(ModelConfig(**({"nhid": 12, "emsize": 6} | settings))).double()


def random_bytes(num_streams: int, num_steps: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (num_streams, num_steps), generator=draw, dtype=torch.uint8)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_two_windows_equal_one_long_window(cell, num_layers):
    model, ids = make_model(model=cell, nlayers=num_layers), random_bytes(3, 20)
    whole, last = model(ids, model.initial_state(3))
    first, state = model(ids[:, :7], model.initial_state(3))
    second, state = model(ids[:, 7:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=0, atol=1e-9)
    torch.testing.assert_close(state, last, rtol=0, atol=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_a_reset_equals_starting_from_the_zero_state(cell):
    model, ids = make_model(model=cell), random_bytes(2, 10)
    resets = torch.zeros(2, 10, dtype=torch.bool)
    resets[0, 0] = resets[1, 4] = True
    state = [tuple(part + 0.5 for part in layer) for layer in model.initial_state(2)]
    logits, _ = model(ids, state, resets)
    zero, _ = model(ids, model.initial_state(2))
    from_four, _ = model(ids[:, 4:], model.initial_state(2))
    torch.testing.assert_close(logits[0], zero[0], rtol=0, atol=1e-9)
    torch.testing.assert_close(logits[1, 4:], from_four[1], rtol=0, atol=1e-9)
    assert not torch.allclose(logits[1, :4], zero[1, :4])


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_the_runner_equals_the_model_one_byte_at_a_time(cell, num_layers):
    model, ids = make_model(model=cell, nlayers=num_layers), random_bytes(3, 8)
    logits, last = model(ids, model.initial_state(3))
    runner = Runner(model)
    state = runner.initial_state(3)
    for step in range(8):
        state = runner.step(ids[:, step], state)
        torch.testing.assert_close(runner.logits(state), logits[:, step].float(), rtol=0, atol=1e-5)
    torch.testing.assert_close(runner.cells(state), last[-1][-1].float(), rtol=0, atol=1e-5)
    assert not runner.cells(state).requires_grad


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_equal_finite_differences_in_float64(cell):
    model = make_model(model=cell, nhid=4, emsize=3)
    ids = random_bytes(2, 6)
    loss, _ = model.loss(ids[:, :-1], ids[:, 1:], model.initial_state(2))
    loss.double().backward()
    parameter = max(
        (parameter for name, parameter in model.layers.named_parameters()), key=lambda leaf: leaf.grad.norm()
    )
    index = int(parameter.grad.abs().argmax())
    expected = parameter.grad.flatten()[index].item()
    values = []
    for shift in (1e-4, -1e-4):
        with torch.no_grad():
            parameter.view(-1)[index] += shift
            logits, _ = model(ids[:, :-1], model.initial_state(2))
            values.append(torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten().long()).item())
            parameter.view(-1)[index] -= shift
    assert (values[0] - values[1]) / 2e-4 == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_one_batch_can_be_learnt_by_heart():
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(nhid=64, emsize=16))
    ids = random_bytes(4, 33)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(120):
        loss, _ = model.loss(ids[:, :-1], ids[:, 1:], model.initial_state(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 5.0
    assert losses[-1] < 0.05


def test_weight_norm_starts_from_the_same_function_and_keeps_row_lengths():
    model = make_model(weight_norm=True)
    layer = model.recurrent_layers[0]
    weights = layer.weights()
    torch.testing.assert_close(weights["weight_hh"].norm(dim=1), layer.get_parameter("weight_hh_g"))
    with torch.no_grad():
        layer.get_parameter("weight_hh_v").mul_(7.0)
    torch.testing.assert_close(layer.weights()["weight_hh"], weights["weight_hh"])


def test_a_tied_decoder_is_the_embedding():
    model = make_model(tied=True, nhid=12, emsize=12)
    assert model.decoder.weight is model.embedding.weight
    names = [name for name, _ in model.named_parameters()]
    assert "decoder.weight" not in names


def test_tied_weights_of_different_sizes_are_wrong_usage():
    with pytest.raises(UsageError, match="--emsize 64 and --nhid 128"):
        ModelConfig(tied=True, nhid=128)


def test_dropout_acts_in_training_only():
    model, ids = make_model(dropout=0.5, nlayers=2), random_bytes(2, 8)
    model.eval()
    calm, _ = model(ids, model.initial_state(2))
    again, _ = model(ids, model.initial_state(2))
    model.train()
    noisy, _ = model(ids, model.initial_state(2))
    assert torch.equal(calm, again)
    assert not torch.allclose(calm, noisy)


@pytest.mark.parametrize("cell", CELLS)
def test_an_untrained_model_needs_about_eight_bits_a_byte(cell):
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(model=cell, nhid=32))
    ids = random_bytes(4, 65)
    loss, _ = model.loss(ids[:, :-1], ids[:, 1:], model.initial_state(4))
    assert loss.item() / 0.693147 == pytest.approx(8.0, abs=0.4)


@pytest.mark.parametrize("kernel", ["reference", "sequence"])
def test_recomputing_gives_the_same_gradients(kernel):
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(1)
        model = LanguageModel(ModelConfig(nhid=12, emsize=6, nlayers=2), kernel=kernel, recompute=recompute).double()
        loss, _ = model.loss(random_bytes(3, 20), random_bytes(3, 20), model.initial_state(3))
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_model_in_half_precision_keeps_its_cell_state_in_fp32(dtype):
    model, ids = make_model(nlayers=2), random_bytes(3, 20)
    exact, _ = model.loss(ids, ids, model.initial_state(3))
    model.to(dtype)
    first = model.initial_state(3)
    loss, last = model.loss(ids, ids, first)
    for layer in (*first, *last):
        assert [part.dtype for part in layer] == [dtype, torch.float32]
    assert loss.item() == pytest.approx(exact.item(), rel=0.01)
    loss.backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in model.parameters())
