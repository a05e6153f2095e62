import numpy as np
import pytest

from sentneuron.core.transfer import l1_loss
from sentneuron.core.transfer.l1_loss import Loss


@pytest.fixture(params=[1, 3, 1000])
def small_blocks(request, monkeypatch):
    monkeypatch.setattr(l1_loss, "NARROW_ROWS", request.param)
    monkeypatch.setattr(l1_loss, "WIDE_ROWS", request.param)


def problem(dtype=np.float32):
    rng = np.random.default_rng(0)
    return rng.normal(size=(17, 9)).astype(dtype), (rng.random(17) < 0.5).astype(float), rng.normal(size=10)


def whole(features):
    return np.hstack([features.astype(np.float64), np.ones((len(features), 1))])


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slope_and_curvature_are_those_of_the_value(dtype):
    features, truth, weight = problem(dtype)
    loss, columns = Loss(features, truth), whole(features)
    score = columns @ weight
    loss.refresh(score)
    everything = np.arange(10)
    np.testing.assert_allclose(loss.scores(everything, weight), score)
    nudge = 1e-5 * np.eye(10)
    values = [(loss.value(columns @ (weight + d)) - loss.value(columns @ (weight - d))) / 2e-5 for d in nudge]
    np.testing.assert_allclose(loss.slope(score), values, rtol=1e-5, atol=1e-7)
    slopes = [(loss.slope(columns @ (weight + d)) - loss.slope(columns @ (weight - d))) / 2e-5 for d in nudge]
    np.testing.assert_allclose(loss.curvature(everything), slopes, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("small_blocks")
def test_curvature_is_extended_by_the_columns_that_are_new_and_taken_anew_when_told():
    features, truth, weight = problem()
    loss, columns = Loss(features, truth), whole(features)
    loss.refresh(columns @ weight)
    chance = 1 / (1 + np.exp(-columns @ weight))
    expected = columns.T @ (columns * (chance * (1 - chance))[:, None])
    for places in ([2, 5], [1, 5, 9], [0, 2, 3], [9], list(range(10))):
        np.testing.assert_allclose(loss.curvature(np.array(places)), expected[np.ix_(places, places)], atol=1e-12)
    loss.refresh(np.zeros(17))
    np.testing.assert_allclose(loss.curvature(np.arange(10)), columns.T @ columns / 4, atol=1e-12)


def test_certain_answers_have_a_finite_value_and_keep_some_curvature():
    features, truth, _ = problem()
    loss = Loss(features, truth)
    sure = 1e4 * (2 * truth - 1)
    assert loss.value(sure) == 0
    loss.refresh(sure)
    assert (loss.curvature(np.arange(10)).diagonal() > 0).all()
    assert not loss.slope(sure).any()
