"""Labels as they stand in files, turned into the names of classes."""

import math
import re
from collections.abc import Iterable

from sentneuron.core.data.columns import stars_to_class

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
NO_LABEL = "none"
"""What is said of a text where none of several labels holds."""


def class_name(value: object) -> str | None:
    """Return the class that a label names, None where there is no label.

    A number has one name, however it is written: 1, 1.0, "1" and "1.0" are "1". NaN, infinity and the empty string
    are no label.
    """
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value).strip() if value is not None else ""
    if isinstance(value, float) or NUMBER.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            return None
        return str(int(number)) if number == int(number) else repr(number)
    return text or None


def label_value(value: object) -> str | None:
    """Return the `class_name` of one of several labels; None where it is missing, which some data write as -1."""
    name = class_name(value)
    return None if name == "-1" else name


def sort_classes(names: Iterable[str]) -> list[str]:
    """Return each name once, sorted as numbers where all are numbers, else as strings."""
    distinct = set(names)
    if all(NUMBER.fullmatch(name) for name in distinct):
        return sorted(distinct, key=lambda name: (float(name), name))
    return sorted(distinct)


def look_like_stars(names: Iterable[str]) -> bool:
    """Tell whether these are numbers between 1 and 5, of more than two values, that make two classes."""
    distinct = set(names)
    if len(distinct) < 3 or not all(NUMBER.fullmatch(name) and 1 <= float(name) <= 5 for name in distinct):
        return False
    return {binarized(name) for name in distinct} >= {"0", "1"}


def binarized(name: str) -> str | None:
    """Return "0" for at most two stars, "1" for at least four, None for what lies between or is no number."""
    number = stars_to_class(float(name)) if NUMBER.fullmatch(name) else None
    return None if number is None else str(number)


def holding(name: str) -> bool | None:
    """Tell whether one of several labels holds, by its `label_value`: a number from 0.5 on does, one below does not.

    None for what is neither a number that is not negative, nor true or false.
    """
    if NUMBER.fullmatch(name) and float(name) >= 0:
        return float(name) >= 0.5
    return {"true": True, "false": False}.get(name.lower())


def joined_labels(names: Iterable[str]) -> str:
    """Return the labels that hold as one string, parted by commas; `none` where none does."""
    return ",".join(names) or NO_LABEL
