"""The columns that `classify` adds to a row."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sentneuron.core.errors import UsageError
from sentneuron.core.transfer.classifier import Scored
from sentneuron.core.transfer.results import named_classes, probability_columns, shown_probabilities

PREFIX = "sentneuron_"
NEUTRAL = "neutral"
DIGITS = 6
"""Significant digits of a number: float32 keeps seven."""


class ResultColumns:
    """Prediction, probability (one a class but of two exclusive ones) and neuron, under free names."""

    def __init__(
        self,
        classes: Sequence[str],
        *,
        multi_label: bool = False,
        taken: Collection[str],
        neutral: tuple[float, float] | None = None,
    ) -> None:
        """Name the columns; `taken` are the input's, `neutral` the probabilities between which no class is named.

        Raises:
            UsageError: `neutral` with more than two classes, or with several labels.
        """
        if neutral is not None and (multi_label or len(classes) > 2):
            what = "labels" if multi_label else "classes"
            raise UsageError(f"--neutral with {len(classes)} {what}", hint="it needs a classifier of two classes")
        self._classes = list(classes)
        self._multi_label = multi_label
        self._neutral = neutral
        plain = ["prediction", *probability_columns(classes, multi_label=multi_label), "neuron"]
        names = [_free_name(name, taken) for name in plain]
        self.types: dict[str, pa.DataType] = dict.fromkeys(names, pa.float32()) | {names[0]: pa.string()}
        """Each column's name and Parquet type, in order."""
        self.counts: Counter[str] = Counter()
        """Rows of each prediction so far."""
        self.num_without_text = 0

    def shown(self, scored: Scored) -> NDArray[np.floating]:
        """Return the probabilities that rows get, a column each."""
        return shown_probabilities(scored.probabilities, multi_label=self._multi_label)

    def values(self, scored: Scored) -> list[dict[str, object]]:
        """Return what each row gets, and count it; None in every column of a row without text."""
        shown = self.shown(scored)
        named = named_classes(self._classes, scored.probabilities, multi_label=self._multi_label)
        added: list[dict[str, object]] = []
        for row, neuron in enumerate(scored.neuron.tolist()):
            if neuron != neuron:  # NaN: no text
                self.num_without_text += 1
                added.append(dict.fromkeys(self.types))
                continue
            prediction = named[row]
            if self._neutral is not None and self._neutral[0] <= shown[row, 0] <= self._neutral[1]:
                prediction = NEUTRAL
            self.counts[prediction] += 1
            numbers = (float(f"{value:.{DIGITS}g}") for value in (*shown[row].tolist(), neuron))
            added.append(dict(zip(self.types, (prediction, *numbers), strict=True)))
        return added


def _free_name(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name = PREFIX + name
    return name
