"""What a transfer says about itself: results.json and predictions.csv."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.atomic import atomic_open
from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.transfer.metrics import Scores
from sentneuron.core.transfer.outputs import csv_writer
from sentneuron.core.transfer.probe import Probe


def describe_probe(probe: Probe, neurons: Sequence[int]) -> dict[str, Any]:
    """Return a probe's C, its non-zero weights and which neurons (named by `neurons`) they stand on, heaviest first."""
    size = np.abs(probe.weight).sum(axis=0)
    used = [int(column) for column in np.argsort(-size, kind="stable") if size[column] > 0]
    return {
        "C": probe.C,
        "nonzero_weights": probe.num_nonzero(),
        "weights": [{"neuron": int(neurons[i]), "weight": probe.weight[:, i].tolist()} for i in used],
        "bias": probe.bias.tolist(),
    }


def score_parts(
    probe: Probe, neurons: Sequence[int], features: Mapping[str, NDArray[np.float32]], data: LabelledTexts
) -> dict[str, Any]:
    """Return the scores of a probe on each part, under the part's name."""
    scored = {}
    for part in data.parts:
        scores = Scores(data.classes)
        scores.add(data.truth(part), probe.probabilities(features[part][:, neurons]))
        scored[part] = scores.to_dict()
    return scored


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Write the results as indented JSON.

    Raises:
        OutputError, StorageError: as `atomic_open`.
    """
    with atomic_open(path) as file:
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
        writer.writerow(["split", "row", "label", "prediction", *probability_columns(data.classes), "neuron", "text"])
        for part, examples in data.parts.items():
            probabilities = probe.probabilities(features[part])
            predicted = probabilities.argmax(axis=1)
            shown = shown_probabilities(probabilities)
            for i, example in enumerate(examples):
                values = [f"{value:.6g}" for value in (*shown[i], features[part][i, neuron])]
                writer.writerow([part, example.row, example.label, data.classes[predicted[i]], *values, example.text])


def probability_columns(classes: Sequence[str]) -> list[str]:
    """Return the names of the columns with probabilities: one for two classes, one a class for more."""
    return ["probability"] if len(classes) == 2 else [f"probability_{name}" for name in classes]


def shown_probabilities(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the columns that are shown: of two classes the second's, of more all."""
    return probabilities[:, 1:] if probabilities.shape[1] == 2 else probabilities
