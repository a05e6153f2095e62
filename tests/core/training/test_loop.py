"""The training run: it learns, keeps the best weights, and a step that is not finite changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sentneuron.core.errors import DataError
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.training import loop
from sentneuron.core.training.journal import read_lines
from sentneuron.core.training.resume import load_run, resume_path


def test_a_run_learns_and_writes_everything(config):
    config = replace(config, max_steps=150, save_every="50")
    report = loop.train(config)
    log = read_lines(config.save.with_suffix(".log.jsonl"))
    steps = [line for line in log if "learning_rate" in line]
    assert set(steps[0]) == {
        "step",
        "epoch",
        "bytes",
        "bits_per_byte",
        "learning_rate",
        "grad_norm",
        "loss_scale",
        "bytes_per_second",
        "seconds",
    }
    assert steps[0]["bits_per_byte"] > 7
    assert steps[-1]["bits_per_byte"] < 5  # the entropy of single bytes here is 4.3
    assert [line["step"] for line in log if "valid_bits_per_byte" in line] == [50, 100, 150]
    assert report.steps == 150
    assert report.bytes == 150 * 64
    assert report.valid_bits_per_byte == min(line.get("valid_bits_per_byte", 9) for line in log)
    saved = load_model(config.save)
    assert saved.training["test_bits_per_byte"] == report.test_bits_per_byte
    assert saved.training["valid_bits_per_byte"] == report.valid_bits_per_byte
    assert saved.training["steps"] == 150
    assert saved.model.config == config.model


def test_the_model_file_keeps_the_best_validated_weights(config, monkeypatch):
    figures = iter([3.0, 2.0, 2.5, 2.6, 2.7, 9.9])
    monkeypatch.setattr(loop, "bits_per_byte", lambda *args, **kwargs: next(figures))
    report = loop.train(config)
    assert report.valid_bits_per_byte == 2.0
    assert load_model(config.save).training["steps"] == 14
    assert load_run(resume_path(config.save)).step == 30


def test_a_step_that_is_not_finite_touches_nothing(config, monkeypatch):
    seen: list[dict[str, torch.Tensor]] = []
    real = LanguageModel.loss

    def sometimes_infinite(self, *args):
        loss, state = real(self, *args)
        if self.training:
            seen.append({name: tensor.clone() for name, tensor in self.state_dict().items()})
            if len(seen) in (5, 6):
                return loss * float("inf"), state
        return loss, state

    monkeypatch.setattr(LanguageModel, "loss", sometimes_infinite)
    said: list[str] = []
    loop.train(replace(config, max_steps=10), announce=said.append)
    assert sum("skipped" in line for line in said) == 2
    for name in seen[0]:
        assert torch.equal(seen[4][name], seen[5][name])
        assert torch.equal(seen[5][name], seen[6][name])
    assert any(not torch.equal(seen[6][name], seen[7][name]) for name in seen[0])
    assert load_run(resume_path(config.save)).optimizer["moments"]["step"].item() == 8


@pytest.mark.slow
def test_fifty_steps_in_a_row_that_are_not_finite_end_the_run(config, monkeypatch):
    real = LanguageModel.loss

    def infinite_from_step_eight(self, *args):
        loss, state = real(self, *args)
        calls.append(self.training)
        return (loss * float("nan"), state) if self.training and calls.count(True) > 8 else (loss, state)

    calls: list[bool] = []
    monkeypatch.setattr(LanguageModel, "loss", infinite_from_step_eight)
    with pytest.raises(DataError, match=r"50 steps in a row.*model\.pt"):
        loop.train(replace(config, max_steps=100, save_every="7"))
    assert load_model(config.save).training["steps"] == 14  # validated there; the weights are those of step 8


@pytest.mark.slow
def test_max_hours_stops_and_leaves_the_decay_as_it_is(config):
    report = loop.train(replace(config, max_hours=1e-9))
    assert report.steps == 1
    assert not load_run(resume_path(config.save)).is_finished
    assert loop.train(config).steps == 30


def first_and_last_bits(save: Path) -> tuple[float, float]:
    bits = [line["bits_per_byte"] for line in read_lines(save.with_suffix(".log.jsonl")) if "learning_rate" in line]
    return bits[0], bits[-1]


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNNTanh", "RNNReLU"])
@pytest.mark.parametrize("precision", ["fp32", pytest.param("fp16", marks=pytest.mark.slow)])
def test_every_cell_trains(config, cell, precision):
    loop.train(replace(config, model=replace(config.model, model=cell), lr=0.02, precision=precision))
    first, last = first_and_last_bits(config.save)
    assert last < first


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_half_precision_learns_what_fp32_learns_in_a_file_of_half_the_size(config, tmp_path, precision, dtype):
    exact = loop.train(replace(config, save=tmp_path / "exact.pt"))
    half = loop.train(replace(config, precision=precision))
    assert half.bits_per_byte == pytest.approx(exact.bits_per_byte, rel=0.01)
    assert half.test_bits_per_byte == pytest.approx(exact.test_bits_per_byte, rel=0.01)
    contents = torch.load(config.save, weights_only=True)
    assert {tensor.dtype for tensor in (contents["encoder"] | contents["decoder"]).values()} == {dtype}
    assert {tensor.dtype for tensor in load_run(resume_path(config.save)).model.values()} == {torch.float32}


@pytest.mark.slow
def test_plain_gradient_descent_trains(config):
    loop.train(replace(config, optim="SGD", lr=30))
    first, last = first_and_last_bits(config.save)
    assert last < first - 0.3
