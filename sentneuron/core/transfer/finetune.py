"""Fine-tuning: the encoder and the regression on it are trained together, from where the frozen classifier stands.

Before the first step the scores are the frozen classifier's. Adam; the learning rate rises linearly over the first
tenth of the steps and falls linearly to zero. The validation part is scored VALIDATIONS times an epoch and before the
first step; the encoder that scored best is kept, of equal accuracies the one with the smaller loss. The head is not: a
regression is fitted on the kept encoder's features as on any other's, which scored the same (SST, 512 units: 79.1 % of
the test part, the head 78.7 %; of validation 78.2 and 78.6 %). Everything follows from the seed, on one machine with as
many threads.

Limits: one process; training is in fp32, or with `bf16` in that with fp32 weights behind it, on processors that
multiply bf16 in tiles 1.8 times as fast; `fp16` is the features' alone. Memory is four times that of the weights
(gradients, Adam's two moments, the best so far) beside the model itself, and 7H numbers a byte of a batch.
"""

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.config import FinetuneConfig, TransferConfig
from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.errors import DataError
from sentneuron.core.model.checkpoint import SavedModel
from sentneuron.core.training.schedule import Schedule
from sentneuron.core.transfer.features import Progress, part_of
from sentneuron.core.transfer.probe import Probe
from sentneuron.core.transfer.tuner import CLIP, HEAD, LANGUAGE, Tuner
from sentneuron.core.transfer.tuning_batches import BATCH_SIZE, STRETCH, epoch_batches, epoch_bytes, stretches

WARMUP = 0.1
"""Share of the steps."""
VALIDATIONS = 2
PATIENCE = 4
"""Validations in a row that are no better than the best, and end the training."""


def finetune(
    saved: SavedModel,
    probe: Probe,
    data: LabelledTexts,
    config: TransferConfig,
    *,
    progress: Progress,
    announce: Callable[[str], None],
) -> dict[str, Any]:
    """Train `saved.model`, which is left with the best weights, together with a head that starts as `probe`.

    Returns what results.json says of it. `progress` counts the bytes of training and validation texts that are read.

    Raises:
        DataError: the loss is not finite.
    """
    run = _Run(saved, probe, data, config, progress, announce)
    run.learn()
    return run.record()


def tuning_bytes(data: LabelledTexts, settings: FinetuneConfig) -> int:
    """Return how many bytes fine-tuning reads at the most."""
    train, valid = ([len(example.clean) for example in data.parts[part]] for part in ("train", "valid"))
    return settings.epochs * epoch_bytes(train) + (1 + settings.epochs * VALIDATIONS) * sum(valid)


class _Run:
    """One run: its texts, how far it is, the curve so far, and the best weights seen."""

    def __init__(
        self,
        saved: SavedModel,
        probe: Probe,
        data: LabelledTexts,
        config: TransferConfig,
        progress: Progress,
        announce: Callable[[str], None],
    ) -> None:
        assert config.finetune is not None, "asked for without --finetune"
        self._saved = saved
        self._settings = config.finetune
        self._tuner = Tuner(saved, probe, config)
        self._texts = {part: [example.clean for example in data.parts[part]] for part in ("train", "valid")}
        self._truth = {part: data.truth(part) for part in self._texts}
        self._lengths = [len(text) for text in self._texts["train"]]
        self._draw = np.random.default_rng(config.seed)
        self._progress, self._announce = progress, announce
        self._num_batches = -(-len(self._lengths) // BATCH_SIZE)
        self._due = {-(-self._num_batches * part // VALIDATIONS) for part in range(1, VALIDATIONS + 1)}
        num_steps = self._settings.epochs * self._num_batches
        self._schedule = Schedule(peak=self._settings.lr, num_steps=num_steps, warmup=int(WARMUP * num_steps))
        self._valid_bytes = sum(map(len, self._texts["valid"]))
        self._total = tuning_bytes(data, config.finetune)
        self._done = 0
        self._step = 0
        self._curve: list[dict[str, Any]] = []
        self._best = 0
        """Place in the curve of what is kept."""
        self._kept = self._tuner.weights()

    def learn(self) -> None:
        """Go through the epochs, until validation no longer gets better; leaves the best weights in the model."""
        self._validate({"epoch": 0.0})
        for epoch in range(self._settings.epochs):
            losses: list[tuple[float, float]] = []
            for number, places in enumerate(epoch_batches(self._lengths, draw=self._draw), 1):
                losses.append(self._learn_from(places))
                if number not in self._due:
                    continue
                loss, language = np.mean(losses, axis=0).tolist()
                losses = []
                bits = language / math.log(2)
                self._validate({"epoch": epoch + number / self._num_batches, "loss": loss, "bits_per_byte": bits})
            if len(self._curve) - 1 - self._best >= PATIENCE:
                break
        self._saved.model.load_state_dict(self._kept)
        self._progress(self._total, self._total)

    def record(self) -> dict[str, Any]:
        """Return the settings and the curve."""
        return asdict(self._settings) | {
            "batch_size": BATCH_SIZE,
            "stretch": STRETCH,
            "language_weight": LANGUAGE,
            "head_rate": HEAD,
            "clip": CLIP,
            "best_epoch": self._curve[self._best]["epoch"],
            "curve": self._curve,
        }

    def _learn_from(self, places: NDArray[np.int64]) -> tuple[float, float]:
        """Make a step; return its losses."""
        rate = self._schedule.learning_rate(self._step)
        texts = stretches([self._texts["train"][place] for place in places], draw=self._draw)
        losses = self._tuner.step(texts, self._truth["train"][places], learning_rate=rate)
        self._step += 1
        if not all(map(math.isfinite, losses)):
            raise DataError(
                f"fine-tuning diverged: the loss is not finite at step {self._step}", hint="give a smaller --lr"
            )
        self._done += sum(map(len, texts))
        self._progress(self._done, self._total)
        return losses

    def _validate(self, point: dict[str, Any]) -> None:
        """Score the validation part, and keep the weights where they are the best so far."""
        share = part_of(self._progress, self._done, self._done + self._valid_bytes, self._total)
        accuracy, loss = self._tuner.score(self._texts["valid"], self._truth["valid"], progress=share)
        self._done += self._valid_bytes
        self._curve.append(point | {"valid_accuracy": accuracy, "valid_loss": loss})
        best = self._curve[self._best]
        if (accuracy, -loss) > (best["valid_accuracy"], -best["valid_loss"]):
            self._best, self._kept = len(self._curve) - 1, self._tuner.weights()
        learnt = f"loss {point['loss']:.3f}, {point['bits_per_byte']:.3f} bits per byte, " if "loss" in point else ""
        is_best = ", the best so far" if self._best == len(self._curve) - 1 else ""
        epochs = self._settings.epochs
        self._announce(f"epoch {point['epoch']:.1f} of {epochs}: {learnt}validation {accuracy:.2%}{is_best}")
