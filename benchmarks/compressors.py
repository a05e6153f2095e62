"""Bits per byte that a text takes without a network: gzip and xz as a user would call them, xz after text that it has
seen, and a byte n-gram model that has counted that text.
"""

import gzip
import lzma
import time
from typing import Any

import numpy as np
from ngram import NgramModel
from numpy.typing import NDArray

LEVEL = 9
XZ_BYTES = 64_000_000
"""Of training text before the held-out text: what the window of `xz -9` holds."""


def bits_without_networks(text: NDArray[np.uint8], *, trained_on: NDArray[np.uint8], order: int) -> dict[str, Any]:
    """Return the bits per byte of held-out text, by method; `trained_on` is text [streams, T] that a model has read."""
    plain, before = text.tobytes(), trained_on.tobytes()[:XZ_BYTES]
    started = time.monotonic()
    counted = NgramModel(trained_on, order=order)
    bits = counted.bits_per_byte(text)
    seconds = time.monotonic() - started
    return {
        "ngram": {"order": order, "bits_per_byte": bits, "memory_bytes": counted.num_bytes, "seconds": seconds},
        "gzip": gzip_bits(plain),
        "xz": xz_bits(plain),
        "xz_primed": {"training_bytes": len(before), "bits_per_byte": xz_bits(plain, after=before)},
    }


def gzip_bits(text: bytes) -> float:
    """Return what `gzip -9` needs."""
    return 8 * len(gzip.compress(text, LEVEL)) / len(text)


def xz_bits(text: bytes, *, after: bytes = b"") -> float:
    """Return what `xz -9` needs, or what the text adds to an archive that begins with other text."""
    before = len(lzma.compress(after, preset=LEVEL)) if after else 0
    return 8 * (len(lzma.compress(after + text, preset=LEVEL)) - before) / len(text)
