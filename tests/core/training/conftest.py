"""A small corpus, the configuration of a short run on it, and what runs are compared by."""

import os
import signal
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from sentneuron.core.config import ModelConfig, ShardConfig, TrainConfig
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.training.journal import read_lines
from sentneuron.core.training.resume import load_run, resume_path


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    """A small corpus with three splits; the text has something to learn."""
    folder = tmp_path_factory.mktemp("corpus")
    texts = [f"review {number}: the film was {'very ' * (number % 4)}good, I say" for number in range(400)]
    (folder / "reviews.txt").write_text("\n".join(texts))
    config = ShardConfig(
        inputs=(str(folder / "reviews.txt"),), output=folder / "reviews.shards", shards=40, split=(38, 1, 1)
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


@pytest.fixture
def assert_same_run():
    """Hold weights, logs without their clocks and resume files of two runs against each other, to the bit."""

    def without_clock(path: Path) -> list[dict]:
        return [
            {name: value for name, value in line.items() if name not in ("seconds", "bytes_per_second")}
            for line in read_lines(path)
        ]

    def compare(first: Path, second: Path) -> None:
        weights = load_model(second).model.state_dict()
        for name, tensor in load_model(first).model.state_dict().items():
            assert torch.equal(tensor, weights[name]), name
        assert without_clock(first.with_suffix(".log.jsonl")) == without_clock(second.with_suffix(".log.jsonl"))
        one, two = load_run(resume_path(first)), load_run(resume_path(second))
        for name, tensor in one.model.items():
            assert torch.equal(tensor, two.model[name]), name

    return compare


@pytest.fixture
def stop_after():
    """Give a progress callback that sends a signal to this process, so that it stops after a step."""

    def at(step: int, number: signal.Signals):
        def progress(done: int, total: int | None = None, note: str = "") -> None:
            if done == (step - 1) * 64:  # the ranks hear of it with the gradients of the next step
                os.kill(os.getpid(), number)

        return progress

    return at


@pytest.fixture
def train_ranks(run_ranks):
    """Train with several ranks; returns what training_rank.py says of each. Options are its requests'."""

    def train(config: TrainConfig, size: int, **options) -> list[dict]:
        settings = asdict(config)
        del settings["launch"]
        return run_ranks(Path(__file__).with_name("training_rank.py"), size, config=settings, **options)

    return train
