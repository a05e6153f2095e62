"""A small corpus, the configuration of a short run on it, and what runs are compared by."""

import os
import signal
from dataclasses import asdict
from pathlib import Path

import pytest

from sentneuron.core.config import ModelConfig, TrainConfig


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
