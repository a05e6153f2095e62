"""The logistic loss of features as Newton's method needs it: its slope on all columns, its curvature on some.

The columns are those of the features [N, F], and number F, a column of ones for the intercept. Sums are in float64;
rows are turned into float64 a block at a time, so that features of 25,000 x 4,096 in float32 are never copied whole.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Places = NDArray[np.intp]

NARROW_ROWS = 1024
WIDE_ROWS = 128
"""Rows of a block of some columns, and of one of all of them: about what a cache holds."""
LEAST_CURVATURE = 1e-6
"""Of a row: above that of a certain answer, so that no column is without curvature."""


class Loss:
    """sum_i log(1 + exp(score_i)) - truth_i * score_i: the negative log likelihood of scores [N]."""

    def __init__(self, features: NDArray[np.floating], truth: Vector) -> None:
        self.features = np.ascontiguousarray(features)
        self.truth = truth
        self.refresh(np.zeros(len(truth)))

    def value(self, score: Vector) -> float:
        """Return the loss."""
        return float(np.logaddexp(0, score).sum() - self.truth @ score)

    def slope(self, score: Vector) -> Vector:
        """Return the first derivative by each weight [F + 1]."""
        residual = sigmoid(score) - self.truth
        total = np.zeros(self.features.shape[1])
        for start in range(0, len(residual), WIDE_ROWS):
            rows = slice(start, start + WIDE_ROWS)
            total += residual[rows] @ self.features[rows].astype(np.float64, copy=False)
        return np.append(total, residual.sum())

    def scores(self, places: Places, weight: Vector) -> Vector:
        """Return the scores [N] of these columns' weights."""
        total = np.zeros(len(self.truth))
        for rows, block in self._blocks(places):
            total[rows] = block @ weight
        return total

    def refresh(self, score: Vector) -> None:
        """Take the curvature at these scores from now on."""
        chance = sigmoid(score)
        self._curvature = np.maximum(chance * (1 - chance), LEAST_CURVATURE)
        self._places = np.zeros(0, np.intp)
        self._matrix = np.zeros((0, 0))

    def curvature(self, places: Places) -> Vector:
        """Return the second derivatives by the weights of these columns [k, k], at the scores of the last `refresh`.

        What has been computed since is kept; columns that were not asked for yet are added to it.
        """
        new = np.setdiff1d(places, self._places)
        if len(new):
            self._extend(new)
        order = np.argsort(self._places)
        found = order[np.searchsorted(self._places, places, sorter=order)]
        return self._matrix[np.ix_(found, found)]

    def _extend(self, new: Places) -> None:
        num_old = len(self._places)
        everything = np.concatenate([self._places, new])
        matrix = np.zeros((len(everything), len(everything)))
        matrix[:num_old, :num_old] = self._matrix
        for rows, block in self._blocks(everything):
            block *= np.sqrt(self._curvature[rows])[:, None]
            fresh = block[:, num_old:]
            matrix[num_old:, num_old:] += fresh.T @ fresh
            matrix[:num_old, num_old:] += block[:, :num_old].T @ fresh
        matrix[num_old:, :num_old] = matrix[:num_old, num_old:].T
        self._places, self._matrix = everything, matrix

    def _blocks(self, places: Places) -> Iterator[tuple[slice, Vector]]:
        """Yield rows and these columns of them [rows, k], a copy, in float64."""
        ones = np.flatnonzero(places == self.features.shape[1])
        kept = np.where(places == self.features.shape[1], 0, places)
        for start in range(0, len(self.truth), NARROW_ROWS):
            rows = slice(start, start + NARROW_ROWS)
            block = self.features[rows].take(kept, axis=1).astype(np.float64, copy=False)
            block[:, ones] = 1
            yield rows, block


def sigmoid(scores: Vector) -> Vector:
    """Return 1 / (1 + exp(-scores)) without overflow."""
    return 0.5 + 0.5 * np.tanh(scores / 2)
