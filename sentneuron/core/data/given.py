"""Texts that a program hands over, instead of a file: a list, a tuple, an array, a column, any iterable of strings."""

from collections.abc import Iterable, Mapping

from sentneuron.core.errors import UsageError

Texts = Iterable[str | None]


def listed(texts: Texts) -> list[str]:
    """Return the texts in a list, with "" for None, NaN and what else pandas calls missing.

    Raises:
        UsageError: they are one string, a table, or hold something else than strings.
    """
    require_several(texts)
    if hasattr(texts, "isna") and hasattr(texts, "to_numpy"):  # pandas alone can tell its own missing values
        texts = texts.to_numpy(dtype=object, na_value=None)
    given: list[str] = []
    for place, text in enumerate(texts):
        if isinstance(text, str):
            given.append(text)
        elif text is None or (isinstance(text, float) and text != text):
            given.append("")
        else:
            raise UsageError(f"texts[{place}] is of type {type(text).__name__}", hint="give strings, None for no text")
    return given


def require_several(texts: object) -> None:
    """Check that these are several texts, whatever is in them.

    Raises:
        UsageError: one string, a mapping or a table.
    """
    is_column = isinstance(texts, Iterable) and getattr(texts, "ndim", 1) == 1
    if not is_column or isinstance(texts, str | bytes | Mapping):
        raise UsageError(
            f"texts is one {type(texts).__name__}, not a list of strings",
            hint="give several: [text], or one column of a table",
        )
