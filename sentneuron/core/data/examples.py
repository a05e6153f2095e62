"""Labelled rows of files, read into memory: one class each, or several labels of which any number may hold."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sentneuron.core.config import ReadConfig
from sentneuron.core.data.blanks import NOTHING
from sentneuron.core.data.choice import choose_columns
from sentneuron.core.data.columns import candidate_keys
from sentneuron.core.data.labels import class_name, holding, joined_labels, label_value
from sentneuron.core.data.readers import BadRow, Source, open_source
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, UsageError

BLOCK_ROWS = 4096
BLOCK_CHARACTERS = 4 << 20
"""How much is cleaned at a time."""

Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Example:
    """A text, as given and cleaned, with its class and its place: the row's number in its file, from 1."""

    row: int
    text: str
    clean: bytes
    label: str
    """Its class; of several labels those that hold, as `joined_labels` names them."""
    holds: tuple[bool, ...] = ()
    """Of several labels, in the order of the columns: which hold."""


def read_examples(
    paths: Sequence[str],
    read: ReadConfig,
    rule: TextRule,
    *,
    required: bool = True,
    skipped: Counter[str],
    announce: Announce = lambda line: None,
) -> tuple[list[Example], list[str]]:
    """Return the rows that have a text and a label, and the first file's label columns; one means exclusive classes.

    The other rows are counted in `skipped`, by reason; where there are several columns, a row that lacks one of the
    labels has none. Without a label column: nothing, unless it is `required`.

    Raises:
        DataError: no text column, no label column where one is required, or a label that neither holds nor does not.
        UsageError: a label column is named twice.
    """
    examples: list[Example] = []
    first_keys: list[str] = []
    for path in paths:
        with open_source(path, read) as source:
            columns = source.columns or []
            is_named = read.label_key != "auto"
            if is_named and not required and not candidate_keys(columns, [read.label_key, *read.label_key.split(",")]):
                continue
            text_key, label_keys, line = choose_columns(source.name, columns, read, needs_label=required)
            if len(set(label_keys)) < len(label_keys):
                raise UsageError(f"--label-key {read.label_key} names a column twice", hint="name each once")
            announce(line)
            first_keys = first_keys or label_keys
            if label_keys:
                examples.extend(labelled_rows(source, text_key, label_keys, rule, skipped))
    return examples, first_keys


def labelled_rows(
    source: Source, text_key: str, label_keys: list[str], rule: TextRule, skipped: Counter[str]
) -> Iterator[Example]:
    """Yield the rows of a source that have a text and a label; without `label_keys` those that have a text.

    The other rows are counted in `skipped`, by reason. Memory does not grow with the input.

    Raises:
        DataError: the file is damaged, or of several labels one neither holds nor does not.
    """
    block: list[tuple[int, str, str | None, tuple[bool, ...]]] = []
    num_characters = 0
    for number, row in enumerate(source.rows(), 1):
        if isinstance(row, BadRow):
            skipped[row.reason] += 1
            continue
        given = row.fields.get(text_key)
        text = given if isinstance(given, str) else ""
        holds: tuple[bool, ...] = ()
        if len(label_keys) == 1:
            label = class_name(row.fields.get(label_keys[0]))
        else:
            label, holds = several_labels(row.fields, label_keys, place=str(row.place))
        block.append((number, text, label, holds))
        num_characters += len(text)
        if len(block) >= BLOCK_ROWS or num_characters >= BLOCK_CHARACTERS:
            yield from _cleaned(block, rule, skipped)
            block, num_characters = [], 0
    yield from _cleaned(block, rule, skipped)


def _cleaned(
    block: list[tuple[int, str, str | None, tuple[bool, ...]]], rule: TextRule, skipped: Counter[str]
) -> Iterator[Example]:
    """Yield those of some rows that have a text and a label."""
    for (number, text, label, holds), clean in zip(block, rule.clean_all([row[1] for row in block]), strict=True):
        if clean == NOTHING:
            skipped["no text"] += 1
        elif label is None:
            skipped["no label"] += 1
        else:
            yield Example(number, text, clean, label, holds)


def several_labels(
    fields: dict[str, object], keys: Sequence[str], *, place: str
) -> tuple[str | None, tuple[bool, ...]]:
    """Return a record's labels that hold, joined, and which these are; (None, ()) where one is missing.

    Raises:
        DataError: a value neither says that its label holds nor that it does not.
    """
    holds: list[bool] = []
    is_whole = True
    for key in keys:
        name = label_value(fields.get(key))
        if name is None:
            is_whole = False
            continue
        held = holding(name)
        if held is None:
            raise DataError(
                f"{place}: {key} is {name[:40]!r}, of several labels each is 0 or 1", hint="check --label-key"
            )
        holds.append(held)
    if not is_whole:
        return None, ()
    return joined_labels([key for key, held in zip(keys, holds, strict=True) if held]), tuple(holds)
