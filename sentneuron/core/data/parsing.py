"""Parse one block: clean documents, and what had to be refused with its place.

JSON lines are decoded into a struct of the wanted fields alone (830 MB a CPU-second on records of 700 bytes; whole
objects: 495); other fields are passed over, so that a fault inside one of them does not cost the record. What the
typed parser refuses goes to the standard library.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from sentneuron.core.data.blocks import Block, LineBlock, RecordBlock, SourceColumns
from sentneuron.core.data.fields import label_of, text_of
from sentneuron.core.data.lines import TOO_LONG
from sentneuron.core.data.objects import RefusedError, parse_json, parse_json_slowly, parse_python, parse_text
from sentneuron.core.data.rejects import EMPTY, NO_TEXT, NOT_TEXT
from sentneuron.core.data.text import TextRule

CACHED_LABELS = 10_000


class Reject(NamedTuple):
    """A record that was refused, and where it starts in its source."""

    reason: str
    line: int
    offset: int | None


Parse = Callable[[bytes], tuple[str, str | None]]
"""A line's text and label; RefusedError where it has none."""


class Parsed(NamedTuple):
    """What became of a block's records, in their order."""

    texts: list[bytes]
    """Clean."""
    labels: list[str | None]
    """Of the same documents."""
    rejects: list[Reject]


def parse_block(block: Block, rule: TextRule) -> Parsed:
    """Parse and clean a block's records; each becomes one document or one reject."""
    return parse_lines(block, rule) if isinstance(block, LineBlock) else clean_records(block, rule)


def parse_lines(block: LineBlock, rule: TextRule) -> Parsed:
    """Parse and clean lines."""
    parsed = Parsed([], [], [])
    parse, nothing = line_parser(block), rule.clean("")
    lines = block.data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    offset = block.first_offset
    for number, line in enumerate(lines, block.first_line):
        try:
            text, label = parse(line)
            cleaned = rule.clean(text)
            if cleaned == nothing:
                raise RefusedError(EMPTY)
        except RefusedError as refused:
            parsed.rejects.append(Reject(refused.reason, number, offset if block.has_offsets else None))
        else:
            parsed.texts.append(cleaned)
            parsed.labels.append(label)
        offset += len(line) + 1
    if block.ends_too_long:
        parsed.rejects[-1] = parsed.rejects[-1]._replace(reason=TOO_LONG)
    return parsed


def clean_records(block: RecordBlock, rule: TextRule) -> Parsed:
    """Clean records that were parsed already."""
    nothing = rule.clean("")
    parsed = Parsed([], [], [])
    for record in block.records:
        cleaned = nothing if record.reason else rule.clean(record.text)
        if cleaned == nothing:
            parsed.rejects.append(Reject(record.reason or EMPTY, record.line, record.offset))
        else:
            parsed.texts.append(cleaned)
            parsed.labels.append(record.label)
    return parsed


def line_parser(block: LineBlock) -> Parse:
    """Return the parser of a block's lines."""
    if block.format == "text":
        return lambda line: (parse_text(line), None)
    if block.format == "python":
        return lambda line: wanted(parse_python(line), block.taken)
    decoder = wanted_decoder(block.taken)
    if decoder is None:
        return lambda line: wanted(parse_json(line), block.taken)
    label_name = label_reader(block.taken.label_keys)

    def parse(line: bytes) -> tuple[str, str | None]:
        try:
            found = decoder.decode(line)
        except Exception:
            return wanted(parse_json_slowly(line), block.taken)
        if found.text.__class__ is not str:
            raise RefusedError(NO_TEXT if found.text is None else NOT_TEXT)
        return found.text, label_name(found)

    return parse


def wanted_decoder(taken: SourceColumns) -> msgspec.json.Decoder[Any] | None:
    """Return a decoder of JSON objects into `text` and `label_0`, …, which passes over all other fields.

    None where msgspec cannot name the fields: JSON escapes the key, or one column is text and label.
    """
    keys = {"text": taken.text_key, **{f"label_{i}": key for i, key in enumerate(taken.label_keys)}}
    try:
        record = msgspec.defstruct("Wanted", [(name, Any, None) for name in keys], rename=keys, gc=False)
    except ValueError:
        return None
    return msgspec.json.Decoder(record)


def wanted(fields: dict[str, object], taken: SourceColumns) -> tuple[str, str | None]:
    """Return an object's text and label.

    Raises:
        RefusedError: it has no text.
    """
    text, reason = text_of(fields, taken.text_key)
    if reason:
        raise RefusedError(reason)
    return text, label_of(fields, taken.label_keys)


def label_reader(keys: Sequence[str]) -> Callable[[Any], str | None]:
    """Return what reads a decoded record's label; one column's names are remembered, for they are few."""
    if not keys:
        return lambda record: None
    if len(keys) > 1:
        return lambda record: label_of({key: getattr(record, f"label_{i}") for i, key in enumerate(keys)}, keys)
    known: dict[tuple[type, object], str | None] = {}

    def read(record: Any) -> str | None:
        value = record.label_0
        try:
            return known[value.__class__, value]
        except (KeyError, TypeError):
            name = label_of({keys[0]: value}, keys)
        if len(known) < CACHED_LABELS and isinstance(value, str | int | float):
            known[value.__class__, value] = name
        return name

    return read
