"""The training run: it learns, stops, goes on to the bit, and refuses what belongs to another run."""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from sentneuron.core.config import ModelConfig, ShardConfig, TrainConfig
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.errors import DataError, InterruptedRunError, OutputError, StoppedError, UsageError
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.training import loop
from sentneuron.core.training.journal import read_lines
from sentneuron.core.training.resume import RunState, load_run, resume_path


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    """A small corpus with three splits; the text has something to learn."""
    folder = tmp_path_factory.mktemp("corpus")
    texts = [f"review {number}: the film was {'very ' * (number % 4)}good, I say" for number in range(400)]
    (folder / "reviews.txt").write_text("\n".join(texts))
    config = ShardConfig(
        inputs=(str(folder / "reviews.txt"),), output=folder / "reviews.shards", shards=12, split=(10, 1, 1)
    )
    write_shards(config)
    return folder / "reviews.shards"


@pytest.fixture
def config(shards, tmp_path) -> TrainConfig:
    return TrainConfig(
        data=str(shards),
        model=ModelConfig(nhid=16, emsize=8, dropout=0.1),
        lr=0.1,
        batch_size=4,
        seq_length=16,
        max_steps=30,
        save_every="7",
        log_interval=4,
        save=tmp_path / "model.pt",
    )


def without_clock(path: Path) -> list[dict]:
    return [
        {name: value for name, value in line.items() if name not in ("seconds", "bytes_per_second")}
        for line in read_lines(path)
    ]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_model(path).model.state_dict()


def assert_same_run(first: Path, second: Path) -> None:
    for name, tensor in weights(first).items():
        assert torch.equal(tensor, weights(second)[name]), name
    assert without_clock(first.with_suffix(".log.jsonl")) == without_clock(second.with_suffix(".log.jsonl"))
    one, two = load_run(resume_path(first)), load_run(resume_path(second))
    for name, tensor in one.model.items():
        assert torch.equal(tensor, two.model[name]), name


def stop_after(step: int, number: signal.Signals):
    """A progress callback that sends a signal to this process at a step."""

    def progress(done: int, total: int | None = None, note: str = "") -> None:
        if done == step * 64:
            os.kill(os.getpid(), number)

    return progress


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


@pytest.mark.parametrize(
    ("stop_step", "number"),
    [(1, signal.SIGTERM), (13, signal.SIGUSR1), (14, signal.SIGINT), (29, signal.SIGTERM)],
)
def test_a_stopped_run_goes_on_to_the_same_bits(config, tmp_path, stop_step, number):
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
def test_a_killed_run_goes_on_from_its_last_save_across_an_epoch(config, tmp_path):
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


def test_everything_in_the_run_state_is_restored(config):
    """A new field of RunState has to be added here, with a check."""
    with pytest.raises(StoppedError):
        loop.train(config, progress=stop_after(10, signal.SIGTERM))
    run = load_run(resume_path(config.save))
    checked = {
        "identity": run.identity["lr"] == 0.1 and run.identity["nhid"] == 16 and "data_fingerprint" in run.identity,
        "step": run.step == 10,
        "hidden": [tuple(part.shape for part in layer) for layer in run.hidden] == [((4, 16), (4, 16))],
        "model": set(run.model) == set(weights(config.save)),
        "optimizer": run.optimizer["state"][0]["step"].item() == 10 and "exp_avg_sq" in run.optimizer["state"][0],
        "rng": run.rng.numel() > 0,
        "cuda_rng": run.cuda_rng is None,
        "interval_loss": run.interval_loss > 0,
        "interval_steps": run.interval_steps == 2,
        "grad_norm": run.grad_norm > 0,
        "num_skipped": run.num_skipped == 0,
        "best_valid": run.best_valid is not None,
        "seconds": run.seconds > 0,
        "is_finished": run.is_finished is False,
    }
    assert set(checked) == set(RunState.__dataclass_fields__)
    assert [name for name, holds in checked.items() if not holds] == []


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


def test_a_finished_run_is_made_longer_only_where_its_resume_file_is_named(config, tmp_path):
    loop.train(config)
    with pytest.raises(OutputError, match="max_steps: 30 -> 40"):
        loop.train(replace(config, max_steps=40))
    longer = replace(config, max_steps=40, resume=str(resume_path(config.save)))
    assert loop.train(longer).steps == 40
    assert loop.train(replace(config, max_steps=40)).was_finished
    with pytest.raises(OutputError, match=r"clip: 1\.0 -> 2\.0"):
        loop.train(replace(longer, clip=2.0))


def test_other_data_are_refused(config, tmp_path):
    loop.train(config)
    (tmp_path / "other.txt").write_text("another text altogether\n" * 500)
    with pytest.raises(OutputError, match="data_fingerprint"):
        loop.train(replace(config, data=str(tmp_path / "other.txt"), split=(1, 0, 0)))


def test_a_model_without_its_resume_file_is_not_overwritten(config):
    loop.train(config)
    resume_path(config.save).unlink()
    before = config.save.read_bytes()
    with pytest.raises(OutputError, match="exists without"):
        loop.train(config)
    assert config.save.read_bytes() == before


def test_a_step_that_is_not_finite_touches_nothing(config, monkeypatch):
    seen: list[dict[str, torch.Tensor]] = []
    real = loop.LanguageModel.loss

    def sometimes_infinite(self, *args):
        loss, state = real(self, *args)
        if self.training:
            seen.append({name: tensor.clone() for name, tensor in self.state_dict().items()})
            if len(seen) in (5, 6):
                return loss * float("inf"), state
        return loss, state

    monkeypatch.setattr(loop.LanguageModel, "loss", sometimes_infinite)
    said: list[str] = []
    loop.train(replace(config, max_steps=10), announce=said.append)
    assert sum("skipped" in line for line in said) == 2
    for name in seen[0]:
        assert torch.equal(seen[4][name], seen[5][name])
        assert torch.equal(seen[5][name], seen[6][name])
    assert any(not torch.equal(seen[6][name], seen[7][name]) for name in seen[0])
    assert load_run(resume_path(config.save)).optimizer["state"][0]["step"].item() == 8


