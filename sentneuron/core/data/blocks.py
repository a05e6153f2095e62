"""Cut an open source into blocks that can be worked on apart: whole lines where a line is a record, else records.

The parent reads and decompresses, which is cheap; whoever gets a block parses it. Another process reads a plain file's
part again: through a pipe it would cost more. Lines and offsets in a block are those of the file, so that where it was
cut does not show.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sentneuron.core.data.compression import became_shorter, storage_error
from sentneuron.core.data.fields import label_of, text_of
from sentneuron.core.data.lines import MAX_LINE_BYTES, ByteLines
from sentneuron.core.data.readers import Row, Source

BLOCK_BYTES = 16 << 20
"""A worker holds some five times as much."""
BLOCK_ROWS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class SourceColumns:
    """The columns taken from one source."""

    source: str
    text_key: str
    label_keys: list[str]
    choice: str
    """A line that says so, and names the other candidates."""


class FilePart(NamedTuple):
    """Bytes that whoever works on them reads from the file."""

    path: str
    offset: int
    num_bytes: int

    def read(self) -> bytes:
        """Read them.

        Raises:
            StorageError: reading failed, or the file became shorter.
        """
        try:
            with open(self.path, "rb", buffering=0) as file:
                data = os.pread(file.fileno(), self.num_bytes, self.offset)
        except OSError as error:
            raise storage_error(error, self.path) from error
        if len(data) < self.num_bytes:
            raise became_shorter(self.path)
        return data


@dataclass(frozen=True, kw_only=True)
class LineBlock:
    """Whole lines of NDJSON, Python dicts or plain text, the last one maybe without its end."""

    format: str
    taken: SourceColumns
    data: bytes | FilePart
    first_line: int
    first_offset: int
    has_offsets: bool
    ends_too_long: bool = False
    """The last line is longer than any record may be, and its content is left out."""

    @property
    def content(self) -> bytes:
        """The lines themselves."""
        return self.data.read() if isinstance(self.data, FilePart) else self.data


class Record(NamedTuple):
    """A record that was read from a table or an array; with a reason where it could not be, or has no text."""

    text: str
    label: str | None
    reason: str | None
    line: int
    offset: int | None


@dataclass(frozen=True, kw_only=True)
class RecordBlock:
    """Records that were parsed when they were cut: where one ends is known to the parser alone."""

    records: list[Record]


Block = LineBlock | RecordBlock


def cut_blocks(source: Source, taken: SourceColumns, *, by_reference: bool = False) -> Iterator[Block]:
    """Yield a source's records in order, in blocks of about BLOCK_BYTES.

    With `by_reference`, blocks of a plain file say where their lines stand in it instead of carrying them.

    Raises:
        DataError: the file is damaged, so that what follows cannot be read.
        StorageError: reading failed.
    """
    if source.lines is None:
        return cut_records(source, taken)
    return cut_lines(source.lines, source.format, taken, by_reference=by_reference)


def cut_lines(lines: ByteLines, format: str, taken: SourceColumns, *, by_reference: bool) -> Iterator[LineBlock]:
    """Yield blocks of whole lines."""
    stream, line, offset = lines.stream, 1, lines.first_offset
    while data := stream.read(BLOCK_BYTES):
        ends_too_long = False
        num_bytes = len(data)
        if not data.endswith(b"\n"):
            start = data.rfind(b"\n") + 1
            # A line of the greatest length, and its end.
            tail = stream.readline(max(0, MAX_LINE_BYTES + 1 - (len(data) - start)))
            num_bytes += len(tail)
            if len(data) - start + len(tail) > MAX_LINE_BYTES and not tail.endswith(b"\n"):
                ends_too_long = True
                num_bytes += skip_line(lines)
                data = data[:start] + b"\n"
            else:
                data += tail
        num_lines = data.count(b"\n") + (not data.endswith(b"\n"))
        yield LineBlock(
            format=format,
            taken=taken,
            data=FilePart(lines.path, offset, len(data)) if by_reference and lines.path and not ends_too_long else data,
            first_line=line,
            first_offset=offset,
            has_offsets=lines.has_offsets,
            ends_too_long=ends_too_long,
        )
        line += num_lines
        offset += num_bytes


def skip_line(lines: ByteLines) -> int:
    """Read to the end of a line without keeping it; return how many bytes that was."""
    num_bytes = 0
    while piece := lines.stream.readline(1 << 20):
        num_bytes += len(piece)
        if piece.endswith(b"\n"):
            break
    return num_bytes


def cut_records(source: Source, taken: SourceColumns) -> Iterator[RecordBlock]:
    """Yield blocks of records."""
    records: list[Record] = []
    num_characters = 0
    for row in source.rows():
        line, offset = row.place.line, row.place.byte_offset
        if isinstance(row, Row):
            text, reason = text_of(row.fields, taken.text_key)
            records.append(Record(text, label_of(row.fields, taken.label_keys), reason, line, offset))
            num_characters += len(text)
        else:
            records.append(Record("", None, row.reason, line, offset))
        if num_characters >= BLOCK_BYTES or len(records) >= BLOCK_ROWS:
            yield RecordBlock(records=records)
            records, num_characters = [], 0
    if records:
        yield RecordBlock(records=records)
