"""How pages write numbers and tables."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def percent(share: float) -> str:
    """Write a share."""
    return f"{100 * share:.1f} %"


def error(accuracy: float) -> str:
    """Write what an accuracy leaves."""
    return percent(1 - accuracy)


def minutes(seconds: float) -> str:
    """Write a time."""
    return f"{seconds / 60:,.1f}" if seconds < 36_000 else f"{seconds / 60:,.0f}"


def megabytes(count: float) -> str:
    """Write a number of bytes."""
    return f"{count / 1e6:,.1f} MB"
