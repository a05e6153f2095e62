"""All figures of a transfer, and the page that shows them: written into its folder."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.atomic import atomic_open
from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.data.text import TextRule
from sentneuron.core.generation.heatmap import colour_scale
from sentneuron.core.generation.neurons import choose_neuron, spoken
from sentneuron.core.report.markup import Picture, percent
from sentneuron.core.report.page import WHERE, best_part, page, second_name
from sentneuron.core.report.plots import plot_neuron, plot_weights
from sentneuron.core.report.score_plots import plot_confusion, plot_label_efficiency, plot_roc
from sentneuron.core.transfer.extremes import extreme_texts
from sentneuron.core.transfer.features import ByteRunner
from sentneuron.core.transfer.label_efficiency import DRAWS
from sentneuron.core.transfer.part_features import Features
from sentneuron.core.transfer.probes import Probes

MAX_ON_PAGE = 5
"""Neurons whose histograms are on the page; all are in the folder."""
NOT_ALWAYS = re.compile(r"(label_efficiency|confusion|roc|neuron_[0-9]+)\.png")
"""Figures that one run draws and another does not."""


def draw_report(
    output: Path,
    *,
    results: dict[str, Any],
    classifier: dict[str, Any],
    data: LabelledTexts,
    features: Features,
    probes: Probes,
    runner: ByteRunner,
    rule: TextRule,
) -> list[Path]:
    """Draw every figure and write report.html into the folder `output`; return the paths. An earlier run's figures go.

    `results` is what results.json holds, `classifier` what the model file does; `runner` has the features' neurons.
    Scores and texts are those of the test part, else of validation. Cross-validated data without a test part has its
    texts from train, the confusion matrix over all folds, and no ROC. Accuracy against labels needs a validation part;
    several labels have no confusion matrix, but a table on the page.

    Raises:
        OutputError, StorageError: a file cannot be written.
    """
    part = next(name for name in ("test", "valid", "train") if name in data.parts)
    probabilities = probes.every.probabilities(features[part])
    pictures = [
        *_score_pictures(output, results, data, part, probabilities),
        *_neuron_pictures(output, results, data, features, probes),
    ]
    neuron = choose_neuron(classifier, runner.num_units, requested=None)
    assert neuron is not None, "a classifier has a sentiment neuron"
    groups = extreme_texts(
        runner,
        rule,
        data.parts[part],
        _has_class(data, part),
        features[part][:, neuron.unit],
        probabilities,
        data.classes,
        neuron=neuron,
        multi_label=data.multi_label,
    )
    report = output / "report.html"
    on_page = [picture for picture in pictures if picture.path.name not in _left_out(probes)]
    with atomic_open(report) as file:
        file.write(page(results, on_page, groups, colour_scale(neuron, negate=False), texts_from=part))
    figures = [picture.path for picture in pictures]
    _remove_others(output, figures)
    return [*figures, report]


def _score_pictures(
    output: Path, results: dict[str, Any], data: LabelledTexts, part: str, probabilities: NDArray[np.floating]
) -> Iterator[Picture]:
    """Draw what the scores look like; `probabilities` are those of the texts of `part`."""
    scored = best_part(results)
    scores, where = results["all_neurons"][scored], WHERE[scored]
    frozen = results.get("frozen", {})  # what the points stand on: a fine-tuned encoder has seen all labels
    points, second = results["label_efficiency"], second_name(results | frozen)
    if points:
        path = output / "label_efficiency.png"
        share = scores["majority_share"]
        plot_label_efficiency(path, points, part=scored, majority_share=share, second=second)
        yield Picture(
            path=path,
            title=f"Accuracy against the number of training labels{', before fine-tuning' if frozen else ''}",
            caption=f"Points are means over {DRAWS} random training sets of that size (the last has all labels), bands "
            f"one standard deviation on either side; the dashed line is the commonest answer, {percent(share)}.",
            alt=f"Accuracy on {where} for {points[0]['labels']:,} to {points[-1]['labels']:,} labels; all neurons "
            f"reach {percent(points[-1]['all_neurons']['mean'])}, {second} {percent(points[-1]['neurons']['mean'])}.",
        )
    if not data.multi_label:
        path = output / "confusion.png"
        plot_confusion(path, np.array(scores["confusion"]), data.classes)
        yield Picture(
            path=path,
            title="Confusion matrix",
            caption=f"A row holds the texts of one class in {where}, each cell the share and the number of them that "
            "all neurons give the column’s class; right answers are on the diagonal.",
            alt=f"Confusion matrix of {len(data.classes)} classes; {percent(scores['accuracy'])} is on the diagonal.",
        )
    if part == scored:
        path = output / "roc.png"
        is_binary = len(data.classes) == 2 and not data.multi_label
        shown = slice(1, None) if is_binary else slice(None)
        plot_roc(path, _has_class(data, part)[:, shown], probabilities[:, shown], data.classes[shown])
        area = "" if scores["auc"] is None else f", with an area of {scores['auc']:.3f} under the curve"
        yield Picture(
            path=path,
            title="ROC",
            caption="Every threshold on the probability from all neurons is a point: how much of a class it finds, "
            "and how many other texts it takes for it; the nearer to the upper left corner, the better.",
            alt=f"ROC on {where}{area}.",
        )


def _neuron_pictures(
    output: Path, results: dict[str, Any], data: LabelledTexts, features: Features, probes: Probes
) -> Iterator[Picture]:
    """Draw the weights, and each heaviest neuron's values on the training part."""
    used = len(results["all_neurons"]["weights"])
    path = output / "weights.png"
    plot_weights(path, probes.every.weight, probes.heaviest, data.classes)
    yield Picture(
        path=path,
        title="Weights of the regression on all neurons",
        caption=f"Each line is a neuron; the longer it is, the more the neuron says. "
        f"{'Upwards is towards ' + spoken(data.classes[-1]) + '. ' if len(probes.every.weight) == 1 else ''}"
        f"The penalty has left {used:,} of {probes.every.weight.shape[1]:,} with a weight.",
        alt=f"Weights by neuron; the heaviest is neuron {probes.heaviest[0]}.",
    )
    has_class = _has_class(data, "train")
    for place, neuron in enumerate(probes.heaviest):
        path = output / f"neuron_{neuron}.png"
        values = features["train"][:, neuron]
        plot_neuron(path, values, has_class, data.classes, neuron, pooling=results["pooling"])
        yield Picture(
            path=path,
            title=f"Neuron {neuron}, {'the sentiment neuron' if place == 0 else f'number {place + 1} by weight'}",
            caption="How its value is distributed in each class of the training part; the less the classes lie over "
            "each other, the more this neuron says on its own.",
            alt=f"Histogram of neuron {neuron} by class.",
        )


def _remove_others(output: Path, figures: Iterable[Path]) -> None:
    """Remove figures that an earlier run has left in the folder, and that would pass for this one's."""
    for path in set(output.glob("*.png")).difference(figures):
        if NOT_ALWAYS.fullmatch(path.name):
            path.unlink()


def _left_out(probes: Probes) -> set[str]:
    return {f"neuron_{neuron}.png" for neuron in probes.heaviest[MAX_ON_PAGE:]}


def _has_class(data: LabelledTexts, part: str) -> NDArray[np.bool_]:
    """Return which classes each text of a part has, [N, K]."""
    truth = data.truth(part)
    return truth == 1 if data.multi_label else truth[:, None] == np.arange(len(data.classes))
