"""Parse one block: clean documents, and what had to be refused with its place.

JSON lines are decoded into a struct of the wanted fields alone (830 MB a CPU-second on records of 700 bytes; whole
objects: 495); other fields are passed over, so that a fault inside one of them does not cost the record. What the
typed parser refuses goes to the standard library. Lines are taken a slab at a time, small enough to stay in a
processor's cache from the first step to the last.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, compress
from typing import Any, NamedTuple

import msgspec

from sentneuron.core.data.blanks import NOTHING
from sentneuron.core.data.blocks import Block, LineBlock, RecordBlock, SourceColumns
from sentneuron.core.data.fields import label_of, text_of
from sentneuron.core.data.lines import TOO_LONG
from sentneuron.core.data.objects import RefusedError, parse_json, parse_json_slowly, parse_python, parse_text
from sentneuron.core.data.rejects import EMPTY
from sentneuron.core.data.text import TextRule

SLAB_BYTES = 128 << 10
CACHED_LABELS = 10_000


class Reject(NamedTuple):
    """A record that was refused, and where it starts in its source."""

    reason: str
    line: int
    offset: int | None


class Parsed(NamedTuple):
    """What became of a block's records, in their order."""

    texts: list[bytes]
    """Clean."""
    labels: list[str | None]
    """Of the same documents."""
    rejects: list[Reject]


class Fields(NamedTuple):
    """Text and label of some records; of one that was refused "", None and, by its index, the reason."""

    texts: list[str]
    labels: list[str | None]
    reasons: dict[int, str]


ParseLine = Callable[[bytes], tuple[str, str | None]]
"""Text and label of a line; RefusedError where it has none."""
ParseLines = Callable[[Sequence[bytes]], Fields]


def parse_block(block: Block, rule: TextRule) -> Parsed:
    """Parse and clean a block's records; each becomes one document or one reject."""
    parsed = Parsed([], [], [])
    if isinstance(block, RecordBlock):
        texts, labels, reasons, lines, offsets = (list(column) for column in zip(*block.records, strict=True))
        refused = {index: reason for index, reason in enumerate(reasons) if reason}
        add_clean(parsed, rule, Fields(texts, labels, refused), lines, offsets)
        return parsed

    parse = lines_parser(block)
    number, offset = block.first_line, block.first_offset
    for lines in cut_slabs(block.content):
        ends = list(accumulate(map(len, lines), initial=offset))
        numbers = range(number, number + len(lines))
        add_clean(parsed, rule, parse(lines), numbers, ends[:-1] if block.has_offsets else [None] * len(lines))
        number, offset = numbers.stop, ends[-1]
    if block.ends_too_long:
        parsed.rejects[-1] = parsed.rejects[-1]._replace(reason=TOO_LONG)
    return parsed


def add_clean(
    parsed: Parsed, rule: TextRule, fields: Fields, numbers: Sequence[int], offsets: Sequence[int | None]
) -> None:
    """Clean records and sort them into documents and rejects."""
    texts, labels = rule.clean_all(fields.texts), fields.labels
    if NOTHING in texts:
        is_kept = [text != NOTHING for text in texts]
        parsed.rejects.extend(
            Reject(fields.reasons.get(index, EMPTY), numbers[index], offsets[index])
            for index, kept in enumerate(is_kept)
            if not kept
        )
        texts, labels = list(compress(texts, is_kept)), list(compress(labels, is_kept))
    parsed.texts.extend(texts)
    parsed.labels.extend(labels)


def cut_slabs(data: bytes) -> Iterator[list[bytes]]:
    """Yield the lines of about SLAB_BYTES at a time, with their ends."""
    file = io.BytesIO(data)
    while lines := file.readlines(SLAB_BYTES):
        yield lines


def lines_parser(block: LineBlock) -> ParseLines:
    """Return the parser of a block's lines."""
    if block.format == "text":
        return one_by_one(lambda line: (parse_text(line), None))
    if block.format == "python":
        return one_by_one(lambda line: wanted(parse_python(line), block.taken))
    decoder = wanted_decoder(block.taken)
    if decoder is None:
        return one_by_one(lambda line: wanted(parse_json(line), block.taken))
    decode, label_name = decoder.decode, label_reader(block.taken.label_keys)

    def parse_line(line: bytes) -> tuple[str, str | None]:
        try:
            record = decode(line)
        except Exception:
            return wanted(parse_json_slowly(line), block.taken)
        return record.text, label_name(record)

    parse_slowly = one_by_one(parse_line)

    def parse(lines: Sequence[bytes]) -> Fields:
        try:
            records = [decode(line) for line in lines]
        except Exception:
            return parse_slowly(lines)
        return Fields([record.text for record in records], [label_name(record) for record in records], {})

    return parse


def one_by_one(parse_line: ParseLine) -> ParseLines:
    """Return a parser of lines, given that of one."""

    def parse(lines: Sequence[bytes]) -> Fields:
        fields = Fields([], [], {})
        for index, line in enumerate(lines):
            try:
                text, label = parse_line(line)
            except RefusedError as refused:
                text, label, fields.reasons[index] = "", None, refused.reason
            fields.texts.append(text)
            fields.labels.append(label)
        return fields

    return parse


def wanted_decoder(taken: SourceColumns) -> msgspec.json.Decoder[Any] | None:
    """Return a decoder of JSON objects into `text` and `label_0`, …, which passes over all other fields.

    It refuses an object without a text. None where msgspec cannot name the fields: JSON escapes the key, or one column
    is text and label.
    """
    keys = {"text": taken.text_key, **{f"label_{i}": key for i, key in enumerate(taken.label_keys)}}
    fields: list[Any] = [("text", str), *((name, Any, None) for name in keys if name != "text")]
    try:
        record = msgspec.defstruct("Wanted", fields, rename=keys, gc=False)
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
