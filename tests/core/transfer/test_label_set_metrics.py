import numpy as np
import pytest
from sklearn import metrics

from sentneuron.core.transfer.label_set_metrics import LabelSetScores


def random_rows(num_rows, num_labels, seed=0):
    rng = np.random.default_rng(seed)
    shares = np.linspace(0.1, 0.6, num_labels)
    return (rng.random((num_rows, num_labels)) < shares).astype(int), rng.random((num_rows, num_labels))


def test_several_labels_score_as_in_scikit_learn():
    truth, probabilities = random_rows(400, 5)
    scores = LabelSetScores(list("abcde"))
    scores.add(truth[:150], probabilities[:150])
    scores.add(truth[150:], probabilities[150:])
    said = probabilities > 0.5
    assert scores.num_rows == 400
    assert scores.accuracy() == pytest.approx(np.mean(said == truth))
    assert scores.f1() == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    assert scores.f1_micro() == pytest.approx(metrics.f1_score(truth, said, average="micro"))
    assert scores.jaccard() == pytest.approx(metrics.jaccard_score(truth, said, average="samples", zero_division=1))
    assert scores.auc() == pytest.approx(metrics.roc_auc_score(truth, probabilities, average="macro"), abs=1e-4)
    found = scores.to_dict()
    assert found["majority_share"] == pytest.approx(np.mean(np.maximum(truth.mean(axis=0), 1 - truth.mean(axis=0))))
    assert list(found["labels"]) == list("abcde")
    for number, name in enumerate("abcde"):
        own = found["labels"][name]
        assert own["accuracy"] == pytest.approx(np.mean(said[:, number] == truth[:, number]))
        assert own["f1"] == pytest.approx(metrics.f1_score(truth[:, number], said[:, number]))
        assert own["confusion"] == metrics.confusion_matrix(truth[:, number], said[:, number]).tolist()


def test_two_empty_sets_of_labels_are_equal():
    scores = LabelSetScores(["a", "b"])
    scores.add(np.array([[0, 0], [1, 0], [1, 1]]), np.array([[0.1, 0.5], [0.1, 0.2], [0.9, 0.2]]))
    assert scores.jaccard() == pytest.approx((1 + 0 + 0.5) / 3)


def test_a_label_that_always_holds_has_no_area_and_the_mean_is_that_of_the_others():
    scores = LabelSetScores(["a", "b"])
    scores.add(np.array([[1, 0], [1, 1]]), np.array([[0.9, 0.2], [0.8, 0.7]]))
    assert scores.auc() == 1
    assert scores.to_dict()["labels"]["a"]["auc"] is None
    alone = LabelSetScores(["a"])
    alone.add(np.array([[0], [0]]), np.array([[0.2], [0.1]]))
    assert (alone.auc(), alone.f1(), alone.f1_micro()) == (None, 0, 0)
