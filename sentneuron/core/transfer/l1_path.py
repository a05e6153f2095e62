"""Logistic regression with an L1 penalty at several strengths, by Newton steps on a working set of columns.

With w [F] and the intercept b, for rows x_i with y_i = 1 (positive) or -1, each fit minimises what liblinear minimises:

    |w_1| + … + |w_F| + |b| + C * sum_i log(1 + exp(-y_i (w·x_i + b)))

The intercept is penalised as the weight of a column of ones would be. At the minimum most weights are zero, and theirs
are the columns with C * |d loss / d w_j| <= 1. A step takes the columns whose weight is not zero and those that violate
this, minimises the quadratic approximation of the loss on them with the penalty as it is (`l1_quadratic`), and searches
along the line to there; then all columns are looked at again. Each fit starts from the one before.

liblinear itself, on such a working set, was no quicker than on all columns where a fit keeps hundreds of nearly
dependent columns: it starts each fit from zero, and descends along coordinates alone.

Source: Yuan, Ho, Lin 2012, "An Improved GLMNET for L1-regularized Logistic Regression", JMLR 13: liblinear's method,
whose outer step, line search and rule to stop these are.
"""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.errors import DataError
from sentneuron.core.transfer.l1_quadratic import Vector, minimise_quadratic, violation

TOLERANCE = 1e-5
"""A tenth of liblinear's own: a last step is cheap, and no fit is then worse than liblinear's."""
MAX_STEPS = 100
ROOM = 256
"""Columns that may join the working set in a step, or as many as it has."""
CACHED_ROWS = 128
"""Rows that are turned into float64 together for a product with all columns: about what a cache holds."""
LEAST_CURVATURE = 1e-6
SUFFICIENT = 0.01

logger = logging.getLogger(__name__)


def l1_path(
    features: NDArray[np.floating], positive: NDArray[np.bool_], *, strengths: Sequence[float], tol: float = TOLERANCE
) -> tuple[Vector, Vector]:
    """Return weights [strengths, F] and intercepts [strengths] of a fit for each C; quickest where C grows.

    `tol` means what it means to liblinear: a fit ends when the sum over all columns of how far each violates its
    condition of a minimum is at most tol * (rows of the rarer class) / rows * the same sum at w = 0.

    Of `features` [N, F], float32 or float64, no more than the working set is copied to float64. Where all rows are
    positive, or none is, there is nothing to tell apart: the weights are zero, and the intercept makes the probability
    (positive rows + 1) / (rows + 2) (Laplace's rule of succession).

    Raises:
        DataError: features that are not finite.
    """
    num_rows, num_columns = features.shape
    num_positive = int(np.count_nonzero(positive))
    weights, biases = np.zeros((len(strengths), num_columns)), np.zeros(len(strengths))
    rarer = min(num_positive, num_rows - num_positive)
    features = np.ascontiguousarray(features)
    truth = positive.astype(np.float64)
    with np.errstate(invalid="ignore"):
        first = slope = _slope(features, 0.5 - truth)
    if not np.isfinite(first).all():
        raise DataError("the features hold values that are not finite", hint="check the model and the texts")
    if not rarer:
        biases[:] = np.log((num_positive + 1) / (num_rows - num_positive + 1))
        return weights, biases

    weight, score = np.zeros(num_columns + 1), np.zeros(num_rows)
    for place, strength in enumerate(strengths):
        penalty = 1 / strength
        allowed = tol * rarer / num_rows * np.maximum(np.abs(first) - penalty, 0).sum()
        for _ in range(MAX_STEPS):
            wrong = violation(slope, weight, penalty)
            if wrong.sum() <= allowed:
                break
            working = _working_set(weight, wrong)
            goal = max(0.05 * wrong.sum(), 0.3 * allowed)
            step, along = _newton_step(features, truth, score, weight[working], slope[working], working, penalty, goal)
            weight[working] += step
            score += along
            slope = _slope(features, _sigmoid(score) - truth)
        else:
            logger.warning("the regression at C = %g stopped after %d steps", strength, MAX_STEPS)
        weights[place], biases[place] = weight[:-1], weight[-1]
    return weights, biases


def _working_set(weight: Vector, wrong: Vector) -> NDArray[np.intp]:
    """Return the columns of a step in order: those in use, the worst violators among the others, and the ones."""
    used = np.flatnonzero(weight)
    others = np.where(weight == 0, wrong, 0)
    room = min(max(ROOM, len(used)), np.count_nonzero(others))
    joining = np.argsort(-others, kind="stable")[:room]
    return np.union1d(np.concatenate([used, joining]), [len(weight) - 1]).astype(np.intp)


def _newton_step(
    features: NDArray[np.floating],
    truth: Vector,
    score: Vector,
    weight: Vector,
    slope: Vector,
    working: NDArray[np.intp],
    penalty: float,
    goal: float,
) -> tuple[Vector, Vector]:
    """Return the change of the working set's weights, and of the scores [N], that makes the objective smaller."""
    columns = np.ones((len(truth), len(working)))
    columns[:, :-1] = features.take(working[:-1], axis=1)  # an index in brackets would copy column by column
    chance = _sigmoid(score)
    hessian = _weighted_gram(columns, np.maximum(chance * (1 - chance), LEAST_CURVATURE))
    wanted = minimise_quadratic(hessian, hessian @ weight - slope, penalty, weight, goal=goal)
    step = wanted - weight
    along = columns @ step

    def objective(share: float) -> float:
        moved = score + share * along
        loss = np.logaddexp(0, moved).sum() - truth @ moved
        return float(loss + penalty * np.abs(weight + share * step).sum())

    now = objective(0)
    promised = slope @ step + penalty * (np.abs(wanted).sum() - np.abs(weight).sum())
    share = 1.0
    while objective(share) - now > SUFFICIENT * share * promised + 1e-14 * now and share > 1e-9:
        share /= 2
    return share * step, share * along


def _weighted_gram(columns: Vector, curvature: Vector) -> Vector:
    """Return columns' · diag(curvature) · columns [k, k], without another copy of the columns."""
    total = np.zeros((columns.shape[1], columns.shape[1]))
    for start in range(0, len(columns), 1024):
        rows = slice(start, start + 1024)
        part = columns[rows] * np.sqrt(curvature[rows])[:, None]
        total += part.T @ part
    return total


def _slope(features: NDArray[np.floating], residual: Vector) -> Vector:
    """Return the gradient of the loss [F + 1], the intercept's last, for residuals (probability - truth) [N]."""
    total = np.zeros(features.shape[1])
    for start in range(0, len(features), CACHED_ROWS):
        rows = slice(start, start + CACHED_ROWS)
        total += residual[rows] @ features[rows].astype(np.float64, copy=False)
    return np.append(total, residual.sum())


def _sigmoid(scores: Vector) -> Vector:
    """Return 1 / (1 + exp(-scores)) without overflow."""
    return 0.5 + 0.5 * np.tanh(scores / 2)
