"""Length of a run and its learning rate."""

import pytest

from sentneuron.core.config import TrainConfig
from sentneuron.core.training.schedule import MAX_LEARNING_RATE, make_schedule


def schedule(*, steps_per_epoch: int = 1000, num_streams: int = 128, **settings):
    config = TrainConfig(batch_size=num_streams, seq_length=10, **settings)
    return make_schedule(config, steps_per_epoch=steps_per_epoch, num_streams=num_streams)


def test_the_smallest_limit_ends_the_decay():
    assert schedule(epochs=2).num_steps == 2000
    assert schedule(epochs=2, max_steps=700).num_steps == 700
    assert schedule(epochs=2, max_steps=700, max_bytes=1280 * 600 + 5).num_steps == 600
    assert schedule(epochs=2, max_hours=0.001).num_steps == 2000


def test_the_decay_is_linear_to_zero():
    found = schedule()
    assert found.learning_rate(0) == 5e-4
    assert found.learning_rate(500) == pytest.approx(2.5e-4)
    assert found.learning_rate(999) == pytest.approx(5e-7)
    assert found.learning_rate(1000) == 0


def test_warmup_rises_linearly_from_its_first_step():
    found = schedule(warmup=9)
    assert found.learning_rate(0) == pytest.approx(5e-5)
    assert found.learning_rate(4) == pytest.approx(5e-4 * 0.5 * (1 - 4 / 1000))
    assert found.learning_rate(9) == pytest.approx(5e-4 * (1 - 9 / 1000))


def test_the_peak_grows_with_the_global_batch_up_to_the_cap():
    assert schedule(num_streams=64).peak == pytest.approx(2.5e-4)
    assert schedule(num_streams=512).peak == pytest.approx(2e-3)
    assert schedule(num_streams=4096).peak == MAX_LEARNING_RATE
    assert schedule(num_streams=4096, optim="SGD").peak > MAX_LEARNING_RATE
