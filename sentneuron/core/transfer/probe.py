"""The probe: logistic regression with an L1 penalty on features, its strength chosen on the validation set.

As in the paper (Radford et al. 2017, arXiv:1704.01444, and its published code): liblinear on raw features, C over
2^-8 … 2^0. Two classes make one row of weights, towards the second class; more make one row a class, one against the
rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

STRENGTHS = tuple(2.0**power for power in range(-8, 1))


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A fitted regression: `weight` [K, features] and `bias` [K] in float32, K = 1 for two classes."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    C: float
    valid_accuracy: float | None = None

    def probabilities(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return each class's probability [N, classes]; NaN features give NaN.

        With more than two classes: each class's own sigmoid, divided by their sum.
        """
        scores = features.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias
        sigmoid = 0.5 + 0.5 * np.tanh(scores / 2)
        if sigmoid.shape[1] == 1:
            return np.hstack([1 - sigmoid, sigmoid])
        return sigmoid / np.maximum(sigmoid.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)

    def num_nonzero(self) -> int:
        """Count the weights that are not zero."""
        return int(np.count_nonzero(self.weight))

    def to_dict(self) -> dict[str, Any]:
        """Return the values of a model file's `classifier`."""
        return {"weight": torch.from_numpy(self.weight), "bias": torch.from_numpy(self.bias), "C": self.C}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild from a model file's `classifier`."""
        weight, bias = (values[name].float().cpu().numpy() for name in ("weight", "bias"))
        return cls(weight=weight, bias=bias, C=float(values["C"]))


def fit_probe(
    train_x: NDArray[np.floating],
    train_y: NDArray[np.integer],
    valid_x: NDArray[np.floating],
    valid_y: NDArray[np.integer],
    *,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
) -> Probe:
    """Fit one probe for each C and return the one that is right most often on the validation set.

    `y` are class numbers from 0, each of which occurs in `train_y`. Ties go to the stronger penalty (the smaller C).
    """
    features = np.ascontiguousarray(train_x, np.float64)
    best: Probe | None = None
    for strength in sorted(strengths):
        weight, bias = _fit(features, train_y, strength, seed)
        probe = Probe(weight=weight, bias=bias, C=strength)
        accuracy = float(np.mean(probe.probabilities(valid_x).argmax(axis=1) == valid_y))
        if best is None or best.valid_accuracy is None or accuracy > best.valid_accuracy:
            best = Probe(weight=weight, bias=bias, C=strength, valid_accuracy=accuracy)
    assert best is not None, "no strengths given"
    return best


def heaviest_neurons(weight: NDArray[np.floating], count: int) -> list[int]:
    """Return the neurons with the largest absolute weights (summed over classes), heaviest first; ties by number."""
    return np.argsort(-np.abs(weight).sum(axis=0), kind="stable")[:count].tolist()


def _fit(
    features: NDArray[np.float64], y: NDArray[np.integer], strength: float, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit one row of weights for two classes, or one a class against the rest."""
    from sklearn.linear_model import LogisticRegression  # costs seconds to import; classify does not need it

    classes = range(1, 2) if y.max() < 2 else range(int(y.max()) + 1)
    rows, biases = [], []
    for number in classes:
        # `penalty="l1"` disappears in scikit-learn 1.10; liblinear takes two classes only.
        model = LogisticRegression(l1_ratio=1.0, solver="liblinear", C=strength, random_state=seed, max_iter=1000)
        model.fit(features, y == number)
        rows.append(model.coef_[0])
        biases.append(model.intercept_[0])
    return np.array(rows, np.float32), np.array(biases, np.float32)
