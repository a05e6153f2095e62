"""Logistic regression with an L1 penalty at several strengths, by Newton steps on a working set of columns.

With w [F] and the intercept b, for rows x_i with y_i = 1 (positive) or -1, each fit minimises what liblinear minimises:

    |w_1| + … + |w_F| + |b| + C * sum_i log(1 + exp(-y_i (w·x_i + b)))

The intercept is penalised as the weight of a column of ones would be. At the minimum most weights are zero, and theirs
are the columns with C * |d loss / d w_j| <= 1. A step takes the columns whose weight is not zero and those that violate
this, minimises the quadratic approximation of the loss on them with the penalty as it is (`l1_quadratic`), and searches
along the line to there; then all columns are looked at again. Each fit starts from the one before.

liblinear itself on such a working set was slower than on all columns where fits keep many that are nearly dependent:
166 seconds against 103 for nine values of C on 6,920 x 4,096, of which the last kept 1,800. It starts each fit from
zero, and descends along coordinates alone.

Source: Yuan, Ho, Lin 2012, "An Improved GLMNET for L1-regularized Logistic Regression", JMLR 13: liblinear's method,
whose outer step, line search and rule to stop these are.
"""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.errors import DataError
from sentneuron.core.transfer.l1_loss import Loss, Places, Vector
from sentneuron.core.transfer.l1_quadratic import minimise_quadratic, violation

TOLERANCE = 1e-5
"""A tenth of liblinear's own: a last step is cheap, and no fit is then worse than liblinear's."""
MAX_STEPS = 100
ROOM = 256
"""Columns that may join the working set in a step, or GROWTH of those it has."""
GROWTH = 0.3
NEW_CURVATURE = 2
"""Steps of a fit that take the curvature anew; later ones keep it while each leaves less than SLOW of the violation."""
SLOW = 0.3
SUFFICIENT = 0.01

logger = logging.getLogger(__name__)


def l1_path(
    features: NDArray[np.floating], positive: NDArray[np.bool_], *, strengths: Sequence[float], tol: float = TOLERANCE
) -> tuple[Vector, Vector]:
    """Return weights [strengths, F] and intercepts [strengths] of a fit for each C; quickest where C grows.

    `tol` means what it means to liblinear: a fit ends when the sum over all columns of how far each violates its
    condition of a minimum is at most tol * (rows of the rarer class) / rows * the same sum at w = 0.

    `features` [N, F] are float32 or float64. Where all rows are positive, or none is, there is nothing to tell apart:
    the weights are zero, and the intercept makes the probability (positive rows + 1) / (rows + 2) (Laplace's rule of
    succession).

    Raises:
        DataError: features that are not finite.
    """
    num_rows, num_columns = features.shape
    num_positive = int(np.count_nonzero(positive))
    weights, biases = np.zeros((len(strengths), num_columns)), np.zeros(len(strengths))
    weight, score = np.zeros(num_columns + 1), np.zeros(num_rows)
    loss = Loss(features, positive.astype(np.float64))
    with np.errstate(invalid="ignore"):
        slope_at_zero = slope = loss.slope(score)
    if not np.isfinite(slope_at_zero).all():
        raise DataError("the features hold values that are not finite", hint="check the model and the texts")
    rarer = min(num_positive, num_rows - num_positive)
    if not rarer:
        biases[:] = np.log((num_positive + 1) / (num_rows - num_positive + 1))
        return weights, biases

    for place, strength in enumerate(strengths):
        penalty = 1 / strength
        allowed = tol * rarer / num_rows * np.maximum(np.abs(slope_at_zero) - penalty, 0).sum()
        left_before = np.inf
        for number in range(MAX_STEPS):
            wrong = violation(slope, weight, penalty)
            left = wrong.sum()
            if left <= allowed:
                break
            if number < NEW_CURVATURE or left > SLOW * left_before:
                loss.refresh(score)
            left_before = left
            working = _working_set(weight, wrong)
            goal = max(0.05 * left, 0.3 * allowed)
            step, along = _newton_step(loss, score, weight[working], slope[working], working, penalty, goal)
            weight[working] += step
            score += along
            slope = loss.slope(score)
        else:
            logger.warning("the regression at C = %g stopped after %d steps", strength, MAX_STEPS)
        weights[place], biases[place] = weight[:-1], weight[-1]
    return weights, biases


def _working_set(weight: Vector, wrong: Vector) -> Places:
    """Return the columns of a step in order: those in use, the worst violators among the others, and the ones."""
    used = np.flatnonzero(weight)
    others = np.where(weight == 0, wrong, 0)
    room = min(max(ROOM, int(GROWTH * len(used))), np.count_nonzero(others))
    joining = np.argsort(-others, kind="stable")[:room]
    return np.union1d(np.concatenate([used, joining]), [len(weight) - 1]).astype(np.intp)


def _newton_step(
    loss: Loss, score: Vector, weight: Vector, slope: Vector, working: Places, penalty: float, goal: float
) -> tuple[Vector, Vector]:
    """Return the change of the working set's weights, and of the scores [N], that makes the objective smaller."""
    curvature = loss.curvature(working)
    wanted = minimise_quadratic(curvature, curvature @ weight - slope, penalty, weight, goal=goal)
    step = wanted - weight
    along = loss.scores(working, step)

    def objective(share: float) -> float:
        return loss.value(score + share * along) + penalty * float(np.abs(weight + share * step).sum())

    now = objective(0)
    promised = slope @ step + penalty * (np.abs(wanted).sum() - np.abs(weight).sum())
    share = 1.0
    while objective(share) - now > SUFFICIENT * share * promised + 1e-14 * now and share > 1e-9:
        share /= 2
    return share * step, share * along
