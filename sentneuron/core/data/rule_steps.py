"""A text rule as a list of substitutions, each done on the whole text before the next; where it is asked for, it is
remembered which character of the text as given owns what they make. What the rules share: the pattern of HTML's
entities.
"""

import html
import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import NamedTuple

# The same shape as the standard library's, which leaves the pattern private.
# Source: https://html.spec.whatwg.org/multipage/syntax.html#character-references
ENTITY = re.compile(r"&(?:#[0-9]++;?|#[xX][0-9a-fA-F]++;?|[^\t\n\f <&#;]{1,32};?)")
MAX_DIGITS = 4000
"""int() refuses more than 4,300 digits, which the standard library's `html.unescape` does not expect."""
SURROGATE = re.compile(r"[\ud800-\udfff]")


class Step(NamedTuple):
    """One substitution."""

    pattern: re.Pattern[str]
    replace: Callable[[re.Match[str]], str]
    keeps_tail: bool = False
    """The end that a match and its replacement share is left as it is, and belongs to its own characters."""


def space(match: re.Match[str]) -> str:
    """Return a space, whatever was found."""
    return " "


def nothing(match: re.Match[str]) -> str:
    """Return nothing, whatever was found."""
    return ""


def character_of(match: re.Match[str]) -> str:
    """Return one entity's character as `html.unescape` does; U+FFFD for a number of thousands of digits."""
    return "\ufffd" if len(match[0]) > MAX_DIGITS else html.unescape(match[0])


def apply(steps: Sequence[Step], text: str) -> str:
    """Return the text after all steps."""
    for step in steps:
        text = step.pattern.sub(step.replace, text)
    return text


def apply_with_owners(steps: Sequence[Step], text: str) -> tuple[str, list[int]]:
    """Return the text after all steps, and for each of its characters the index of the one in `text` that owns it.

    What a substitution makes belongs to the first character of what it replaces.
    """
    owners = list(range(len(text)))
    for step in steps:
        text, owners = _substitute(step, text, owners)
    return text, owners


def _substitute(step: Step, text: str, owners: list[int]) -> tuple[str, list[int]]:
    """Do one step, and carry the owners along."""
    pieces: list[str] = []
    new_owners: list[int] = []
    done = 0
    for match in step.pattern.finditer(text):
        start, end = match.span()
        new = step.replace(match)
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
