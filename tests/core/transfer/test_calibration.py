"""Calibration: probabilities become frequencies, what is more probable stays so, and hopeless rows stay as they are."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import minimize

from sentneuron.core.transfer.calibration import calibrated
from sentneuron.core.transfer.probe import Probe

WEIGHT = np.array([[1.0, -0.5, 0.2, 0.0]], np.float32)
SHIFT = -0.7


@pytest.fixture
def drawn():
    """Features, and classes drawn with the probabilities that WEIGHT and SHIFT give."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(4000, 4)).astype(np.float32)
    odds = np.exp(features @ WEIGHT[0] + SHIFT)
    return features, (draw.random(4000) < odds / (1 + odds)).astype(np.int64)


def probe(weight, bias, **more):
    return Probe(weight=np.asarray(weight, np.float32), bias=np.asarray(bias, np.float32), C=1.0, **more)


def test_a_probe_that_is_too_sure_and_shifted_gets_the_probabilities_of_the_draw(drawn):
    features, truth = drawn
    too_sure = probe(WEIGHT * 8, [3.0])
    found = calibrated(too_sure, features, truth)
    np.testing.assert_allclose(found.weight, WEIGHT, rtol=0.15)
    assert found.bias[0] == pytest.approx(SHIFT, abs=0.1)
    assert found.accuracy(features, truth) > too_sure.accuracy(features, truth) + 0.05
    assert found.valid_accuracy == found.accuracy(features, truth)


def test_slope_and_shift_have_the_likelihood_at_its_largest(drawn):
    features, truth = drawn
    scores = (features @ WEIGHT[0]).astype(np.float64)
    positives, negatives = truth.sum(), (1 - truth).sum()
    targets = np.where(truth == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))  # Platt's

    def loss(line):
        z = line[0] * scores + line[1]
        return np.mean(np.logaddexp(0, z) - targets * z)

    slope, shift = minimize(loss, [1.0, 0.0], tol=1e-10).x
    found = calibrated(probe(WEIGHT, [0.0]), features, truth)
    np.testing.assert_allclose(found.weight, slope * WEIGHT, rtol=1e-3, atol=1e-6)
    assert found.bias[0] == pytest.approx(shift, abs=1e-3)


def test_the_order_of_texts_stays(drawn):
    features, truth = drawn
    before = probe(WEIGHT * 8, [3.0])
    scores = before.scores(features)[:, 0], calibrated(before, features, truth).scores(features)[:, 0]
    assert (np.argsort(scores[0]) == np.argsort(scores[1])).mean() > 0.99  # equal but for rounding


def test_classes_that_are_told_apart_without_a_mistake_keep_finite_scores(drawn):
    features, _ = drawn
    truth = (features @ WEIGHT[0] > 0).astype(np.int64)
    found = calibrated(probe(WEIGHT, [0.0]), features[:200], truth[:200])
    assert 1 < found.weight[0, 0] < 1000


@pytest.mark.parametrize("weight", [0 * WEIGHT, -WEIGHT], ids=["says nothing", "says the opposite"])
def test_a_row_that_is_no_guide_stays_as_it_is(drawn, weight):
    features, truth = drawn
    found = calibrated(probe(weight, [0.3]), features, truth)
    assert (found.weight == weight).all()
    assert found.bias[0] == np.float32(0.3)


def test_each_class_and_each_label_has_a_line_of_its_own(drawn):
    features, truth = drawn
    rows = np.vstack([8 * WEIGHT, -8 * WEIGHT, WEIGHT[:, ::-1]])
    labels = np.stack([truth, 1 - truth, np.zeros_like(truth)], axis=1)
    several = calibrated(probe(rows, [3.0, 3.0, 0.0], multi_label=True), features, labels)
    np.testing.assert_allclose(several.weight[:2], [WEIGHT[0], -WEIGHT[0]], rtol=0.15)
    assert (several.weight[2] == rows[2]).all(), "a label that no text has"
    exclusive = calibrated(probe(rows, [3.0, 3.0, 0.0]), features, 1 - truth)  # class 0 where the truth was 1
    np.testing.assert_allclose(exclusive.weight[:2], several.weight[:2], rtol=1e-3, atol=1e-6)
    assert exclusive.bias[:2] == pytest.approx(several.bias[:2], abs=1e-3)


@pytest.mark.slow
def test_a_transfer_without_fine_tuning_does_not_wait_for_scikit_learn():
    code = "import sys, sentneuron.core.transfer.transfer; print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
