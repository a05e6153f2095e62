import numpy as np
import pytest
from sklearn.linear_model import Lasso

from sentneuron.core.transfer import l1_quadratic
from sentneuron.core.transfer.l1_quadratic import minimise_quadratic, violation


def problem(num_rows, num_columns, *, offset=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_rows, num_columns)) + offset
    y = x[:, 0] - x[:, 1] + rng.normal(size=num_rows)
    return x, y


def value(matrix, linear, penalty, weight):
    return weight @ matrix @ weight / 2 - linear @ weight + penalty * np.abs(weight).sum()


@pytest.mark.parametrize(("num_rows", "num_columns"), [(100, 20), (20, 60), (30, 1)])
@pytest.mark.parametrize("offset", [0, 5])
def test_the_minimum_is_the_lassos(num_rows, num_columns, offset):
    x, y = problem(num_rows, max(num_columns, 2), offset=offset)
    x = x[:, :num_columns]
    model = Lasso(alpha=0.1, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y)
    found = minimise_quadratic(x.T @ x, x.T @ y, 0.1 * num_rows, np.zeros(num_columns), goal=1e-9)
    best = value(x.T @ x, x.T @ y, 0.1 * num_rows, model.coef_)
    assert value(x.T @ x, x.T @ y, 0.1 * num_rows, found) <= best + 1e-7 * abs(best)
    np.testing.assert_allclose(found, model.coef_, atol=1e-4)


def test_a_minimum_has_no_violations_and_elsewhere_each_is_measured():
    slope = np.array([-3.0, 3.0, 2.0, -5.0, 1.0])
    weight = np.array([1.0, -2.0, 0.0, 0.0, 4.0])
    np.testing.assert_array_equal(violation(slope, weight, 3.0), [0, 0, 0, 2, 4])


def test_nearly_dependent_columns_take_few_rounds(monkeypatch):
    """Descent alone needs tens of thousands of sweeps here; in turns with the linear systems, a handful of rounds."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5))[:, rng.integers(0, 5, 60)] + 1e-2 * rng.normal(size=(200, 60)) + 5
    y = x[:, :5] @ np.ones(5) + rng.normal(size=200)
    options = {"penalty": 0.05, "start": np.zeros(60), "goal": 1e-6}
    monkeypatch.setattr(l1_quadratic, "MAX_ROUNDS", 10)
    found = minimise_quadratic(x.T @ x, x.T @ y, **options)
    assert violation(x.T @ (x @ found - y), found, 0.05).sum() < 1e-5
    monkeypatch.setattr(l1_quadratic, "SYSTEMS", 0)
    alone = minimise_quadratic(x.T @ x, x.T @ y, **options)
    assert violation(x.T @ (x @ alone - y), alone, 0.05).sum() > 1e-2


@pytest.mark.parametrize("seed", range(20))
def test_no_minimum_is_worse_than_the_start(seed):
    x, y = problem(8, 12, seed=seed)
    start = np.random.default_rng(seed).normal(size=12)
    end = minimise_quadratic(x.T @ x, x.T @ y, 1.0, start, goal=np.inf)
    assert value(x.T @ x, x.T @ y, 1.0, end) <= value(x.T @ x, x.T @ y, 1.0, start)
    assert not np.shares_memory(start, end)


def test_a_penalty_above_every_slope_leaves_zeros():
    x, y = problem(30, 4)
    assert not minimise_quadratic(x.T @ x, x.T @ y, 1e6, np.zeros(4), goal=0.0).any()
