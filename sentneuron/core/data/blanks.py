"""White space and padding, the last step of the text rule, for many texts at once.

Joined by their padding, texts show all that is left to do as controls and as pairs of spaces, and numpy finds those
faster in all of them together than a search of each.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

PADDING_BEFORE = b"\n "
PADDING_AFTER = b" "
NOTHING = PADDING_BEFORE + PADDING_AFTER
"""What a text becomes that has nothing in it."""

TEXTS_AT_ONCE = 1024
"""Few enough to stay in a processor's cache."""
SPACE, DELETE = 0x20, 0x7F


def pad_all(texts: Sequence[bytes]) -> list[bytes]:
    """Return each text with one space for each run of spaces and controls, none at its ends, and padded."""
    padded: list[bytes] = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        padded += _pad_some(texts[start : start + TEXTS_AT_ONCE])
    return padded


def _pad_some(texts: Sequence[bytes]) -> list[bytes]:
    num_added = len(PADDING_BEFORE) + len(PADDING_AFTER)
    joined = PADDING_BEFORE + (PADDING_AFTER + PADDING_BEFORE).join(texts) + PADDING_AFTER
    bounds = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) + num_added for text in texts], out=bounds[1:])

    codes = np.frombuffer(joined, np.uint8)
    is_control = (codes < SPACE) | (codes == DELETE)
    is_control[bounds[:-1]] = False
    is_space = codes == SPACE
    if is_control.any():
        is_space |= is_control
        codes = np.where(is_control, np.uint8(SPACE), codes)
        joined = codes.tobytes()
    doubles = np.flatnonzero(is_space[1:] & is_space[:-1]) + 1
    if len(doubles):
        joined = b"".join([joined[start + 1 : end] for start, end in pairwise([-1, *doubles.tolist(), len(joined)])])
        bounds -= np.searchsorted(doubles, bounds)
    padded = [joined[start:end] for start, end in pairwise(bounds.tolist())]
    # Of a text with nothing in it, the two paddings' spaces have become one.
    for index in np.flatnonzero(np.diff(bounds) == len(PADDING_BEFORE)).tolist():
        padded[index] = NOTHING
    return padded
