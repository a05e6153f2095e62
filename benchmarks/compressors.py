"""Bits per byte that compressors need for a text: as a user would call them, and xz after text that it has seen.

xz's window holds 64 MB: of more text before it, only the end would help.
"""

import gzip
import lzma

LEVEL = 9


def gzip_bits(text: bytes) -> float:
    """Return what `gzip -9` needs."""
    return 8 * len(gzip.compress(text, LEVEL)) / len(text)


def xz_bits(text: bytes, *, after: bytes = b"") -> float:
    """Return what `xz -9` needs, or what the text adds to an archive that begins with other text."""
    before = len(lzma.compress(after, preset=LEVEL)) if after else 0
    return 8 * (len(lzma.compress(after + text, preset=LEVEL)) - before) / len(text)
