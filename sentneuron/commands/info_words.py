"""What files say of themselves, as words on a screen: on one line, and shortened, whatever it is."""

from collections.abc import Sequence
from typing import Any

MAX_NAMES = 20
MAX_LETTERS = 200


def counted(count: int, what: str) -> str:
    """Return `1 shard` or `3 shards`."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def number(value: Any) -> float | None:
    """Return a number that a file may or may not hold."""
    return float(value) if isinstance(value, int | float) and value == value and abs(value) < 1e18 else None


def values_of(values: Any) -> str:
    """Return what a file says, a dict as `lr 0.006, warmup 100`, without what is None."""
    if not isinstance(values, dict):
        return shorten(values)
    named = (
        f"{name} {f'{value:g}' if isinstance(value, float) else value}"
        for name, value in values.items()
        if value is not None
    )
    return shorten(", ".join(named), 3 * MAX_LETTERS)


def listed(names: Sequence[str]) -> str:
    """Return names parted by commas, the first MAX_NAMES of them."""
    shown = ", ".join(shorten(name, 60) for name in names[:MAX_NAMES])
    return f"{shown}, … ({len(names):,} in all)" if len(names) > MAX_NAMES else shown


def shorten(value: Any, letters: int = MAX_LETTERS) -> str:
    """Return the beginning of anything on one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
