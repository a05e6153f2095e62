"""The probe: logistic regression with an L1 penalty on features, its strength chosen on the validation set.

As in the paper (Radford et al. 2017, arXiv:1704.01444, and its published code): raw features, C over 2^-8 … 2^0, the
optimum that liblinear finds (`l1_path`). Two classes make one row of weights, towards the second class; more make one
row a class, one against the rest; and labels that may hold together one row a label, each on its own. Data without
parts is in `folds`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from sentneuron.core.transfer.l1_loss import sigmoid
from sentneuron.core.transfer.l1_path import l1_path

STRENGTHS = tuple(2.0**power for power in range(-8, 1))


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A fitted regression: `weight` [K, features] and `bias` [K] in float32, K = 1 for two exclusive classes."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    C: float
    valid_accuracy: float | None = None
    multi_label: bool = False
    """Each row is a label of its own, of which any number may hold."""

    def scores(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return each row's score [N, K], the logarithm of its odds."""
        return features.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias

    def probabilities(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return each class's probability [N, classes]; NaN features give NaN.

        Several labels: each one's own sigmoid. More than two exclusive classes: the same, divided by their sum.
        """
        own = sigmoid(self.scores(features))
        if self.multi_label:
            return own
        if own.shape[1] == 1:
            return np.hstack([1 - own, own])
        return own / np.maximum(own.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)

    def accuracy(self, features: NDArray[np.floating], y: NDArray[np.integer]) -> float:
        """Return the share of rows whose class is the most probable one.

        Several labels (`y` [N, K] of 0 and 1): the share of right decisions, a label holding above 0.5, over all rows
        and labels: the mean over labels of each one's accuracy.
        """
        probabilities = self.probabilities(features)
        said = probabilities > 0.5 if self.multi_label else probabilities.argmax(axis=1)
        return float(np.mean(said == y))

    def num_nonzero(self) -> int:
        """Count the weights that are not zero."""
        return int(np.count_nonzero(self.weight))

    def to_dict(self) -> dict[str, Any]:
        """Return the values of a model file's `classifier`."""
        return {"weight": torch.from_numpy(self.weight), "bias": torch.from_numpy(self.bias), "C": self.C}

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, multi_label: bool = False) -> Self:
        """Rebuild from a model file's `classifier`, which holds `multi_label` beside its probes; a C that the file does
        not know is NaN."""
        C = float("nan") if values["C"] is None else float(values["C"])
        weight, bias = (values[name].float().cpu().numpy() for name in ("weight", "bias"))
        return cls(weight=weight, bias=bias, C=C, multi_label=multi_label)


def fit_probe(
    train_x: NDArray[np.floating],
    train_y: NDArray[np.integer],
    valid_x: NDArray[np.floating],
    valid_y: NDArray[np.integer],
    *,
    num_classes: int | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> Probe:
    """Fit one probe for each C and return the one with the highest `Probe.accuracy` on the validation set.

    `y` [N] are class numbers from 0, below `num_classes` (None: the greatest of `train_y` is the last); `y` [N, K] of
    0 and 1 are labels that may hold together. All rows of weights share one C. Ties go to the stronger penalty (the
    smaller C). A class that no row of `train_y` has, or a label that all or none have, gets the constant of `l1_path`.

    Raises:
        DataError: features that are not finite.
    """
    probes = fit_path(train_x, train_y, strengths=sorted(strengths), num_classes=num_classes)
    accuracies = [probe.accuracy(valid_x, valid_y) for probe in probes]
    best = int(np.argmax(accuracies))
    return replace(probes[best], valid_accuracy=accuracies[best])


def refit_probe(
    x: NDArray[np.floating],
    y: NDArray[np.integer],
    held_out: NDArray[np.bool_],
    *,
    num_classes: int | None = None,
) -> Probe:
    """Choose C as `fit_probe` does on the rows held out [N] from the others, and fit a probe with it on all rows.

    `valid_accuracy` is that of the choice.

    Raises:
        DataError: features that are not finite.
    """
    chosen = fit_probe(x[~held_out], y[~held_out], x[held_out], y[held_out], num_classes=num_classes)
    [probe] = fit_path(x, y, strengths=[chosen.C], num_classes=num_classes)
    return replace(probe, valid_accuracy=chosen.valid_accuracy)


def fit_path(
    x: NDArray[np.floating], y: NDArray[np.integer], *, strengths: Sequence[float], num_classes: int | None = None
) -> list[Probe]:
    """Fit one probe for each C, with `y` and `num_classes` as in `fit_probe`; quickest where C grows.

    Raises:
        DataError: features that are not finite.
    """
    paths = [l1_path(x, row, strengths=strengths) for row in _targets(y, num_classes)]
    return [
        Probe(
            weight=np.array([weights[place] for weights, _ in paths], np.float32),
            bias=np.array([biases[place] for _, biases in paths], np.float32),
            C=strength,
            multi_label=y.ndim == 2,
        )
        for place, strength in enumerate(strengths)
    ]


def heaviest_neurons(weight: NDArray[np.floating], count: int) -> list[int]:
    """Return the neurons with the largest absolute weights (summed over classes), heaviest first; ties by number."""
    return np.argsort(-np.abs(weight).sum(axis=0), kind="stable")[:count].tolist()


def _targets(y: NDArray[np.integer], num_classes: int | None) -> list[NDArray[np.bool_]]:
    """Return what each row of weights is to tell from the rest, [N] a row."""
    if y.ndim == 2:
        return [column == 1 for column in y.T]
    count = num_classes or int(y.max()) + 1
    return [y == number for number in (range(count) if count > 2 else (1,))]
