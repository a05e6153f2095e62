"""The path against liblinear on all columns, fit tightly; and a minimum's own conditions."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sentneuron.core.errors import DataError
from sentneuron.core.transfer import l1_path as engine
from sentneuron.core.transfer.l1_path import l1_path

STRENGTHS = [2.0**power for power in range(-8, 1)]


def correlated(num_rows, num_columns, *, share=0.5, seed=0):
    """Columns with a few common factors and an offset; the first tells the classes apart, with noise."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(num_rows, 5))
    x = factors @ rng.normal(size=(5, num_columns)) + rng.normal(size=(num_rows, num_columns)) + 1
    score = x[:, 0] + rng.normal(size=num_rows)
    return x.astype(np.float32), score > np.quantile(score, 1 - share)


def few_rows():
    return correlated(40, 300)


def many_rows():
    return correlated(800, 30)


def unbalanced():
    return correlated(300, 60, share=0.04)


def scaled_columns():
    x, positive = correlated(200, 50)
    return x * np.logspace(-4, 3, 50, dtype=np.float32), positive


def useless_columns():
    """Columns of zeros, of one value, and twins."""
    x, positive = correlated(150, 20)
    return np.hstack([x, np.zeros((150, 3)), np.full((150, 2), 7), x[:, :5], -x[:, :5]]).astype(np.float32), positive


def one_strong_column():
    x, positive = correlated(150, 40)
    x[:, 7] = np.where(positive ^ (np.arange(150) % 9 == 0), 1e3, -1e3)
    return x, positive


def nearly_dependent_columns():
    rng = np.random.default_rng(0)
    x, positive = correlated(200, 8)
    return (x[:, rng.integers(0, 8, 80)] + 0.1 * rng.normal(size=(200, 80))).astype(np.float32) + 2, positive


def double_precision():
    x, positive = correlated(100, 30)
    return x.astype(np.float64), positive


def column_major():
    x, positive = correlated(100, 30)
    return np.asfortranarray(x), positive


CASES = [
    few_rows,
    many_rows,
    unbalanced,
    scaled_columns,
    useless_columns,
    one_strong_column,
    nearly_dependent_columns,
    double_precision,
    column_major,
]


def objective(x, positive, weight, bias, strength):
    margins = np.where(positive, 1, -1) * (x.astype(np.float64) @ weight + bias)
    return np.abs(weight).sum() + abs(bias) + strength * np.logaddexp(0, -margins).sum()


def violations(x, positive, weight, bias, strength):
    """How far each weight, and the intercept, is from its condition of a minimum: a second opinion of the engine's."""
    columns = np.hstack([x.astype(np.float64), np.ones((len(x), 1))])
    weight = np.append(weight, bias)
    slope = strength * columns.T @ (1 / (1 + np.exp(-(columns @ weight))) - positive)
    return np.where(weight != 0, np.abs(slope + np.sign(weight)), np.maximum(np.abs(slope) - 1, 0))


@pytest.mark.parametrize("make", CASES)
def test_each_fit_is_the_optimum_that_liblinear_finds_on_all_columns(make):
    x, positive = make()
    weights, biases = l1_path(x, positive, strengths=STRENGTHS, tol=1e-9)
    for weight, bias, strength in zip(weights[::2], biases[::2], STRENGTHS[::2], strict=True):
        model = LogisticRegression(l1_ratio=1.0, solver="liblinear", C=strength, tol=1e-6, max_iter=5000)
        model.fit(x.astype(np.float64), positive)
        best = objective(x, positive, model.coef_[0], model.intercept_[0], strength)
        assert objective(x, positive, weight, bias, strength) <= best * (1 + 1e-8)
        assert objective(x, positive, weight, bias, strength) >= best * (1 - 1e-5)
        if make is not useless_columns:  # twins share a weight in any way
            shown, expected = weight * x.std(axis=0), model.coef_[0] * x.std(axis=0)
            np.testing.assert_allclose(shown, expected, rtol=1e-2, atol=2e-2)
            large = np.abs(expected) > 2e-2
            np.testing.assert_array_equal(np.sign(shown[large]), np.sign(expected[large]))


@pytest.mark.parametrize("make", CASES)
def test_the_violations_of_all_columns_end_below_the_tolerance(make):
    x, positive = make()
    weights, biases = l1_path(x, positive, strengths=STRENGTHS, tol=1e-5)
    balance = min(positive.mean(), 1 - positive.mean())
    for weight, bias, strength in zip(weights, biases, STRENGTHS, strict=True):
        at_zero = violations(x, positive, np.zeros(x.shape[1]), 0.0, strength).sum()
        left = violations(x, positive, weight, bias, strength).sum()
        assert left <= 1.001e-5 * balance * at_zero + 1e-9


