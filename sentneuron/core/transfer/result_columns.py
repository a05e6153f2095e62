"""The columns that `classify` adds to a row."""

from collections import Counter
from collections.abc import Collection, Sequence

import pyarrow as pa

from sentneuron.core.errors import UsageError
from sentneuron.core.transfer.classifier import Scored
from sentneuron.core.transfer.results import probability_columns, shown_probabilities

PREFIX = "sentneuron_"
NEUTRAL = "neutral"
DIGITS = 6
"""Significant digits of a number: float32 keeps seven."""


class ResultColumns:
    """Prediction, probability (one a class where there are more than two) and neuron, under free names."""

    def __init__(
        self, classes: Sequence[str], *, taken: Collection[str], neutral: tuple[float, float] | None = None
    ) -> None:
        """Name the columns; `taken` are the input's, `neutral` the probabilities between which no class is named.

        Raises:
            UsageError: `neutral` with more than two classes.
        """
        if neutral is not None and len(classes) > 2:
            raise UsageError(f"--neutral with {len(classes)} classes", hint="it needs a classifier of two")
        self._classes = list(classes)
        self._neutral = neutral
        plain = ["prediction", *probability_columns(classes), "neuron"]
        names = [_free_name(name, taken) for name in plain]
        self.types: dict[str, pa.DataType] = dict.fromkeys(names, pa.float32()) | {names[0]: pa.string()}
        """Each column's name and Parquet type, in order."""
        self.counts: Counter[str] = Counter()
        """Rows of each prediction so far."""
        self.num_without_text = 0

    def values(self, scored: Scored) -> list[dict[str, object]]:
        """Return what each row gets, and count it; None in every column of a row without text."""
        shown = shown_probabilities(scored.probabilities)
        likeliest = scored.probabilities.argmax(axis=1)
        added: list[dict[str, object]] = []
        for row, neuron in enumerate(scored.neuron.tolist()):
            if neuron != neuron:  # NaN: no text
                self.num_without_text += 1
                added.append(dict.fromkeys(self.types))
                continue
            prediction = self._classes[likeliest[row]]
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
