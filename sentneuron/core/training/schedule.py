"""How long a run is, and the learning rate at each step."""

from dataclasses import dataclass

from sentneuron.core.config import TrainConfig

MAX_LEARNING_RATE = 3e-3
"""Of Adam: linear scaling with the batch diverged above it. Plain gradient descent learns nothing below.

Source: Puri et al. 2018, arXiv:1808.01371, section 4.2.
"""

REFERENCE_STREAMS = 128
"""The global batch at which the peak is `lr` itself."""


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up to `peak`, then linear decay to 0 at `num_steps`."""

    peak: float
    num_steps: int
    warmup: int

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of step `step`, counted from 0."""
        warm = min(1.0, (step + 1) / (self.warmup + 1))
        return self.peak * warm * max(0.0, 1 - step / self.num_steps)


def make_schedule(config: TrainConfig, *, steps_per_epoch: int, num_streams: int) -> Schedule:
    """Return the schedule of a run: the smallest of epochs, max_steps and max_bytes ends the decay."""
    limits = [config.epochs * steps_per_epoch]
    if config.max_steps is not None:
        limits.append(config.max_steps)
    if config.max_bytes is not None:
        limits.append(max(1, config.max_bytes // (num_streams * config.seq_length)))
    peak = config.lr * num_streams / REFERENCE_STREAMS
    if config.optim == "Adam":
        peak = min(peak, MAX_LEARNING_RATE)
    return Schedule(peak=peak, num_steps=min(limits), warmup=config.warmup)
