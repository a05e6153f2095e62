"""Scores where several labels may hold: each label's own, their means, and those of whole sets of labels.

F1 over all decisions (micro), the mean of each label's F1 (macro) and the Jaccard index, there called accuracy, are
what SemEval-2018 task 1 reports; two empty sets count as equal there, as here. Source: Mohammad et al. 2018,
"SemEval-2018 Task 1: Affect in Tweets", and its evaluation script.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.transfer.metrics import Scores


def predicted_labels(probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which labels are said to hold: those with a probability above 0.5; never one that is NaN."""
    return probabilities > 0.5


class LabelSetScores:
    """What is counted so far, for the labels named."""

    def __init__(self, classes: list[str]) -> None:
        self.classes = classes
        self.num_rows = 0
        """Rows counted."""
        self._each = [Scores(["0", "1"]) for _ in classes]
        self._jaccard = 0.0

    def add(self, truth: NDArray[np.integer], probabilities: NDArray[np.floating]) -> None:
        """Count rows: which labels hold [N, classes] as 0 and 1, and each one's probability, without NaN."""
        predicted = predicted_labels(probabilities)
        for scores, holds, probability in zip(self._each, truth.T, probabilities.T, strict=True):
            scores.add(holds, np.stack([1 - probability, probability], axis=1))
        both = (predicted & (truth == 1)).sum(axis=1)
        either = (predicted | (truth == 1)).sum(axis=1)
        self._jaccard += float(np.where(either == 0, 1, both / np.maximum(either, 1)).sum())
        self.num_rows += len(truth)

    def accuracy(self) -> float:
        """Return the share of decisions that are right: the mean of the labels' accuracies."""
        return float(np.mean([scores.accuracy() for scores in self._each]))

    def f1(self) -> float:
        """Return the mean of the labels' F1."""
        return float(np.mean([scores.f1() for scores in self._each]))

    def f1_micro(self) -> float:
        """Return F1 of all decisions together; 0 where no label holds or is predicted."""
        summed = np.sum([scores.confusion for scores in self._each], axis=0)
        return float(2 * summed[1, 1] / max(summed[0, 1] + summed[1, 0] + 2 * summed[1, 1], 1))

    def jaccard(self) -> float:
        """Return the mean over rows of |predicted and true| / |predicted or true|, 1 where both are empty."""
        return self._jaccard / self.num_rows

    def auc(self) -> float | None:
        """Return the mean of the labels' areas under the ROC curve, without those that hold for all rows or none."""
        areas = [area for scores in self._each if (area := scores.auc()) is not None]
        return float(np.mean(areas)) if areas else None

    def majority_share(self) -> float:
        """Return the accuracy of always giving each label its commoner value."""
        return float(np.mean([scores.majority_share() for scores in self._each]))

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values for a JSON file; `confusion` of a label: rows not held, held; columns said
        not to, said to."""
        return {
            "rows": self.num_rows,
            "accuracy": self.accuracy(),
            "f1": self.f1(),
            "f1_micro": self.f1_micro(),
            "jaccard": self.jaccard(),
            "auc": self.auc(),
            "majority_share": self.majority_share(),
            "labels": {
                name: {key: value for key, value in scores.to_dict().items() if key != "rows"}
                for name, scores in zip(self.classes, self._each, strict=True)
            },
        }


def make_scores(classes: list[str], *, multi_label: bool) -> Scores | LabelSetScores:
    """Return empty scores for exclusive classes, or for labels of which any number may hold."""
    return LabelSetScores(classes) if multi_label else Scores(classes)
