"""Labels as they stand in files, turned into the names of classes."""

import math
import re
from collections.abc import Iterable

from sentneuron.core.data.columns import stars_to_class

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


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
