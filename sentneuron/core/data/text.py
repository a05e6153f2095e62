"""The one rule that turns a review into the bytes a model reads; stored in every model and reused from there.

A rule is a list of steps, each a pattern and what a match becomes. `clean` runs them with `re.sub`;
`clean_with_offsets` runs the same steps and remembers which character each piece came from, so that the two cannot
drift apart. Entities are unescaped twice and no more: text escaped three times is somebody's HTML lesson. Tags are
found by grammar, not by `<.*?>`. Every pattern takes time linear in the text's length, whatever the text.
"""

import html
import re
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from itertools import takewhile
from typing import Any, NamedTuple, Self

from unidecode import unidecode

from sentneuron.core.errors import DataError

PADDING_BEFORE = b"\n "
PADDING_AFTER = b" "


class Step(NamedTuple):
    """One substitution, with a cheap test for texts that it cannot change."""

    applies: Callable[[str], bool]
    pattern: re.Pattern[str]
    replace: Callable[[re.Match[str]], str] | str
    keeps_tail: bool = False
    """The end that a match and its replacement share is left as it is, and belongs to its own characters."""


# The same shape as the standard library's, which leaves the pattern private.
# Source: https://html.spec.whatwg.org/multipage/syntax.html#character-references
ENTITY = re.compile(r"&(?:#[0-9]++;?|#[xX][0-9a-fA-F]++;?|[^\t\n\f <&#;]{1,32};?)")

