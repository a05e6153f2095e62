"""R8: the memory of a run does not grow with its steps.

SENTNEURON_STEPS=20000 pytest tests/reliability/test_flat_memory.py -s   takes more steps, and says how much.
"""

import mmap
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sentneuron.core.config import ModelConfig, TrainConfig
from sentneuron.core.training import loop

STEPS = int(os.environ.get("SENTNEURON_STEPS", "1200"))
ALLOWED = 2e6
"""Bytes by which memory may grow from a quarter of the steps to the end: allocators breathe."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="looks at /proc")]


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def config(shards, tmp_path) -> TrainConfig:
    """A run over many epochs, that logs, validates and saves all the time."""
    return TrainConfig(
        data=str(shards),
        model=ModelConfig(nhid=16, emsize=8, dropout=0.1),
        batch_size=8,
        seq_length=16,
        epochs=10_000,
        max_steps=STEPS,
        save_every="40",
        eval_every=200,
        log_interval=5,
        save=tmp_path / "model.pt",
        device="cpu",
    )


def slope(config: TrainConfig, *, leak: int = 0) -> float:
    """Bytes a step, by least squares over the last three quarters; `leak` bytes are kept at every step."""
    steps, sizes, kept = [], [], []

    def progress(done: int, total: int | None = None, note: str = "") -> None:
        if leak:  # in pages of its own: a process that has lived long has free memory to hide it in
            kept.append(mmap.mmap(-1, leak))
            kept[-1].write(bytes(leak))
        step = done // 128
        if step % 20 == 0:
            steps.append(step)
            sizes.append(resident())

    loop.train(config, progress=progress)
    late = len(steps) // 4
    return float(np.polyfit(steps[late:], sizes[late:], 1)[0])


def test_memory_is_flat_over_the_steps_of_a_run(config):
    found = slope(config)
    print(f"{STEPS:,} steps: {found:,.1f} bytes a step")
    assert found * STEPS * 0.75 < ALLOWED


def test_a_leak_of_a_few_kilobytes_a_step_would_be_seen(config):
    assert slope(replace(config, max_steps=400), leak=16_000) * 400 * 0.75 > ALLOWED
