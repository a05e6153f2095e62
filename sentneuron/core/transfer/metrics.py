"""Accuracy, F1, AUC and the confusion matrix, from counts that do not grow with the number of rows.

The area under the ROC curve is that of the probabilities rounded to 1/65,535: a pair closer than that counts as a tie.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 65_536


@dataclass
class Scores:
    """What is counted so far, for the classes named."""

    classes: list[str]
    confusion: NDArray[np.int64] = field(init=False)
    """Rows by true class, columns by predicted class."""

    def __post_init__(self) -> None:
        self.confusion = np.zeros((len(self.classes), len(self.classes)), np.int64)
        # Of each class: how often each probability was given to a row of another class (0) and of this one (1).
        num_curves = 1 if len(self.classes) == 2 else len(self.classes)
        self._histograms = np.zeros((num_curves, 2, BINS), np.int64)

    def add(self, truth: NDArray[np.integer], probabilities: NDArray[np.floating]) -> None:
        """Count rows: class numbers [N] and each class's probability [N, classes], without NaN."""
        np.add.at(self.confusion, (truth, probabilities.argmax(axis=1)), 1)
        for curve, histogram in enumerate(self._histograms):
            number = 1 if len(self._histograms) == 1 else curve
            bins = np.rint(probabilities[:, number] * (BINS - 1)).astype(np.int64)
            np.add.at(histogram, ((truth == number).astype(np.int64), bins), 1)

    @property
    def num_rows(self) -> int:
        """Rows counted."""
        return int(self.confusion.sum())

    def accuracy(self) -> float:
        """Return the share of rows that are right."""
        return float(self.confusion.trace() / self.num_rows)

    def f1(self) -> float:
        """Return F1 of the second of two classes, or the mean over more; 0 for a class neither there nor predicted."""
        right = self.confusion.diagonal()
        involved = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        each = 2 * right / np.maximum(involved, 1)
        return float(each[1] if len(self.classes) == 2 else each.mean())

    def auc(self) -> float | None:
        """Return the area under the ROC curve, the mean of one against the rest for more; None with one class."""
        areas = []
        for others, own in self._histograms:
            pairs = float(others.sum()) * float(own.sum())
            if pairs == 0:
                return None
            below = np.cumsum(others) - others
            areas.append(float(((below + others / 2) * own).sum() / pairs))
        return float(np.mean(areas))

    def majority_share(self) -> float:
        """Return the accuracy of always naming the commonest class."""
        return float(self.confusion.sum(axis=1).max() / self.num_rows)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values for a JSON file."""
        return {
            "rows": self.num_rows,
            "accuracy": self.accuracy(),
            "f1": self.f1(),
            "auc": self.auc(),
            "majority_share": self.majority_share(),
            "confusion": self.confusion.tolist(),
        }
