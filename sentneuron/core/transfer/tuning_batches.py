"""What fine-tuning reads: all training texts once an epoch, those of like length together, of a long one a stretch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BATCH_SIZE = 32
STRETCH = 512
"""Bytes that are read of a text at the most, another stretch of it in each epoch: what a step keeps for its backward
pass does not grow with the text. A classifier reads texts whole."""
POOL = 32
"""Batches whose texts are sorted by length together."""


def epoch_batches(lengths: Sequence[int], *, draw: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return the texts' places in batches in a random order, each text once; a batch has texts of like length."""
    order = draw.permutation(len(lengths))
    read = np.minimum(lengths, STRETCH)
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), BATCH_SIZE * POOL):
        pool = order[start : start + BATCH_SIZE * POOL]
        pool = pool[np.argsort(read[pool], kind="stable")]
        batches += [pool[at : at + BATCH_SIZE] for at in range(0, len(pool), BATCH_SIZE)]
    return [batches[place] for place in draw.permutation(len(batches))]


def epoch_bytes(lengths: Sequence[int]) -> int:
    """Return how many bytes an epoch reads."""
    return int(np.minimum(lengths, STRETCH).sum())


def stretches(texts: Sequence[bytes], *, draw: np.random.Generator) -> list[bytes]:
    """Return each text, of one longer than STRETCH a random stretch."""
    starts = [int(draw.integers(max(len(text) - STRETCH, 0) + 1)) for text in texts]
    return [text[start : start + STRETCH] for text, start in zip(texts, starts, strict=True)]
