"""The captured training window: bookkeeping on an imitation of a graph, real recording where there is a GPU."""

import logging

import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.training import captured
from sentneuron.core.training.captured import CapturedWindow, window_of

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def imitation(monkeypatch, caplog):
    """On a CPU: a replay runs the window again and overwrites the recorded results, as a graph does."""
    caplog.set_level(logging.INFO, logger="sentneuron")
    if DEVICE.type == "cuda":
        return

    def record(run, device):
        run()  # a warm-up
        outputs = run()

        def replay() -> None:
            for output, fresh in zip(outputs, run(), strict=True):
                output.copy_(fresh)

        for output in outputs:
            output.fill_(torch.nan)  # a recording computes nothing yet
        return replay, outputs

    monkeypatch.setattr(captured, "DEVICE_TYPE", "cpu")
    monkeypatch.setattr(captured, "record", record)


WEIGHT = torch.tensor(0.5, device=DEVICE)


def make_model(**options) -> LanguageModel:
    torch.manual_seed(1)
    model = LanguageModel(ModelConfig(nhid=6, **{"emsize": 4} | options)).to(DEVICE)
    forget_gradients(model)
    return model


def forget_gradients(model: LanguageModel) -> None:
    """Set gradients to zero, where they lie."""
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        parameter.grad.zero_()


def make_window(seed: int, *, num_streams: int = 3, with_resets: bool = False):
    draw = torch.Generator().manual_seed(seed)
    ids, targets = torch.randint(0, 256, (2, num_streams, 5), generator=draw).to(DEVICE, torch.uint8)
    resets = torch.rand(num_streams, 5, generator=draw) < 0.4
    return ids, targets, resets.to(DEVICE) if with_resets else None


def steps(model: LanguageModel, window, num_steps: int = 5) -> list[torch.Tensor]:
    """Losses, gradients and states of a few steps of gradient descent, with resets in every other window."""
    state, seen = model.initial_state(3), []
    for step in range(num_steps):
        ids, targets, resets = make_window(step, with_resets=step % 2 == 1)
        forget_gradients(model)
        loss, state = window(ids, targets, state, resets, WEIGHT)
        seen += [loss, *(part for layer in state for part in layer)]
        seen += [parameter.grad.clone() for parameter in model.parameters()]
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= parameter.grad
    return seen


@pytest.mark.parametrize("options", [{}, {"nlayers": 2}, {"emsize": 6, "tied": True}, {"weight_norm": False}])
def test_a_replayed_window_gives_what_a_plain_one_gives(imitation, options):
    plain, recorded = make_model(**options), make_model(**options)
    wanted = steps(plain, CapturedWindow(plain.loss, plain.parameters(), refusal="to compare with"))
    found = steps(recorded, window_of(recorded))
    for one, two in zip(found, wanted, strict=True):
        assert torch.allclose(one, two, rtol=1e-5, atol=1e-6)


def test_a_returned_state_outlives_later_windows(imitation):
    model = make_model()
    window = window_of(model)
    start = model.initial_state(3)
    ids, targets, _ = make_window(0)
    loss, state = window(ids, targets, start, None, WEIGHT)
    kept = [part.clone() for part in state[0]]
    kept_loss = loss.clone()
    ids, targets, resets = make_window(1, with_resets=True)
    window(ids, targets, state, resets, WEIGHT)
    assert all(torch.equal(one, two) for one, two in zip(state[0], kept, strict=True))
    assert torch.equal(loss, kept_loss)
    assert not any(part.any() for part in start[0])
    assert not loss.requires_grad
    assert not any(part.requires_grad for part in state[0])


def test_windows_of_one_step_add_up_their_gradients(imitation):
    model = make_model()
    window = window_of(model)
    ids, targets, _ = make_window(0)
    window(ids, targets, model.initial_state(3), None, WEIGHT)
    once = [parameter.grad.clone() for parameter in model.parameters()]
    window(ids, targets, model.initial_state(3), None, 2 * WEIGHT)
    for parameter, gradient in zip(model.parameters(), once, strict=True):
        assert torch.allclose(parameter.grad, 3 * gradient)


