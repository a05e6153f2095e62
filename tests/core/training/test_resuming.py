"""A run that was stopped goes on to the bit, and refuses what belongs to another run."""

import signal
from dataclasses import replace

import pytest
import torch

from sentneuron.core.errors import DataError, InterruptedRunError, OutputError, StoppedError
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.training import loop
from sentneuron.core.training.resume import RunState, load_run, resume_path, save_run


@pytest.mark.parametrize(
    ("stop_step", "number"),
    [
        (13, signal.SIGUSR1),
        pytest.param(14, signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(2, signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(29, signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_goes_on_to_the_same_bits(config, tmp_path, stop_step, number, assert_same_run, stop_after):
    whole = replace(config, save=tmp_path / "whole.pt")
    loop.train(whole)
    with pytest.raises(InterruptedRunError if number == signal.SIGINT else StoppedError, match=f"step {stop_step}"):
        loop.train(config, progress=stop_after(stop_step, number))
    assert load_run(resume_path(config.save)).step == stop_step
    torch.manual_seed(99)
    said: list[str] = []
    loop.train(config, announce=said.append)
    assert any(f"going on from step {stop_step} " in line for line in said)
    assert_same_run(whole.save, config.save)


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_save_across_an_epoch(config, tmp_path, assert_same_run):
    config = replace(config, max_steps=None, epochs=2, save_every="50", log_interval=30)
    whole = replace(config, save=tmp_path / "whole.pt")
    report = loop.train(whole)
    kill_at = report.steps // 2 + 20

    class Killed(BaseException):
        pass

    def progress(done: int, total: int | None = None, note: str = "") -> None:
        if done == kill_at * 64:
            raise Killed

    with pytest.raises(Killed):
        loop.train(config, progress=progress)
    assert load_run(resume_path(config.save)).step == kill_at // 50 * 50
    loop.train(config)
    assert_same_run(whole.save, config.save)


def test_everything_in_the_run_state_is_in_the_file(config, stop_after):
    """A new field of RunState has to be added here, with a check."""
    with pytest.raises(StoppedError):
        loop.train(config, progress=stop_after(10, signal.SIGTERM))
    run = load_run(resume_path(config.save))
    checked = {
        "identity": run.identity["lr"] == 0.1 and run.identity["nhid"] == 16 and "data_fingerprint" in run.identity,
        "step": run.step == 10,
        "hidden": [tuple(part.shape for part in layer) for layer in run.hidden] == [((4, 16), (4, 16))],
        "model": set(run.model) == set(load_model(config.save).model.state_dict()),
        "optimizer": set(run.optimizer) == {"num_updates", "loss_scale", "good_steps", "moments"}
        and run.optimizer["num_updates"] == run.optimizer["moments"]["step"].item() == 10
        and "exp_avg_sq" in run.optimizer["moments"],
        "interval_loss": run.interval_loss > 0,
        "interval_steps": run.interval_steps == 2,
        "bits_per_byte": run.bits_per_byte is not None and 0 < run.bits_per_byte < 9,
        "grad_norm": run.grad_norm > 0,
        "num_skipped": run.num_skipped == 0,
        "best_valid": run.best_valid is not None,
        "seconds": run.seconds > 0,
        "is_finished": run.is_finished is False,
    }
    assert set(checked) == set(RunState.__dataclass_fields__)
    assert [name for name, holds in checked.items() if not holds] == []


def changed(run: RunState, **changes: object) -> RunState:
    for name, value in changes.items():
        setattr(run, name, value)
    return run


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: changed(run, identity=[1]), "its identity is not"),
        (lambda run: changed(run, identity={"lr": 0.1}), "of None streams"),
        (lambda run: changed(run, step="4"), "its step is not"),
        (lambda run: changed(run, step=True), "its step is not"),
        (lambda run: changed(run, step=-1), "step -1 of 4 streams"),
        (lambda run: changed(run, best_valid="low"), "its best_valid is not"),
        (lambda run: changed(run, hidden=[1, 2]), "its hidden is not"),
        (lambda run: changed(run, hidden=[(torch.zeros(3, 16),) * 2]), r"hidden is \[\[\[3, 16\], \[3, 16\]\]\], not"),
        (lambda run: changed(run, model={}), "embedding.weight"),
        (lambda run: changed(run, model=run.model | {"decoder.bias": torch.zeros(3)}), r"decoder.bias is \[3\], not"),
        (lambda run: changed(run, optimizer={}), "num_updates"),
        (lambda run: changed(run, optimizer=run.optimizer | {"loss_scale": "1"}), "loss_scale is str"),
        (lambda run: changed(run, optimizer=run.optimizer | {"moments": {}}), r"moments are \{\}, not"),
        (lambda run: changed(run, optimizer=run.optimizer | {"moments": {"step": 1}}), "moments are"),
    ],
)
def test_a_sound_file_that_holds_no_such_run_is_refused(config, stop_after, change, said):
    """Checksums hold: somebody, or a fault of ours, wrote it so."""
    with pytest.raises(StoppedError):
        loop.train(config, progress=stop_after(2, signal.SIGTERM))
    save_run(resume_path(config.save), change(load_run(resume_path(config.save))))
    with pytest.raises(DataError, match=rf"model\.resume\.pt cannot be gone on with: .*{said}"):
        loop.train(config)


@pytest.mark.slow
def test_a_finished_run_says_so_and_changes_nothing(config):
    first = loop.train(config)
    before = config.save.read_bytes(), config.save.with_suffix(".log.jsonl").read_bytes()
    said: list[str] = []
    again = loop.train(config, announce=said.append)
    assert again.was_finished
    assert again.steps == first.steps
    assert any("finished at step 30" in line for line in said)
    assert before == (config.save.read_bytes(), config.save.with_suffix(".log.jsonl").read_bytes())


def test_another_configuration_is_refused_with_the_difference_named(config):
    loop.train(config)
    with pytest.raises(OutputError, match=r"lr: 0\.1 -> 0\.2; nhid: 16 -> 17"):
        loop.train(replace(config, lr=0.2, model=replace(config.model, nhid=17)))
    loop.train(replace(config, lr=0.2, resume="never"))


@pytest.mark.slow
def test_a_run_may_go_on_with_recomputation(config, stop_after):
    with pytest.raises(StoppedError):
        loop.train(config, progress=stop_after(10, signal.SIGTERM))
    assert loop.train(replace(config, recompute=True)).steps == 30


@pytest.mark.slow
def test_a_finished_run_is_made_longer_only_where_its_resume_file_is_named(config, tmp_path):
    loop.train(config)
    with pytest.raises(OutputError, match="max_steps: 30 -> 40"):
        loop.train(replace(config, max_steps=40))
    longer = replace(config, max_steps=40, resume=str(resume_path(config.save)))
    assert loop.train(longer).steps == 40
    assert loop.train(replace(config, max_steps=40)).was_finished
    with pytest.raises(OutputError, match=r"clip: 1\.0 -> 2\.0"):
        loop.train(replace(longer, clip=2.0))


@pytest.mark.slow
def test_other_data_are_refused(config, tmp_path):
    loop.train(config)
    (tmp_path / "other.txt").write_text("another text altogether\n" * 500)
    with pytest.raises(OutputError, match="data_fingerprint"):
        loop.train(replace(config, data=str(tmp_path / "other.txt"), split=(1, 0, 0)))


@pytest.mark.slow
def test_a_model_without_its_resume_file_is_not_overwritten(config):
    loop.train(config)
    resume_path(config.save).unlink()
    before = config.save.read_bytes()
    with pytest.raises(OutputError, match="exists without"):
        loop.train(config)
    assert config.save.read_bytes() == before
