"""Which columns of an open source are taken, and the line that says so."""

from collections.abc import Sequence

from sentneuron.core.config import LABEL_KEYS, TEXT_KEYS, ReadConfig
from sentneuron.core.data.columns import candidate_keys, choose_label_keys, choose_text_key


def choose_columns(
    name: str, columns: Sequence[str], read: ReadConfig, *, needs_label: bool = False
) -> tuple[str, list[str], str]:
    """Return the text column, the label columns, and a line about the choice that names the other candidates.

    Raises:
        DataError: no text column, or no label column where one is needed; the message names the columns.
    """
    text_key = choose_text_key(columns, read.text_key, source=name)
    label_keys = choose_label_keys(columns, read.label_key, source=name, required=needs_label)
    others = other_candidates(columns, [text_key, *label_keys])
    label = f"label from {', '.join(label_keys)}" if label_keys else "no label"
    also = f" (there {'is' if len(others) == 1 else 'are'} also {', '.join(others)})" if others else ""
    return text_key, label_keys, f"{name}: text from {text_key}, {label}{also}"


def other_candidates(columns: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Return the columns that could be text or label, too, but for those taken."""
    return [key for key in candidate_keys(columns, (*TEXT_KEYS, *LABEL_KEYS)) if key not in taken]
