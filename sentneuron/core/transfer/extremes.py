"""The most extreme texts of a part: by the sentiment neuron's value, and by the classifier's probability.

Two exclusive classes: the three texts at either end of both. More, or several labels: the three at either end of the
neuron, and for each of the commonest classes the text that the classifier is surest of. Equal texts are shown once.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.data.labelled import Example
from sentneuron.core.data.text import TextRule
from sentneuron.core.generation.heatmap import CharacterValues, values_at
from sentneuron.core.generation.neurons import ShownNeuron, spoken
from sentneuron.core.report.extreme_texts import ShownText, TextGroup
from sentneuron.core.transfer.features import ByteRunner, traces
from sentneuron.core.transfer.label_set_metrics import predicted_labels

AT_EITHER_END = 3
MAX_CLASSES = 6
"""Classes of which the surest text is shown, where there are more than two."""


def extreme_texts(
    runner: ByteRunner,
    rule: TextRule,
    examples: Sequence[Example],
    has_class: NDArray[np.bool_],
    values: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    classes: Sequence[str],
    *,
    neuron: ShownNeuron,
    multi_label: bool,
) -> list[TextGroup]:
    """Return groups of a part's texts, read once more for a value a character.

    `has_class` [N, K] is the truth, `values` [N] are the neuron's as a feature, `probabilities` [N, K] the
    classifier's.
    """
    chosen = dict(_choose(examples, has_class, values, probabilities, classes, neuron=neuron, multi_label=multi_label))
    numbers = sorted({number for group in chosen.values() for number in group})
    cleaned = [rule.clean_with_offsets(examples[number].text) for number in numbers]
    values_of = traces(runner, [clean for clean, _ in cleaned], lambda state: runner.cells(state)[:, neuron.unit])
    texts: dict[int, ShownText] = {}
    for number, (_, offsets), trace in zip(numbers, cleaned, values_of, strict=True):
        row = probabilities[number]
        said = predicted_labels(row) if multi_label else np.arange(len(row)) == row.argmax()
        texts[number] = ShownText(
            sample=CharacterValues(text=examples[number].text, values=values_at(offsets, trace), neuron=neuron.index),
            label=_names(has_class[number], classes),
            prediction=_names(said, classes) + ("" if multi_label else f" at {row.max():.1%}"),
            value=float(values[number]),
            is_right=bool((said == has_class[number]).all()),
        )
    return [TextGroup(title=title, texts=[texts[number] for number in group]) for title, group in chosen.items()]


def _choose(
    examples: Sequence[Example],
    has_class: NDArray[np.bool_],
    values: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    classes: Sequence[str],
    *,
    neuron: ShownNeuron,
    multi_label: bool,
) -> Iterator[tuple[str, list[int]]]:
    """Yield each group's title and the numbers of its texts, the most extreme first."""

    def highest(scores: NDArray[np.floating], count: int = AT_EITHER_END) -> list[int]:
        found: dict[bytes, int] = {}
        for number in np.argsort(-scores, kind="stable").tolist():
            found.setdefault(examples[number].clean, number)
            if len(found) == count:
                break
        return list(found.values())

    by_neuron = f"By neuron {neuron.index}: "
    if neuron.positive:
        yield f"{by_neuron}towards {neuron.positive}", highest(neuron.sign * values)
        yield f"{by_neuron}towards {neuron.negative}", highest(-neuron.sign * values)
    else:
        yield f"{by_neuron}highest", highest(values)
        yield f"{by_neuron}lowest", highest(-values)
    is_binary = len(classes) == 2 and not multi_label
    shown_classes = [1, 0] if is_binary else np.argsort(-has_class.sum(axis=0), kind="stable")[:MAX_CLASSES].tolist()
    for number in shown_classes:
        title = f"By the classifier: surest of {spoken(classes[number])}"
        yield title, highest(probabilities[:, number], AT_EITHER_END if is_binary else 1)


def _names(has_class: NDArray[np.bool_], classes: Sequence[str]) -> str:
    return ", ".join(spoken(name) for name, has in zip(classes, has_class, strict=True) if has) or "none"
