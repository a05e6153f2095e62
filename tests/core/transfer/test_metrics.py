import numpy as np
import pytest
from sklearn import metrics

from sentneuron.core.transfer.metrics import Scores


def random_rows(num_rows, num_classes, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(num_classes), num_rows)
    return rng.integers(0, num_classes, num_rows), probabilities


def test_two_classes_score_as_in_scikit_learn():
    truth, probabilities = random_rows(500, 2)
    scores = Scores(["0", "1"])
    scores.add(truth[:200], probabilities[:200])
    scores.add(truth[200:], probabilities[200:])
    predicted = probabilities.argmax(axis=1)
    assert scores.num_rows == 500
    assert scores.accuracy() == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert scores.f1() == pytest.approx(metrics.f1_score(truth, predicted))
    assert scores.auc() == pytest.approx(metrics.roc_auc_score(truth, probabilities[:, 1]), abs=1e-4)
    assert scores.majority_share() == max(np.mean(truth), 1 - np.mean(truth))
    np.testing.assert_array_equal(scores.confusion, metrics.confusion_matrix(truth, predicted))


def test_more_classes_are_averaged_as_in_scikit_learn():
    truth, probabilities = random_rows(600, 4)
    scores = Scores(["a", "b", "c", "d"])
    scores.add(truth, probabilities)
    predicted = probabilities.argmax(axis=1)
    assert scores.f1() == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
    assert scores.auc() == pytest.approx(metrics.roc_auc_score(truth, probabilities, multi_class="ovr"), abs=1e-4)


def test_equal_probabilities_are_worth_half():
    scores = Scores(["0", "1"])
    scores.add(np.array([0, 1, 1]), np.full((3, 2), 0.5))
    assert scores.auc() == 0.5


def test_one_class_alone_has_no_auc():
    scores = Scores(["0", "1"])
    scores.add(np.array([1, 1]), np.array([[0.2, 0.8], [0.7, 0.3]]))
    assert scores.auc() is None
    assert scores.to_dict() == {
        "rows": 2,
        "accuracy": 0.5,
        "f1": pytest.approx(2 / 3),
        "auc": None,
        "majority_share": 1.0,
        "confusion": [[0, 0], [1, 1]],
    }