def test_a_window_of_another_shape_runs_plainly_and_the_next_is_replayed(imitation, caplog):
    model = make_model()
    window = window_of(model)
    ids, targets, _ = make_window(0)
    first, _ = window(ids, targets, model.initial_state(3), None, WEIGHT)
    odd_ids, odd_targets, _ = make_window(0, num_streams=2)
    odd, state = window(odd_ids, odd_targets, model.initial_state(2), None, WEIGHT)
    assert state[0][0].shape == (2, 6)
    assert torch.allclose(odd, model.loss(odd_ids, odd_targets, model.initial_state(2))[0])
    forget_gradients(model)
    again, _ = window(ids, targets, model.initial_state(3), None, WEIGHT)
    assert torch.equal(again, first)
    assert caplog.text.count("not captured: a window of another shape") == 1
    assert caplog.text.count("captured in a CUDA graph") == 1


def test_a_recording_that_fails_is_not_tried_again_and_says_why(imitation, monkeypatch, caplog):
    tries = []

    def fail(run, device):
        tries.append(device)
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(captured, "record", fail)
    model = make_model()
    window = window_of(model)
    seen = steps(model, window, num_steps=3)
    assert all(part.isfinite().all() for part in seen)
    assert len(tries) == 1
    assert caplog.text.count("recording failed: operation not permitted") == 1


def test_cells_of_torch_are_not_recorded_and_the_reason_is_told(imitation, caplog):
    model = make_model(model="GRU")
    ids, targets, resets = make_window(0, with_resets=True)
    window_of(model)(ids, targets, model.initial_state(3), resets, WEIGHT)
    assert "torch's GRU is cut at reset positions" in caplog.text
    assert "in a CUDA graph" not in caplog.text


@pytest.mark.skipif(DEVICE.type == "cuda", reason="there is a GPU")
def test_without_a_gpu_a_window_is_plain_to_the_bit_and_says_so_once(caplog):
    caplog.set_level(logging.INFO, logger="sentneuron")
    model = make_model(dropout=0.3)
    ids, targets, resets = make_window(0, with_resets=True)
    window = window_of(model)
    torch.manual_seed(4)
    loss, state = window(ids, targets, model.initial_state(3), resets, WEIGHT)
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    forget_gradients(model)
    torch.manual_seed(4)
    wanted, wanted_state = model.loss(ids, targets, model.initial_state(3), resets)
    (wanted * WEIGHT).backward()
    assert torch.equal(loss, wanted)
    assert all(torch.equal(one, two) for one, two in zip(state[0], wanted_state[0], strict=True))
    assert all(torch.equal(one, two.grad) for one, two in zip(gradients, model.parameters(), strict=True))
    window(ids, targets, state, None, WEIGHT)
    assert caplog.text.count("not captured: cpu has no CUDA graphs") == 1


@pytest.mark.skipif(DEVICE.type == "cpu", reason="needs a GPU")
@pytest.mark.parametrize("kernel", ["sequence", "fused"])
def test_a_run_that_records_anew_draws_the_same_numbers(kernel):
    def generator_after(num_windows: int, *, record_again_at: int | None = None) -> torch.Tensor:
        torch.manual_seed(1)
        model = LanguageModel(ModelConfig(nhid=64, emsize=4, dropout=0.5), kernel=kernel).to(DEVICE)
        forget_gradients(model)
        window, state = window_of(model), model.initial_state(3)
        torch.cuda.manual_seed(7)
        for step in range(num_windows):
            if step == record_again_at:
                window = window_of(model)
            ids, targets, _ = make_window(step)
            _, state = window(ids, targets, state, None, WEIGHT)
        return torch.cuda.get_rng_state(DEVICE)

    assert not torch.equal(generator_after(1), generator_after(0))
    assert torch.equal(generator_after(4, record_again_at=2), generator_after(4))