# An attribute is name=value, or one of HTML's own flags: `a <b and c> d` is no tag. A quoted value may not hold `<`:
# no tag starts inside another one, and so a hostile text costs linear time.
TAG = re.compile(
    r"""<(?:
        /?[a-z][a-z0-9]*+(?:[:-][a-z0-9]++)*+
        (?:\s++(?:
            [a-z_:][-a-z0-9_:.]*+\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'|[^\s"'=<>`]++)
            |(?:allowfullscreen|async|autofocus|autoplay|checked|compact|controls|defer|disabled|hidden|loop|multiple|muted
               |nohref|noshade|novalidate|nowrap|open|readonly|required|reversed|selected)(?=[\s/>])
        ))*+\s*+/?>
        |!--[^-<]*+(?:(?!-->|<!--)[-<][^-<]*+)*+-->
        |!doctype[^<>]*+>
    )""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
NOT_ASCII = re.compile(r"[^\x00-\x7f]")
CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
UNICODE_CONTROLS = re.compile(r"(?:[^\S ]|[\x00-\x1f\x7f-\x9f])+")
# Begins with a literal, found by substring search; `\s+` stops at every word (IMDB on one core: 13 MB/s instead of 45).
SPACES = re.compile(r"  +")
SURROGATE = re.compile(r"[\ud800-\udfff]")


def unescape_entity(match: re.Match[str]) -> str:
    """Return one entity's character; the entity itself where HTML knows none, U+FFFD for impossible code points."""
    entity = match[0]
    # int() refuses more than 4,300 digits, and no code point has more than seven.
    return "\ufffd" if entity[1] == "#" and len(entity) > 64 else html.unescape(entity)


@cache
def ascii_of(character: str) -> str:
    """Return Unidecode's ASCII for one character; nothing for emoji, lone surrogates and unassigned code points."""
    if "\x80" <= character <= "\x9f":
        return " "
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return unidecode(character)


# HTML finds `&not` in `&notable`, and nothing in `&co`: what follows the entity stays itself.
UNESCAPE = Step(lambda text: "&" in text, ENTITY, unescape_entity, keeps_tail=True)
REMOVE_TAGS = Step(lambda text: "<" in text, TAG, " ")
TO_ASCII = Step(lambda text: not text.isascii(), NOT_ASCII, lambda match: ascii_of(match[0]))
DROP_SURROGATES = Step(lambda text: not text.isascii(), SURROGATE, "")
BLANK_CONTROLS = Step(lambda text: not text.isprintable(), CONTROLS, " ")
BLANK_UNICODE_CONTROLS = Step(lambda text: not text.isprintable(), UNICODE_CONTROLS, " ")
COLLAPSE = Step(lambda text: "  " in text, SPACES, " ")

ASCII_STEPS = (UNESCAPE, UNESCAPE, REMOVE_TAGS, TO_ASCII, BLANK_CONTROLS, COLLAPSE)
UNICODE_STEPS = (UNESCAPE, UNESCAPE, REMOVE_TAGS, DROP_SURROGATES, BLANK_UNICODE_CONTROLS, COLLAPSE)


@dataclass(frozen=True, kw_only=True)
class TextRule:
    """How text becomes bytes: entities, tags, ASCII, white space, padding."""

    name: str = "sentneuron"
    """Which rule; models from elsewhere carry their own."""
    keep_unicode: bool = False
    """Leave UTF-8 as it is instead of Unidecode's ASCII."""

    def __post_init__(self) -> None:
        if self.name != "sentneuron":
            raise DataError(f"text rule {self.name!r} is unknown", hint="update sentneuron, or train the model again")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild from a model file's `text`.

        Raises:
            DataError: a rule or a field that this version does not know.
        """
        unknown = sorted(set(values) - {"name", "keep_unicode"})
        if unknown:
            raise DataError(f"text rule has unknown fields {', '.join(unknown)}", hint="update sentneuron")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a model file."""
        return asdict(self)

    def body(self, text: str) -> str:
        """Return the clean text without padding, "" when nothing is left."""
        for step in self._steps:
            if step.applies(text):
                text = step.pattern.sub(step.replace, text)
        return text.strip(" ")

    def clean(self, text: str) -> bytes:
        """Return the clean text as bytes, padded in front and behind."""
        return PADDING_BEFORE + self.body(text).encode() + PADDING_AFTER

    def clean_with_offsets(self, text: str) -> tuple[bytes, list[int]]:
        """Return `clean(text)`, and for each character of `text` the index of its last byte in it.

        An entity, a tag and a run of white space belong to their first character. A character that yields no byte
        repeats the one before it; before the first that does, the index is that of the padding's last byte, 1.
        """
        owners = list(range(len(text)))
        length = len(text)
        for step in self._steps:
            if step.applies(text):
                text, owners = _substitute(step, text, owners)
        start = len(text) - len(text.lstrip(" "))
        body = text.strip(" ")

        last_byte = [0] * length
        position = len(PADDING_BEFORE) - 1
        for character, owner in zip(body, owners[start:], strict=False):
            position += len(character.encode())
            last_byte[owner] = position
        latest = len(PADDING_BEFORE) - 1
        for index, own in enumerate(last_byte):
            latest = own or latest
            last_byte[index] = latest
        return PADDING_BEFORE + body.encode() + PADDING_AFTER, last_byte

    @property
    def _steps(self) -> tuple[Step, ...]:
        return UNICODE_STEPS if self.keep_unicode else ASCII_STEPS


def _substitute(step: Step, text: str, owners: list[int]) -> tuple[str, list[int]]:
    """Do `step.pattern.sub` and carry along, for each character, the index of the original character that owns it."""
    pieces: list[str] = []
    new_owners: list[int] = []
    done = 0
    for match in step.pattern.finditer(text):
        start, end = match.span()
        new = step.replace if isinstance(step.replace, str) else step.replace(match)
        pieces += (text[done:start], new)
        new_owners += owners[done:start]
        tail = _common_tail(match[0], new) if step.keeps_tail else 0
        new_owners += [owners[start]] * (len(new) - tail)
        new_owners += owners[end - tail : end]
        done = end
    pieces.append(text[done:])
    new_owners += owners[done:]
    return "".join(pieces), new_owners


def _common_tail(old: str, new: str) -> int:
    """Return how many characters the end of an entity's match and its replacement share."""
    pairs = zip(reversed(old), reversed(new), strict=False)
    length = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    # `&semi;` is a semicolon, and does not end in one.
    return 0 if length == 1 and old != new and new.endswith(";") else length
