"""Probabilities that mean what they say: each row of a probe scaled and shifted to fit texts it was not fitted to.

A regression on features that were trained on the same texts takes them for easier than texts are, and its probabilities
lie too near 0 and 1; what it calls more probable stays right. The new score a * score + b has the likelihood of the
validation part at its largest; each text there counts as one of its class and a little of one of the other, so that
parts which can be told apart without a mistake have no infinite scores.

Source: Platt 1999, "Probabilistic outputs for support vector machines".
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.transfer.probe import Probe


def calibrated(probe: Probe, features: NDArray[np.floating], truth: NDArray[np.integer]) -> Probe:
    """Return the probe, fitted to features [N, F] whose classes are [N], or whose labels are [N, K] of 0 and 1.

    A row stays as it is where there is nothing to fit it to: a label that all texts have or none has, or a score that
    does not grow with the label's frequency.
    """
    weight, bias = probe.weight.copy(), probe.bias.copy()
    scores = probe.scores(features)
    for row in range(len(bias)):
        if probe.multi_label:
            holds = truth[:, row] == 1
        else:
            holds = truth == (1 if len(bias) == 1 else row)
        if holds.all() or not holds.any():
            continue
        slope, shift = _line(scores[:, row], holds)
        if slope > 0:
            weight[row], bias[row] = slope * weight[row], slope * bias[row] + shift
    found = replace(probe, weight=weight, bias=bias)
    return replace(found, valid_accuracy=found.accuracy(features, truth))


def _line(scores: NDArray[np.float64], holds: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the slope and the shift that make probabilities of scores [N], some of which hold and some not."""
    from sklearn.linear_model import LogisticRegression  # a second to import, and only fine-tuning needs it

    positives, negatives = int(holds.sum()), int((~holds).sum())
    targets = np.where(holds, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    twice = np.concatenate([scores, scores])[:, None]
    labels = np.repeat([1, 0], len(scores))
    fitted = LogisticRegression(C=np.inf).fit(twice, labels, sample_weight=np.concatenate([targets, 1 - targets]))
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
