"""Checks and readings of single setting values; imports nothing heavy."""

import math
from pathlib import Path
from typing import Any

from sentneuron.core.errors import UsageError

SECONDS = {"s": 1, "m": 60, "h": 3600}


def require_positive(**values: float | None) -> None:
    """Check that every value given is a finite number above zero.

    Raises:
        UsageError: one is not; it names the option.
    """
    for name, value in values.items():
        # As a whole number may have more digits than a float can hold, it is never asked whether it is finite.
        if value is not None and not (value > 0 and value != math.inf):
            raise UsageError(f"--{name.replace('_', '-')} is {value}", hint="give a number above zero")


def require_at_most(limit: int, **values: float | None) -> None:
    """Check that no value given is above `limit`.

    Raises:
        UsageError: one is; it names the option.
    """
    for name, value in values.items():
        if value is not None and value > limit:
            raise UsageError(f"--{name.replace('_', '-')} is above {limit:,}", hint="give a smaller number")


def require_seed(seed: int) -> None:
    """Check that a seed is a number of 63 bits.

    Raises:
        UsageError: it is not.
    """
    if not 0 <= seed < 1 << 63:
        raise UsageError(f"--seed is {seed}", hint="give a number from 0 to 2^63 - 1")


def require_split(split: tuple[int, ...]) -> None:
    """Check that up to three proportions are none below zero, the first above it.

    Raises:
        UsageError: they are not.
    """
    if len(split) not in (1, 2, 3) or any(part < 0 for part in split) or split[0] <= 0:
        raise UsageError(f"--split {','.join(map(str, split))}", hint="give up to three counts: 1000,1,1")


def require_file_name(**paths: Path | None) -> None:
    """Check that every path given ends in a name, as `.`, `/` and the empty path do not.

    Raises:
        UsageError: one does not; it names the option.
    """
    for name, path in paths.items():
        if path is not None and path.name in ("", ".."):
            raise UsageError(f"--{name.replace('_', '-')} {path} names no file", hint="name a file to write")


def parse_interval(value: str) -> tuple[int | None, float | None]:
    """Read `--save-every`: return `(steps, None)` for 500, `(None, seconds)` for 30s, 10m or 2h.

    Raises:
        UsageError: it is neither, or not above zero.
    """
    word = value.strip()
    try:
        if word[-1:] in SECONDS:
            seconds = float(word[:-1]) * SECONDS[word[-1]]
            require_positive(save_every=seconds)
            return None, seconds
        steps = int(word)
    except ValueError:
        raise UsageError(f"--save-every is {value!r}", hint="give steps (500) or a time (10m)") from None
    require_positive(save_every=steps)
    return steps, None


def parse_loss_scale(value: str) -> float | None:
    """Read `--loss-scale`: return None for dynamic, else the fixed number.

    Raises:
        UsageError: it is neither, or not above zero.
    """
    if value == "dynamic":
        return None
    try:
        scale = float(value)
    except ValueError:
        raise UsageError(f"--loss-scale is {value!r}", hint="give dynamic, or a number (1024)") from None
    require_positive(loss_scale=scale)
    return scale


def changed_values(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Describe what differs between two stored sets of settings, as `name: old -> new`, in `new`'s order."""
    names = list(new) + [name for name in old if name not in new]
    return [f"{name}: {old.get(name)} -> {new.get(name)}" for name in names if old.get(name) != new.get(name)]
