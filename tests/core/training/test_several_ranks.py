"""R3 and R7: several ranks train as one does, skip together, stop together, and go on in another number."""

import signal
from dataclasses import replace
from itertools import chain

import pytest
import torch

from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.training import loop
from sentneuron.core.training.journal import read_lines
from sentneuron.core.training.resume import load_run, resume_path

pytestmark = pytest.mark.slow


@pytest.fixture
def config(config):
    """Without dropout, whose numbers depend on how streams are shared; logged at every step."""
    return replace(config, model=replace(config.model, dropout=0.0), log_interval=1, max_steps=12, save_every="5")


def bits(save) -> list[float]:
    return [line["bits_per_byte"] for line in read_lines(save.with_suffix(".log.jsonl")) if "learning_rate" in line]


def assert_close(first, second) -> None:
    """Logs within 1e-5, weights within rounding."""
    assert bits(first) == pytest.approx(bits(second), abs=1e-5)
    expected = load_model(second).model.state_dict()
    for name, tensor in load_model(first).model.state_dict().items():
        assert torch.allclose(tensor, expected[name], rtol=1e-4, atol=1e-5), name


def test_one_two_and_four_ranks_see_the_same_windows_and_learn_the_same(config, tmp_path, train_ranks):
    whole = replace(config, save=tmp_path / "whole.pt")
    (alone,) = train_ranks(whole, 1, record=True)
    assert alone["report"]["steps"] == 12
    for size in (2, 4):
        shared = replace(config, batch_size=4 // size, save=tmp_path / f"{size}.pt")
        found = train_ranks(shared, size, record=True)
        together = [list(chain(*parts)) for parts in zip(*(rank["windows"] for rank in found), strict=True)]
        assert together == alone["windows"]
        assert_close(shared.save, whole.save)
        reports = [rank["report"] for rank in found]
        assert {report["test_bits_per_byte"] for report in reports} == {reports[0]["test_bits_per_byte"]}
        assert reports[0]["valid_bits_per_byte"] == pytest.approx(alone["report"]["valid_bits_per_byte"], abs=1e-5)


def test_passes_add_up_to_the_batch(config, tmp_path):
    whole = replace(config, save=tmp_path / "whole.pt")
    loop.train(whole)
    loop.train(replace(config, batch_size=1, accumulate=4))
    assert_close(config.save, whole.save)


@pytest.mark.parametrize("size", [1, 4])
def test_a_run_stopped_on_two_ranks_goes_on_on_another_number(config, tmp_path, train_ranks, size):
    config = replace(config, batch_size=2)
    whole = replace(config, save=tmp_path / "whole.pt")
    train_ranks(whole, 2)
    stopped = train_ranks(config, 2, signal=[1, 7, signal.SIGTERM])
    assert [rank["code"] for rank in stopped] == [75, 75]
    assert "stopped by a signal to another rank after step 7" in stopped[0]["error"]
    assert "stopped by SIGTERM after step 7" in stopped[1]["error"]
    assert load_run(resume_path(config.save)).step == 7
    resumed = train_ranks(config, size)
    assert [rank["report"]["steps"] for rank in resumed] == [12] * size
    assert any("going on from step 7" in line for line in resumed[0]["said"])
    assert_close(config.save, whole.save)


def test_the_same_number_of_ranks_goes_on_to_the_bit(config, tmp_path, train_ranks, assert_same_run):
    config = replace(config, batch_size=2, model=replace(config.model, dropout=0.1), log_interval=4)
    whole = replace(config, save=tmp_path / "whole.pt")
    train_ranks(whole, 2)
    train_ranks(config, 2, signal=[0, 6, signal.SIGINT])
    assert load_run(resume_path(config.save)).step == 6
    train_ranks(config, 2)
    assert_same_run(whole.save, config.save)


def test_a_global_batch_that_cannot_be_shared_is_wrong_usage(config, train_ranks):
    config = replace(config, batch_size=2)
    train_ranks(config, 2, signal=[1, 3, signal.SIGTERM])
    found = train_ranks(config, 3)
    assert {rank["code"] for rank in found} == {2}
    assert "3 processes cannot share the run's global batch of 4 streams equally" in found[0]["error"]


@pytest.mark.parametrize("fault", ["infinite", "nan"])
def test_a_fault_on_one_rank_makes_all_skip_and_changes_nothing(config, tmp_path, train_ranks, fault):
    """Two runs that differ only in the skipped step's fault end with equal weights: Adam saw the same gradients."""
    config = replace(config, batch_size=2, precision="fp16", max_steps=6, save_every="3", loss_scale="dynamic")
    found = train_ranks(config, 2, **{fault: [[1, 3]]})
    assert [rank["report"]["steps"] for rank in found] == [6, 6]
    assert sum("skipped" in line for line in found[0]["said"]) == 1
    run = load_run(resume_path(config.save))
    assert run.optimizer["num_updates"] == run.optimizer["moments"]["step"].item() == 5
    assert run.optimizer["loss_scale"] == 2.0**15
    log = [line for line in read_lines(config.save.with_suffix(".log.jsonl")) if "learning_rate" in line]
    assert [line["loss_scale"] for line in log] == [2.0**16] * 2 + [2.0**15] * 4
    assert log[2]["learning_rate"] == log[1]["learning_rate"] > log[3]["learning_rate"]


def test_fifty_faults_of_one_rank_end_all(config, train_ranks):
    found = train_ranks(replace(config, batch_size=2, max_steps=100), 2, nan=[[0, step] for step in range(3, 100)])
    assert [rank["code"] for rank in found] == [65, 65]
    assert "50 steps in a row" in found[1]["error"]
