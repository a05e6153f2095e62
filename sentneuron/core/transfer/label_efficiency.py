"""Accuracy against the number of training labels: what a user gets who labels ten texts, or a thousand.

As in figure 2 of the paper (Radford et al. 2017, arXiv:1704.01444): small training sets are drawn several times, the
rest is done as with all labels; C is chosen on the whole validation part, which counts as no training label. The few
neurons stay those that were chosen with all labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.transfer.part_features import Features
from sentneuron.core.transfer.probe import fit_probe
from sentneuron.core.transfer.probes import Probes

SIZES = (10, 30, 100, 300, 1000, 3000, 10_000)
DRAWS = 5
"""Training sets of each size."""
MAX_WORK = 12_000
"""Labels times rows of weights, above which a size is left out: eleven rows have 1,000 labels. Time grows with both:
five draws of 3,000 labels of SST for one row on 512 neurons take four seconds."""


def label_efficiency(features: Features, data: LabelledTexts, probes: Probes, *, seed: int) -> list[dict[str, Any]]:
    """Return the accuracy for each number of training labels, the fewest first and all of them last.

    The test part is scored, validation where there is none; cross-validated data, which has neither, gives no points.
    `probes` are fitted on all labels. A point holds `labels`, `draws` (1 for all labels), and under `all_neurons` and
    `neurons` the `mean` and the standard deviation `std` of `Probe.accuracy` over the draws. What is drawn follows from
    `seed`.

    Raises:
        DataError: features that are not finite.
    """
    if "valid" not in data.parts:
        return []
    part = "test" if "test" in data.parts else "valid"
    truth = {name: data.truth(name) for name in ("train", "valid", part)}
    # A slice copies nothing; chosen columns are copied once.
    columns: dict[str, slice | list[int]] = {"all_neurons": slice(None), "neurons": probes.indices}
    scored = {name: (features["valid"][:, own], features[part][:, own]) for name, own in columns.items()}
    orders = [drawing_order(truth["train"], seed=(seed, draw)) for draw in range(DRAWS)]
    points = []
    for size in sizes(truth["train"], num_rows=len(probes.every.weight)):
        point: dict[str, Any] = {"labels": size, "draws": DRAWS}
        for name, own in columns.items():
            valid_x, scored_x = scored[name]
            found = []
            for order in orders:
                picked = order[:size]
                probe = fit_probe(
                    features["train"][picked][:, own],
                    truth["train"][picked],
                    valid_x,
                    truth["valid"],
                    num_classes=len(data.classes),
                )
                found.append(probe.accuracy(scored_x, truth[part]))
            point[name] = {"mean": float(np.mean(found)), "std": float(np.std(found))}
        points.append(point)
    with_all: dict[str, Any] = {"labels": len(truth["train"]), "draws": 1}
    for name, probe in (("all_neurons", probes.every), ("neurons", probes.second)):
        with_all[name] = {"mean": probe.accuracy(scored[name][1], truth[part]), "std": 0.0}
    return [*points, with_all]


def sizes(truth: NDArray[np.integer], *, num_rows: int) -> list[int]:
    """Return the numbers of labels that are tried, short of all: at most two thirds of them, room for every class."""
    most, least = 2 * len(truth) / 3, len(_first_of_each(truth, np.arange(len(truth))))
    return [size for size in SIZES if least <= size <= most and size * num_rows <= MAX_WORK]


def drawing_order(truth: NDArray[np.integer], *, seed: Sequence[int]) -> NDArray[np.int64]:
    """Return all texts in a random order whose every beginning is a stratified sample.

    The first ones have every class once (of several labels [N, K]: each once there and once not, as far as the data
    have both). Behind them exclusive classes [N] keep their shares, to one text.
    """
    shuffled = np.random.default_rng(seed).permutation(len(truth))
    keys = np.empty(len(truth))
    keys[shuffled] = np.arange(len(truth)) / len(truth)
    if truth.ndim == 1:
        for number in np.unique(truth):
            own = shuffled[truth[shuffled] == number]
            keys[own] = (np.arange(len(own)) + 0.5) / len(own)
    keys[_first_of_each(truth, shuffled)] = -1
    return np.argsort(keys, kind="stable")


def _first_of_each(truth: NDArray[np.integer], order: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the first text in `order` of each class, or of each label the first with it and the first without."""
    columns = truth[:, None] if truth.ndim == 1 else truth
    firsts = [order[np.unique(column[order], return_index=True)[1]] for column in columns.T]
    return np.unique(np.concatenate(firsts))