def test_fifty_steps_in_a_row_that_are_not_finite_end_the_run(config, monkeypatch):
    real = loop.LanguageModel.loss

    def infinite_from_step_eight(self, *args):
        loss, state = real(self, *args)
        calls.append(self.training)
        return (loss * float("nan"), state) if self.training and calls.count(True) > 8 else (loss, state)

    calls: list[bool] = []
    monkeypatch.setattr(loop.LanguageModel, "loss", infinite_from_step_eight)
    with pytest.raises(DataError, match=r"50 steps in a row.*model\.pt"):
        loop.train(replace(config, max_steps=100, save_every="7"))
    assert load_model(config.save).training["steps"] == 14  # validated there; the weights are those of step 8


def test_max_hours_stops_and_leaves_the_decay_as_it_is(config):
    report = loop.train(replace(config, max_hours=1e-9))
    assert report.steps == 1
    assert not load_run(resume_path(config.save)).is_finished
    assert loop.train(config).steps == 30


def test_a_text_file_is_sharded_once_beside_the_output(config, tmp_path):
    (tmp_path / "reviews.txt").write_text("\n".join(f"a line of text, number {number}" for number in range(300)))
    said: list[str] = []
    settings = replace(config, data=str(tmp_path / "reviews.txt"), split=(6, 1, 1), max_steps=3)
    loop.train(settings, announce=said.append)
    assert any("sharding" in line and ".sentneuron" in line for line in said)
    folders = list((tmp_path / ".sentneuron").glob("reviews-*.shards"))
    assert len(folders) == 1
    said.clear()
    loop.train(replace(settings, resume="never"), announce=said.append)
    assert any("made by an earlier run" in line for line in said)


def test_data_of_its_own_for_validation(config, tmp_path):
    (tmp_path / "held.txt").write_text("something else to predict\n" * 50)
    loop.train(replace(config, valid=str(tmp_path / "held.txt"), test=str(tmp_path / "held.txt")))
    training = load_model(config.save).training
    assert training["test_bits_per_byte"] == pytest.approx(training["valid_bits_per_byte"])


def test_too_little_text_is_an_error_with_the_numbers(config):
    with pytest.raises(DataError, match="less than one batch of 4000 streams x 16 bytes"):
        loop.train(replace(config, batch_size=4000))


@pytest.fixture
def edited(shards, tmp_path) -> Path:
    """The corpus with a test shard, which is read last of all, that was edited within its size."""
    folder = shutil.copytree(shards, tmp_path / "edited.shards")
    path = folder / "test/00000.parquet"
    content = bytearray(path.read_bytes())
    content[pq.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset + 60] ^= 1
    path.write_bytes(content)
    return folder


def test_a_full_check_finds_an_edited_shard_before_training(config, edited):
    config = replace(config, data=str(edited), check="full")
    said: list[str] = []
    with pytest.raises(DataError, match=r"test/00000\.parquet") as error:
        loop.train(config, announce=said.append)
    assert error.value.exit_code == 65
    assert said == [f"data: {edited}", f"checking every shard of {edited}"]
    assert list(config.save.parent.glob("model*")) == []


def test_without_a_full_check_an_edited_shard_is_found_when_it_is_first_read(config, edited):
    with pytest.raises(DataError, match=r"test/00000\.parquet") as error:
        loop.train(replace(config, data=str(edited)))
    assert error.value.exit_code == 65
    assert load_run(resume_path(config.save)).step == 30  # the test shard is not needed before


def test_a_full_check_of_sound_shards_is_seen_and_changes_nothing(config, shards, tmp_path):
    config = replace(config, max_steps=3)
    plain = replace(config, save=tmp_path / "plain.pt")
    loop.train(plain)
    notes: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None = None, note: str = "") -> None:
        if note == "checking shards":
            notes.append((done, total))

    loop.train(replace(config, check="full"), progress=progress)
    num_bytes = sum(path.stat().st_size for path in shards.glob("*/*.parquet"))
    assert notes[-1] == (num_bytes, num_bytes)
    assert_same_run(plain.save, config.save)


def test_stdin_is_to_be_sharded_first(config):
    with pytest.raises(UsageError, match="shard - -o"):
        loop.train(replace(config, data="-"))


def test_train_without_data_takes_the_only_shard_folder(config, shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no \*\.shards folder here"):
        loop.train(replace(config, data=None))
    (tmp_path / "one.shards").symlink_to(shards)
    assert loop.train(replace(config, data=None)).steps == 30
    (tmp_path / "two.shards").symlink_to(shards)
    with pytest.raises(UsageError, match=r"several.*one\.shards, two\.shards"):
        loop.train(replace(config, data=None))


def first_and_last_bits(save: Path) -> tuple[float, float]:
    bits = [line["bits_per_byte"] for line in read_lines(save.with_suffix(".log.jsonl")) if "learning_rate" in line]
    return bits[0], bits[-1]


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNNTanh", "RNNReLU"])
def test_every_cell_trains(config, cell):
    loop.train(replace(config, model=replace(config.model, model=cell), lr=0.02))
    first, last = first_and_last_bits(config.save)
    assert last < first


def test_plain_gradient_descent_trains(config):
    loop.train(replace(config, optim="SGD", lr=30))
    first, last = first_and_last_bits(config.save)
    assert last < first - 0.3
