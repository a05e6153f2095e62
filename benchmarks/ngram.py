"""A byte n-gram model with Witten and Bell's interpolation: what counting alone predicts.

p(b | context) = (count(context b) + kinds(context) p(b | shorter context)) / (count(context) + kinds(context)), where
kinds is the number of different bytes seen after the context; below the single byte lies the uniform distribution. An
n-gram is one integer, its bytes in order; counts are sorted arrays. At most 8 bytes fit.

Source: Witten and Bell 1991, "The zero-frequency problem", IEEE Transactions on Information Theory 37(4), method C;
interpolated as in Chen and Goodman 1998, "An empirical study of smoothing techniques for language modeling", 2.3.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

MAX_ORDER = 8

Codes = NDArray[np.uint64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """Counts of one order: of the n-grams, and of the contexts in front of their last bytes."""

    grams: Codes
    counts: Counts
    contexts: Codes
    totals: Counts
    kinds: Counts

    @classmethod
    def count(cls, codes: Codes) -> Self:
        """Count n-grams [N]."""
        grams, counts = np.unique(codes, return_counts=True)
        contexts, starts, kinds = np.unique(grams >> np.uint64(8), return_index=True, return_counts=True)
        totals = np.add.reduceat(counts, starts) if len(starts) else counts
        return cls(grams, counts, contexts, totals, kinds)

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        return sum(array.nbytes for array in (self.grams, self.counts, self.contexts, self.totals, self.kinds))


class NgramModel:
    """Counts of all orders up to the highest."""

    def __init__(self, text: NDArray[np.uint8], *, order: int = 5) -> None:
        """Count a text [T], or several [S, T], whose n-grams do not cross from one into the next."""
        assert 1 <= order <= MAX_ORDER
        rows = np.atleast_2d(text)
        self.tables = [Table.count(ngrams(rows, length).ravel()) for length in range(1, order + 1)]

    @property
    def num_bytes(self) -> int:
        """Memory that the counts take."""
        return sum(table.num_bytes for table in self.tables)

    def probabilities(self, text: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the probability of each byte of a text [T] after those before it, of which the first has none."""
        found = np.full(len(text), 1 / 256)
        for length, table in enumerate(self.tables, 1):
            if len(text) < length:
                break
            codes = ngrams(text[None], length)[0]
            counts = look_up(codes, table.grams, table.counts)
            contexts = codes >> np.uint64(8)
            totals = look_up(contexts, table.contexts, table.totals)
            kinds = look_up(contexts, table.contexts, table.kinds)
            own = slice(length - 1, None)
            seen = totals > 0
            mixed = (counts + kinds * found[own]) / np.maximum(totals + kinds, 1)
            found[own] = np.where(seen, mixed, found[own])
        return found

    def bits_per_byte(self, text: NDArray[np.uint8]) -> float:
        """Return the mean over a text's bytes."""
        return float(-np.log(self.probabilities(text)).mean() / math.log(2))


def ngrams(rows: NDArray[np.uint8], length: int) -> Codes:
    """Return the n-grams of rows [S, T] as integers [S, T - length + 1], the last byte lowest."""
    width = rows.shape[1] - length + 1
    codes = np.zeros((len(rows), max(width, 0)), np.uint64)
    for place in range(length):
        codes <<= np.uint64(8)
        codes |= rows[:, place : place + width]
    return codes


def look_up(keys: Codes, known: Codes, values: Counts) -> Counts:
    """Return each key's value [N], 0 for one that is not in the sorted `known`."""
    if not len(known):
        return np.zeros(len(keys), np.int64)
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[places] == keys, values[places], 0)