def test_at_its_own_tolerance_liblinear_is_never_better():
    x, positive = correlated(300, 400)
    for weight, bias, strength in zip(*l1_path(x, positive, strengths=STRENGTHS), STRENGTHS, strict=True):
        model = LogisticRegression(l1_ratio=1.0, solver="liblinear", C=strength, random_state=0, max_iter=1000)
        model.fit(x.astype(np.float64), positive)
        plain = objective(x, positive, model.coef_[0], model.intercept_[0], strength)
        assert objective(x, positive, weight, bias, strength) <= plain * (1 + 1e-7)


def test_without_violators_joining_the_fit_is_worse(monkeypatch):
    """A planted fault: the working set is left as it was at first. The checks above must be able to see it."""
    x, positive = correlated(300, 400)
    good, good_bias = l1_path(x, positive, strengths=[1.0])
    chosen = []

    def once(weight, wrong):
        chosen.append(np.append(np.argsort(-wrong[:-1], kind="stable")[:20], len(weight) - 1))
        return np.sort(chosen[0])

    monkeypatch.setattr(engine, "_working_set", once)
    poor, poor_bias = l1_path(x, positive, strengths=[1.0])
    assert len(chosen) == engine.MAX_STEPS, "it cannot believe that it is done"
    worse = objective(x, positive, poor[0], poor_bias[0], 1.0)
    assert worse > objective(x, positive, good[0], good_bias[0], 1.0) * 1.01
    assert violations(x, positive, poor[0], poor_bias[0], 1.0).sum() > 1


def test_columns_join_a_working_set_that_is_smaller_than_the_answer(monkeypatch):
    x, positive = correlated(300, 400)
    whole = l1_path(x, positive, strengths=STRENGTHS, tol=1e-9)
    monkeypatch.setattr(engine, "ROOM", 2)
    small = l1_path(x, positive, strengths=STRENGTHS, tol=1e-9)
    np.testing.assert_allclose(small[0], whole[0], atol=1e-5)
    assert np.count_nonzero(whole[0][-1]) > 50


def test_a_curvature_that_is_kept_changes_nothing_but_the_way(monkeypatch):
    x, positive = correlated(300, 200)
    kept = l1_path(x, positive, strengths=STRENGTHS, tol=1e-9)
    monkeypatch.setattr(engine, "NEW_CURVATURE", engine.MAX_STEPS)
    anew = l1_path(x, positive, strengths=STRENGTHS, tol=1e-9)
    np.testing.assert_allclose(kept[0], anew[0], atol=1e-5)


def test_a_fit_that_is_stopped_is_told_of(monkeypatch, caplog):
    x, positive = correlated(100, 50)
    monkeypatch.setattr(engine, "MAX_STEPS", 1)
    l1_path(x, positive, strengths=[1.0])
    assert "C = 1 stopped after 1 steps" in caplog.text


def test_each_fit_is_the_same_alone_and_in_any_order():
    x, positive = correlated(150, 80)
    weights, biases = l1_path(x, positive, strengths=STRENGTHS, tol=1e-9)
    back, back_biases = l1_path(x, positive, strengths=STRENGTHS[::-1], tol=1e-9)
    alone, alone_bias = l1_path(x, positive, strengths=[STRENGTHS[4]], tol=1e-9)
    np.testing.assert_allclose(back[::-1], weights, atol=1e-5)
    np.testing.assert_allclose(back_biases[::-1], biases, atol=1e-5)
    np.testing.assert_allclose(alone[0], weights[4], atol=1e-5)
    np.testing.assert_allclose(alone_bias[0], biases[4], atol=1e-5)


def test_the_same_features_give_the_same_bits():
    x, positive = correlated(150, 80)
    np.testing.assert_array_equal(
        l1_path(x, positive, strengths=STRENGTHS)[0], l1_path(x, positive, strengths=STRENGTHS)[0]
    )


def test_classes_that_a_column_separates_have_finite_weights():
    x, positive = correlated(60, 10)
    x[:, 3] = positive
    weights, biases = l1_path(x, positive, strengths=[1.0, 1e3, 1e6])
    assert np.isfinite(weights).all()
    assert np.isfinite(biases).all()
    assert (weights[:, 3] > 1).all()


@pytest.mark.parametrize(("num_positive", "chance"), [(0, 1 / 22), (20, 21 / 22)])
def test_where_there_is_nothing_to_tell_apart_the_rate_is_smoothed(num_positive, chance):
    weights, biases = l1_path(np.ones((20, 3), np.float32), np.arange(20) < num_positive, strengths=[0.5, 1.0])
    assert not weights.any()
    np.testing.assert_allclose(1 / (1 + np.exp(-biases)), chance)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("share", [0.5, 0.0])
def test_features_that_are_not_finite_are_refused(value, share):
    x, positive = correlated(30, 5)
    x[4, 2] = value
    with pytest.raises(DataError, match="not finite"):
        l1_path(x, positive & (share > 0), strengths=[1.0])
