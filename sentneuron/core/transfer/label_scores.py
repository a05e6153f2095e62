"""Scores of classified rows whose labels are classes, counted while the rows go by."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.data.columns import candidate_keys
from sentneuron.core.data.labels import NUMBER, binarized, class_name, holding, label_value
from sentneuron.core.transfer.label_set_metrics import LabelSetScores
from sentneuron.core.transfer.metrics import Scores

MAX_NAMES = 100
POLES = (["0", "1"], ["negative", "positive"])
"""What the two classes of sentiment are called: labels of one pair are scored against classes of the other."""

Row = Mapping[str, object]
"""A record's fields."""


class LabelScores:
    """Counts labels as they stand and, of classes in POLES, as stars; at the end the right count is taken."""

    def __init__(self, classes: Sequence[str]) -> None:
        pairs = POLES if list(classes) in POLES else (classes,)
        self._numbers = {name: number for names in pairs for number, name in enumerate(names)}
        self._as_given = Scores(list(classes))
        self._as_stars = Scores(list(classes)) if list(classes) in POLES else None
        self._names: set[str] = set()
        self.num_labels = 0
        """Rows with a text and a label."""

    def keys(self, columns: Sequence[str], named: Sequence[str]) -> list[str]:
        """Return the column with the label: the one chosen, none where there are several."""
        return list(named) if len(named) == 1 else []

    def add_rows(self, rows: Sequence[Row], keys: Sequence[str], probabilities: NDArray[np.floating]) -> None:
        """Count rows by their fields; `keys` are this class's own."""
        self.add([class_name(row.get(keys[0])) for row in rows], probabilities)

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


class LabelSetCounts:
    """Counts the rows that have all of several labels; the others that have one are told apart by `num_labels`."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._scores = LabelSetScores(list(classes))
        self.num_labels = 0
        """Rows with a text and a label."""

    def keys(self, columns: Sequence[str], named: Sequence[str]) -> list[str]:
        """Return the columns with the labels: those named, in the order of the classes, else those called like them;
        none where one is missing."""
        classes = self._scores.classes
        if len(named) == len(classes) > 1:
            return list(named)
        found = [key for name in classes for key in candidate_keys(columns, [name.strip()])[:1]]
        return found if len(found) == len(classes) else []

    def add_rows(self, rows: Sequence[Row], keys: Sequence[str], probabilities: NDArray[np.floating]) -> None:
        """Count rows by their fields; the probabilities [N, classes] are NaN where there is no text."""
        holds: list[list[bool]] = []
        scored: list[int] = []
        for place, row in enumerate(rows):
            names = [label_value(row.get(key)) for key in keys]
            if np.isnan(probabilities[place, 0]) or all(name is None for name in names):
                continue
            self.num_labels += 1
            held = [answer for name in names if name is not None and (answer := holding(name)) is not None]
            if len(held) == len(keys):
                holds.append(held)
                scored.append(place)
        if scored:
            self._scores.add(np.array(holds, np.int64), probabilities[scored])

    def result(self) -> LabelSetScores | None:
        """Return the scores, None where no row has all labels."""
        return self._scores if self._scores.num_rows else None


def make_counts(classes: Sequence[str], *, multi_label: bool) -> LabelScores | LabelSetCounts:
    """Return what counts rows, for exclusive classes or for several labels."""
    return LabelSetCounts(classes) if multi_label else LabelScores(classes)


def _count(scores: Scores, truth: Sequence[int | None], probabilities: NDArray[np.floating]) -> None:
    """Add the rows that have a class number."""
    rows = [row for row, number in enumerate(truth) if number is not None]
    if rows:
        scores.add(np.array([truth[row] for row in rows], np.int64), probabilities[rows])
