import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sentneuron.core.transfer.probe import STRENGTHS, Probe, fit_path, fit_probe, heaviest_neurons, refit_probe


def separable(num_rows, num_classes=2, num_features=6, noise=0.3, seed=0):
    """Class k shows in feature k; the other features are noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, num_classes, num_rows)
    x = rng.normal(size=(num_rows, num_features)) * noise
    x[np.arange(num_rows), y] += 1
    return x.astype(np.float32), y


def test_the_strengths_are_the_papers():
    assert list(STRENGTHS) == [1 / 256, 1 / 128, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]


def test_a_probe_finds_the_feature_that_tells_the_classes_apart():
    probe = fit_probe(*separable(300), *separable(100, seed=1))
    assert probe.weight.shape == (1, 6)
    assert probe.weight[0, 1] > 0 > probe.weight[0, 0]
    assert set(heaviest_neurons(probe.weight, 2)) == {0, 1}
    x, y = separable(100, seed=2)
    assert np.mean(probe.probabilities(x).argmax(axis=1) == y) > 0.95


def test_the_penalty_sets_weights_to_zero():
    x, y = separable(60)
    noisy = np.hstack([x, np.random.default_rng(3).normal(size=(60, 200)).astype(np.float32)])
    probe = fit_probe(noisy, y, noisy, y, strengths=[0.25])
    assert 0 < probe.num_nonzero() < 20


def test_ties_go_to_the_stronger_penalty():
    x, y = separable(200, noise=0.01)
    probe = fit_probe(x, y, x, y, strengths=[1.0, 0.5, 0.25])
    assert probe.valid_accuracy == 1.0
    assert probe.C == 0.25


def test_the_strength_is_the_one_that_validates_best():
    x, y = separable(40, noise=0.5, num_features=30)
    valid = separable(200, noise=0.5, num_features=30, seed=1)
    best = fit_probe(x, y, *valid)
    each = [fit_probe(x, y, *valid, strengths=[strength]).valid_accuracy for strength in STRENGTHS]
    assert best.valid_accuracy == max(each)
    assert STRENGTHS[each.index(max(each))] == best.C
    assert len(set(each)) > 1


def test_a_refit_has_the_strength_chosen_on_rows_held_out_and_the_weights_of_all_rows():
    x, y = separable(120, noise=1.0)
    held_out = np.arange(120) % 4 == 0
    chosen = fit_probe(x[~held_out], y[~held_out], x[held_out], y[held_out])
    probe = refit_probe(x, y, held_out)
    assert (probe.C, probe.valid_accuracy) == (chosen.C, chosen.valid_accuracy)
    [whole] = fit_path(x, y, strengths=[chosen.C])
    np.testing.assert_array_equal(probe.weight, whole.weight)
    assert (probe.weight != chosen.weight).any()


def test_probabilities_are_those_of_scikit_learn():
    x, y = separable(100)
    probe = fit_probe(x, y, x, y, strengths=[0.5])
    model = LogisticRegression(l1_ratio=1.0, solver="liblinear", C=0.5, tol=1e-8, max_iter=1000)
    model.fit(x.astype(np.float64), y)
    np.testing.assert_allclose(probe.probabilities(x), model.predict_proba(x), atol=1e-5)


def test_more_classes_are_fitted_one_against_the_rest():
    probe = fit_probe(*separable(300, num_classes=3), *separable(100, num_classes=3, seed=1))
    assert probe.weight.shape == (3, 6)
    probabilities = probe.probabilities(separable(50, num_classes=3, seed=2)[0])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert probe.valid_accuracy > 0.9


def test_a_class_is_fitted_as_alone_against_the_rest():
    x, y = separable(200, num_classes=3)
    probe = fit_probe(x, y, x, y, strengths=[0.5])
    for number in range(3):
        alone = fit_probe(x, (y == number).astype(int), x, y, strengths=[0.5])
        np.testing.assert_array_equal(probe.weight[number], alone.weight[0])
        assert probe.bias[number] == alone.bias[0]


def labels(num_rows, seed=0):
    """Three labels that hold or not each on its own, and show in features 0, 1 and 2; the third is rare."""
    rng = np.random.default_rng(seed)
    y = (rng.random((num_rows, 3)) < [0.5, 0.3, 0.05]).astype(np.int64)
    x = np.hstack([y, np.zeros((num_rows, 5))]) + 0.3 * rng.normal(size=(num_rows, 8))
    return x.astype(np.float32), y


def test_labels_that_may_hold_together_each_have_a_row_and_a_chance_of_their_own():
    x, y = labels(400)
    probe = fit_probe(x, y, *labels(200, seed=1))
    assert probe.multi_label
    assert probe.weight.shape == (3, 8)
    unseen_x, unseen_y = labels(300, seed=2)
    probabilities = probe.probabilities(unseen_x)
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-(unseen_x @ probe.weight.T + probe.bias))), rtol=1e-4)
    assert ((probabilities > 0.5) == unseen_y).mean() > 0.9
    assert probabilities[unseen_y.sum(axis=1) == 2].sum(axis=1).mean() > 1.5
    for number in range(3):
        alone = fit_probe(x, y[:, number], x, y[:, number], strengths=[probe.C])
        np.testing.assert_allclose(probe.weight[number], alone.weight[0], rtol=1e-3, atol=1e-4)


def test_the_accuracy_of_labels_is_the_share_of_right_decisions():
    probe = Probe(weight=np.eye(2, dtype=np.float32), bias=np.zeros(2, np.float32), C=1.0, multi_label=True)
    x = np.array([[1.0, -1], [1, 1], [-1, -1]])
    assert probe.accuracy(x, np.array([[1, 0], [1, 0], [1, 1]])) == 0.5


def test_a_single_label_is_one_row_and_one_chance():
    x, y = labels(100)
    probe = fit_probe(x, y[:, :1], x, y[:, :1])
    assert probe.weight.shape == (1, 8)
    assert probe.probabilities(x).shape == (100, 1)


@pytest.mark.parametrize("held", [0, 1])
def test_a_label_that_all_texts_have_or_none_has_no_weights_and_a_smoothed_rate(held):
    x, y = labels(98)
    y[:, 1] = held
    probe = fit_probe(x, y, x, y, strengths=[1.0])
    assert not probe.weight[1].any()
    assert probe.weight[0].any()
    np.testing.assert_allclose(probe.probabilities(x)[:, 1], [0.01, 0.99][held], rtol=1e-5)


def test_a_class_without_a_text_in_train_has_a_row_too():
    x, y = separable(98, num_classes=3)
    few = fit_probe(x, y % 2, x, y % 2, num_classes=3, strengths=[1.0])
    assert few.weight.shape == (3, 6)
    assert not few.weight[2].any()
    assert few.probabilities(x).shape == (98, 3)
    assert fit_probe(x, y % 2, x, y % 2, num_classes=2, strengths=[1.0]).weight.shape == (1, 6)


def test_neurons_rank_by_the_sum_of_absolute_weights_and_ties_by_number():
    weight = np.array([[0.0, -3, 1, 2], [0, 0, -1, 1]])
    assert heaviest_neurons(weight, 4) == [1, 3, 2, 0]


def test_a_probe_survives_a_model_file():
    probe = fit_probe(*separable(80), *separable(40))
    again = Probe.from_dict(probe.to_dict())
    np.testing.assert_array_equal(again.weight, probe.weight)
    np.testing.assert_array_equal(again.bias, probe.bias)
    assert again.C == probe.C
    assert not again.multi_label
    assert Probe.from_dict(probe.to_dict(), multi_label=True).multi_label


@pytest.mark.parametrize("num_rows", [1, 3])
def test_a_row_without_features_has_no_probability_and_a_huge_score_a_finite_one(num_rows):
    probe = Probe(weight=np.ones((num_rows, 2), np.float32), bias=np.zeros(num_rows, np.float32), C=1.0)
    probabilities = probe.probabilities(np.array([[np.nan, 0], [1e6, 1e6], [-1e6, -1e6]]))
    assert np.isnan(probabilities[0]).all()
    assert np.isfinite(probabilities[1:]).all()
