"""Which column holds the text, which the label, and what stars mean."""

import math
from collections.abc import Sequence

from sentneuron.core.config import LABEL_KEYS, TEXT_KEYS
from sentneuron.core.errors import DataError


def choose_text_key(columns: Sequence[str], requested: str, *, source: str) -> str:
    """Return the column with the text: the one asked for, or with `auto` the first of TEXT_KEYS, case ignored.

    Raises:
        DataError: there is none; the message names the columns.
    """
    if requested != "auto":
        return _find_requested(columns, requested, option="--text-key", source=source)
    candidates = candidate_keys(columns, TEXT_KEYS)
    if not candidates:
        raise DataError(
            f"{source} has no text column; its columns are {_listed(columns)}", hint="name one with --text-key"
        )
    return candidates[0]


def choose_label_keys(columns: Sequence[str], requested: str, *, source: str, required: bool) -> list[str]:
    """Return the label columns: those asked for, parted by commas, or with `auto` the first of LABEL_KEYS that exists.

    Raises:
        DataError: one that was asked for is missing, or none is found and `required`; the message names the columns.
    """
    if requested != "auto":
        # A name may hold a comma itself.
        names = [requested] if requested in columns else [name.strip() for name in requested.split(",")]
        return [_find_requested(columns, name, option="--label-key", source=source) for name in names]
    candidates = candidate_keys(columns, LABEL_KEYS)
    if not candidates and required:
        raise DataError(
            f"{source} has no label column; its columns are {_listed(columns)}", hint="name one with --label-key"
        )
    return candidates[:1]


def candidate_keys(columns: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return the columns that `keys` name, case ignored, in the order of `keys`: the first is what `auto` takes."""
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(column.strip().casefold(), column)
    return [by_name[key.casefold()] for key in keys if key.casefold() in by_name]


def stars_to_class(value: object) -> int | None:
    """Return 0 for at most 2 stars, 1 for at least 4, None between them or where `value` is no finite number."""
    if not isinstance(value, int | float | str):
        return None
    try:
        stars = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(stars) or 2 < stars < 4:
        return None
    return int(stars >= 4)


def _find_requested(columns: Sequence[str], name: str, *, option: str, source: str) -> str:
    if name in columns:
        return name
    matches = candidate_keys(columns, [name.strip()])
    if not matches:
        raise DataError(
            f"{source} has no column {name!r}; its columns are {_listed(columns)}",
            hint=f"name one of them with {option}",
        )
    return matches[0]


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(column or "(no name)" for column in columns[:20])
    return f"{shown}, … ({len(columns)} in all)" if len(columns) > 20 else shown or "(none)"
