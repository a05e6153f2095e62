"""Cross-validation of data that has no parts: accuracy on every text, by regressions that have not seen it.

The different texts, in the order of a seeded hash, are dealt to the folds in turn, so that equal texts share a fold and
the order of the rows does not matter. For each fold the regressions are fitted on the others, C chosen on every tenth
of their texts and the regression then fitted again on all of them; the neurons of the second one are chosen anew each
time. The classifier that is kept comes about in the same way, on all texts.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.config import TransferConfig
from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.transfer.label_set_metrics import make_scores
from sentneuron.core.transfer.probe import Probe, refit_probe
from sentneuron.core.transfer.probes import Probes, fit_both

HELD_OUT = 10
"""Of so many texts one is held out to choose C."""


def cross_validate(
    x: NDArray[np.float32], data: LabelledTexts, config: TransferConfig
) -> tuple[Probes, dict[str, dict[str, Any]]]:
    """Return the regressions fitted on all texts, whose features are `x` [N, F], and the accuracy over folds.

    The latter is what results.json says of the two, under `all_neurons` and `neurons`: the scores of all texts, each by
    the regression that has not seen it, each fold's of `accuracies`, their `mean` and standard deviation `std`.

    Raises:
        DataError: features that are not finite.
    """
    assert config.folds is not None, "asked for without --folds"
    y, ranks, num_classes = data.truth("train"), text_ranks(data, seed=config.seed), len(data.classes)
    accuracies: dict[str, list[float]] = {"all_neurons": [], "neurons": []}
    scores = {name: make_scores(data.classes, multi_label=data.multi_label) for name in accuracies}
    for fold in range(config.folds):
        own = ranks % config.folds == fold
        probes = _fit_whole(x[~own], y[~own], ranks[~own], num_classes, config)
        second_x = x[own][:, probes.indices]
        for name, probe, own_x in (("all_neurons", probes.every, x[own]), ("neurons", probes.second, second_x)):
            accuracies[name].append(probe.accuracy(own_x, y[own]))
            scores[name].add(y[own], probe.probabilities(own_x))
    described = {
        name: scores[name].to_dict() | {"accuracies": each, "mean": float(np.mean(each)), "std": float(np.std(each))}
        for name, each in accuracies.items()
    }
    return _fit_whole(x, y, ranks, num_classes, config), described


def _fit_whole(
    x: NDArray[np.float32], y: NDArray[np.integer], ranks: NDArray[np.integer], num_classes: int, config: TransferConfig
) -> Probes:
    """Fit both regressions on all rows, C chosen on every tenth of the texts, which `ranks` [N] tell apart."""
    held_out = np.unique(ranks, return_inverse=True)[1] % HELD_OUT == 0

    def fit(columns: list[int] | slice) -> Probe:
        return refit_probe(x[:, columns], y, held_out, num_classes=num_classes)

    return fit_both(fit, x.shape[1], config)


def text_ranks(data: LabelledTexts, *, seed: int) -> NDArray[np.int64]:
    """Return for each row of train the place of its text among the different ones, in the order of a seeded hash."""
    keys = [hashlib.sha256(f"{seed}\n".encode() + example.clean).digest() for example in data.parts["train"]]
    places = {key: place for place, key in enumerate(sorted(set(keys)))}
    return np.array([places[key] for key in keys], np.int64)
