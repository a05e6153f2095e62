"""The two regressions of a transfer: on all neurons, and on the heaviest few of them or on all others."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.config import TransferConfig
from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.transfer.calibration import calibrated
from sentneuron.core.transfer.part_features import Features
from sentneuron.core.transfer.probe import Probe, fit_probe, heaviest_neurons
from sentneuron.core.transfer.results import describe_probe, score_parts


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Both regressions, and the features that they stand on."""

    every: Probe
    """On all features."""
    heaviest: list[int]
    """The features of the largest weights in it, heaviest first."""
    second: Probe
    indices: list[int]
    """What the second stands on: the heaviest, or all others in order."""

    def describe(self, features: Features, data: LabelledTexts) -> dict[str, Any]:
        """Return what results.json says of both: C, weights, and the scores of each part."""
        everything = range(self.every.weight.shape[1])
        return {
            "all_neurons": describe_probe(self.every, everything)
            | score_parts(self.every, slice(None), features, data),
            "neurons": describe_probe(self.second, self.indices)
            | score_parts(self.second, self.indices, features, data),
        }

    def calibrated(self, features: NDArray[np.floating], truth: NDArray[np.integer]) -> Self:
        """Return both, calibrated on features [N, F] and what their texts are."""
        return replace(
            self,
            every=calibrated(self.every, features, truth),
            second=calibrated(self.second, features[:, self.indices], truth),
        )


def fit_probes(features: Features, data: LabelledTexts, config: TransferConfig) -> Probes:
    """Fit both on the training part, the strength of each chosen on the validation part.

    Raises:
        DataError: features that are not finite.
    """
    train_y, valid_y = data.truth("train"), data.truth("valid")

    def fit(columns: list[int] | slice) -> Probe:
        train, valid = features["train"][:, columns], features["valid"][:, columns]
        return fit_probe(train, train_y, valid, valid_y, num_classes=len(data.classes))

    return fit_both(fit, features["train"].shape[1], config)


def fit_both(fit: Callable[[list[int] | slice], Probe], num_features: int, config: TransferConfig) -> Probes:
    """Fit both by `fit`, which gets the features to stand on."""
    every = fit(slice(None))
    heaviest = heaviest_neurons(every.weight, config.neurons)
    left_out = set(heaviest)
    others = [index for index in range(num_features) if index not in left_out]
    indices = others if config.drop_neurons else heaviest
    return Probes(every=every, heaviest=heaviest, second=fit(indices), indices=indices)
