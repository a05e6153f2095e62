"""Minimise a quadratic function with an L1 penalty: the inner problem of a proximal Newton step.

Coordinate descent finds which weights are zero and the signs of the others within a few sweeps, but takes tens of
thousands of them where columns are nearly dependent, as the units of a language model are. With zeros and signs known
the minimum is one linear system. So the two take turns. Only the matrix is needed, not the rows behind it.

Source: coordinate descent: Friedman, Hastie, Tibshirani 2010, "Regularization Paths for Generalized Linear Models via
Coordinate Descent", J. Stat. Softw. 33. The system of known signs: Lee, Battle, Raina, Ng 2006, "Efficient sparse
coding algorithms", NIPS 19.
"""

import numpy as np

from sentneuron.core.transfer.l1_loss import Vector

SWEEPS = 5
SYSTEMS = 50
MAX_ROUNDS = 50
RIDGE = 1e-10
"""Added to the diagonal, relative to it, so that dependent columns can be solved for."""


def violation(slope: Vector, weight: Vector, penalty: float) -> Vector:
    """Return how far each weight is from its condition of a minimum of smooth(weight) + penalty * |weight|_1.

    `slope` is the gradient of the smooth part: it is -penalty * sign where a weight is not zero, and within ±penalty
    where it is.
    """
    return np.where(weight != 0, np.abs(slope + penalty * np.sign(weight)), np.maximum(np.abs(slope) - penalty, 0))


def minimise_quadratic(matrix: Vector, linear: Vector, penalty: float, start: Vector, *, goal: float) -> Vector:
    """Return the v [k] with the least v·matrix·v / 2 - linear·v + penalty * |v|_1.

    Ends when the violations sum to `goal` or less, or after MAX_ROUNDS, and is never worse than `start`. `matrix`
    [k, k] is symmetric, positive semidefinite, with a diagonal above zero.
    """
    weight = start.copy()
    for _ in range(MAX_ROUNDS):
        _descend(matrix, linear, penalty, weight)
        for _ in range(SYSTEMS):
            if not weight.any() or _solve_signs(matrix, linear, penalty, weight):
                break
        if violation(matrix @ weight - linear, weight, penalty).sum() <= goal:
            break
    return weight


def _descend(matrix: Vector, linear: Vector, penalty: float, weight: Vector) -> None:
    """Sweep over the coordinates that are not at their minimum, each put there exactly."""
    slope = matrix @ weight - linear
    curvature = matrix.diagonal().tolist()  # floats of Python: twice as fast in this loop
    for _ in range(SWEEPS):
        for j in np.flatnonzero((weight != 0) | (np.abs(slope) > penalty)).tolist():
            old = float(weight[j])
            pull = old * curvature[j] - float(slope[j])
            new = (pull - penalty if pull > penalty else pull + penalty if pull < -penalty else 0.0) / curvature[j]
            if new != old:
                slope += (new - old) * matrix[j]
                weight[j] = new


def _solve_signs(matrix: Vector, linear: Vector, penalty: float, weight: Vector) -> bool:
    """Move the weights that are not zero towards their minimum at these signs; return True if they are there.

    Those that would change their sign become zero. Where that makes it worse, half the way is gone, and so on, down to
    where the first of them becomes zero, which makes it better.
    """
    from scipy.linalg import cho_factor, cho_solve  # costs tenths of a second to import; classify does not need it

    used = np.flatnonzero(weight)
    part, now = matrix[np.ix_(used, used)], weight[used]
    signs = np.sign(now)
    slope = part @ now - linear[used] + penalty * signs
    ridged = part.copy()
    ridged[np.diag_indices_from(ridged)] *= 1 + RIDGE
    step = cho_solve(cho_factor(ridged, lower=True, overwrite_a=True, check_finite=False), -slope, check_finite=False)
    to_zero = np.divide(-now, step, out=np.full(len(now), np.inf), where=step * signs < 0)
    first = to_zero.min()
    share = 1.0
    while True:
        moved = now + share * step
        moved[to_zero <= share] = 0
        change = moved - now
        if change @ slope + change @ part @ change / 2 < 0:
            weight[used] = moved
            return first > 1
        if share <= first:
            return True  # as low as rounding lets it
        share = max(share / 2, first)
