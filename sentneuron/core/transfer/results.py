"""What a transfer says about itself: results.json and predictions.csv."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.atomic import atomic_open
from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.data.labels import joined_labels
from sentneuron.core.transfer.label_set_metrics import make_scores, predicted_labels
from sentneuron.core.transfer.outputs import csv_writer
from sentneuron.core.transfer.probe import Probe, heaviest_neurons


def describe_probe(probe: Probe, neurons: Sequence[int]) -> dict[str, Any]:
    """Return a probe's C, its non-zero weights and which neurons (named by `neurons`) they stand on, heaviest first."""
    used = heaviest_neurons(probe.weight, int(np.count_nonzero(probe.weight.any(axis=0))))
    return {
        "C": probe.C,
        "nonzero_weights": probe.num_nonzero(),
        "weights": [{"neuron": int(neurons[i]), "weight": probe.weight[:, i].tolist()} for i in used],
        "bias": probe.bias.tolist(),
    }


def score_parts(
    probe: Probe, neurons: list[int] | slice, features: Mapping[str, NDArray[np.float32]], data: LabelledTexts
) -> dict[str, Any]:
    """Return the scores of a probe on each part, under the part's name."""
    scored = {}
    for part in data.parts:
        scores = make_scores(data.classes, multi_label=data.multi_label)
        scores.add(data.truth(part), probe.probabilities(features[part][:, neurons]))
        scored[part] = scores.to_dict()
    return scored


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Write the results as indented JSON; half a surrogate pair, which has no UTF-8 form, as its escape.

    Raises:
        OutputError, StorageError: as `atomic_open`.
    """
    with atomic_open(path, errors="backslashreplace") as file:
        file.write(json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_predictions(
    path: Path, data: LabelledTexts, probe: Probe, features: Mapping[str, NDArray[np.float32]], neuron: int
) -> None:
    """Write a row for each text of each part: what it is, what the probe on all neurons says, the neuron's value.

    `row` counts the records of the text's file, from 1.

    Raises:
        OutputError, StorageError: as `atomic_open`.
    """
    with atomic_open(path, newline="", errors="backslashreplace") as file:
        writer = csv_writer(file)
        columns = probability_columns(data.classes, multi_label=data.multi_label)
        writer.writerow(["split", "row", "label", "prediction", *columns, "neuron", "text"])
        for part, examples in data.parts.items():
            probabilities = probe.probabilities(features[part])
            named = named_classes(data.classes, probabilities, multi_label=data.multi_label)
            shown = shown_probabilities(probabilities, multi_label=data.multi_label)
            for i, example in enumerate(examples):
                values = [f"{value:.6g}" for value in (*shown[i], features[part][i, neuron])]
                writer.writerow([part, example.row, example.label, named[i], *values, example.text])


def named_classes(classes: Sequence[str], probabilities: NDArray[np.floating], *, multi_label: bool) -> list[str]:
    """Return each row's likeliest class, or of several labels those above 0.5, as `joined_labels` names them."""
    if not multi_label:
        return [classes[number] for number in probabilities.argmax(axis=1)]
    held = predicted_labels(probabilities)
    return [joined_labels(classes[number] for number in np.flatnonzero(row).tolist()) for row in held]


def probability_columns(classes: Sequence[str], *, multi_label: bool) -> list[str]:
    """Return the names of the columns with probabilities: one for two exclusive classes, else one a class."""
    is_binary = len(classes) == 2 and not multi_label
    return ["probability"] if is_binary else [f"probability_{name}" for name in classes]


def shown_probabilities(probabilities: NDArray[np.floating], *, multi_label: bool) -> NDArray[np.floating]:
    """Return the columns that are shown: of two exclusive classes the second's, else all."""
    return probabilities[:, 1:] if probabilities.shape[1] == 2 and not multi_label else probabilities
