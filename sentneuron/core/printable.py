"""Characters that steer a terminal or a reader's eye, and what is shown in their place.

Control characters start escape sequences. Marks of direction (U+202E and its like) let a text show in another order
than it has, zero-width characters and lone surrogates cannot be seen or written. Joiners (U+200C, U+200D) stay: emoji
and Persian are spelled with them.
"""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Source: Unicode Standard Annex 9, 2.1 to 2.6."""

_INVISIBLE = "\u180e\u200b\u2028\u2029\u2060\u2061\u2062\u2063\u2064\ufeff"
_REPLACED = dict.fromkeys(
    (
        *(code for code in range(32) if chr(code) not in "\n\t"),
        *range(127, 160),
        *map(ord, _INVISIBLE),
        *map(ord, BIDI_CONTROLS),
        *range(0xD800, 0xE000),
    ),
    REPLACEMENT,
)


def printable(text: str) -> str:
    """Replace what steers by U+FFFD, one for one; newlines and tabs stay."""
    return text.translate(_REPLACED)
