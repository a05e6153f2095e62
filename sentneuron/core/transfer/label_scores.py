"""Scores of classified rows whose labels are classes, counted while the rows go by."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.data.labels import NUMBER, binarized
from sentneuron.core.transfer.metrics import Scores

MAX_NAMES = 100


class LabelScores:
    """Counts labels as they stand and, where the classes are 0 and 1, as stars; at the end the right count is taken."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._numbers = {name: number for number, name in enumerate(classes)}
        self._as_given = Scores(list(classes))
        self._as_stars = Scores(list(classes)) if list(classes) == ["0", "1"] else None
        self._names: set[str] = set()
        self.num_labels = 0
        """Rows with a text and a label."""

    def add(self, labels: Sequence[str | None], probabilities: NDArray[np.floating]) -> None:
        """Count rows: their labels' class names, and the probabilities [N, classes], NaN where there is no text."""
        scored = ~np.isnan(probabilities[:, 0])
        names = [name if is_scored else None for name, is_scored in zip(labels, scored, strict=True)]
        distinct = {name for name in names if name is not None}
        if len(self._names) <= MAX_NAMES:
            self._names |= distinct
        self.num_labels += sum(name is not None for name in names)
        _count(self._as_given, [self._numbers.get(name) if name else None for name in names], probabilities)
        if self._as_stars is not None:
            stars = {name: binarized(name) for name in distinct}
            turned = [stars.get(name) if name else None for name in names]
            _count(self._as_stars, [self._numbers.get(name) if name else None for name in turned], probabilities)

    def result(self) -> Scores | None:
        """Return the scores of the rows whose labels map onto classes, None where none does.

        Labels are stars where they are all numbers between 1 and 5 and not all classes themselves.
        """
        are_classes = self._names <= self._numbers.keys()
        are_stars = all(NUMBER.fullmatch(name) and 1 <= float(name) <= 5 for name in self._names)
        use_stars = self._as_stars is not None and are_stars and not are_classes
        scores = self._as_stars if use_stars and self._as_stars is not None else self._as_given
        return scores if scores.num_rows else None


def _count(scores: Scores, truth: Sequence[int | None], probabilities: NDArray[np.floating]) -> None:
    """Add the rows that have a class number."""
    rows = [row for row, number in enumerate(truth) if number is not None]
    if rows:
        scores.add(np.array([truth[row] for row in rows], np.int64), probabilities[rows])
