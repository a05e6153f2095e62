"""Records of CSV, TSV and Parquet files."""

import csv
import tempfile
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

import pyarrow
import pyarrow.parquet

from sentneuron.core.data.lines import TOO_LONG, ByteLines, Line
from sentneuron.core.data.locations import is_remote
from sentneuron.core.data.records import BadRow, Place, Row
from sentneuron.core.data.remote import explanation, is_outage, open_object
from sentneuron.core.data.sniffing import find_delimiter
from sentneuron.core.errors import DataError

PARQUET_BATCH_ROWS = 1024
# The csv module holds a field in four bytes a character, and an open quote makes one of all that follows.
MAX_FIELD_CHARACTERS = 16 << 20


class DelimitedReader:
    """A table in lines; the first record is the header. Every field stays the string that it is in the file."""

    def __init__(self, lines: ByteLines, *, default_delimiter: str) -> None:
        self._lines = lines
        self._has_bad_bytes = False
        self._is_too_long = False
        self._record_start: Line | None = None
        self._spans_lines = False
        csv.field_size_limit(MAX_FIELD_CHARACTERS)

        texts = self._decoded()
        first = next(texts)
        delimiter = find_delimiter(first, default=default_delimiter)
        # Strict: a quote in the wrong place is a bad record, not a guess; and an open quote at the end is noticed.
        self._reader = csv.reader(_chain(first, texts), delimiter=delimiter, strict=True)
        try:
            self.columns = next(self._reader)
        except csv.Error as error:
            raise DataError(f"{lines.name}: the header cannot be read ({error})", hint="check its quotes") from error
        if self._has_bad_bytes:
            raise DataError(f"{lines.name}: the header is not UTF-8", hint="name the file's encoding with --encoding")
        check_columns(self.columns, lines.name)

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield the records after the header.

        Raises:
            DataError: a quote is never closed.
        """
        while True:
            self._record_start = None
            self._has_bad_bytes = self._is_too_long = self._spans_lines = False
            try:
                values = next(self._reader, None)
            except csv.Error as error:
                yield BadRow(self._refusal(error), self._place())
                continue
            if values is None:
                return
            if self._is_too_long:
                yield BadRow(TOO_LONG, self._place())
            elif not values:
                yield BadRow("blank", self._place())
            elif self._has_bad_bytes:
                yield BadRow("invalid UTF-8", self._place())
            elif len(values) != len(self.columns):
                yield BadRow("wrong number of fields", self._place())
            else:
                yield Row(dict(zip(self.columns, values, strict=True)), self._place())

    def _decoded(self) -> Iterator[str]:
        for line in self._lines:
            if self._record_start is None:
                self._record_start = line
            else:
                self._spans_lines = True
            self._is_too_long = self._is_too_long or line.is_too_long
            try:
                yield (line.content + line.end).decode()
            except UnicodeDecodeError:
                self._has_bad_bytes = True
                yield (line.content + line.end).decode(errors="replace")

    def _place(self) -> Place:
        start = self._record_start
        return self._lines.place(start.number, start.offset) if start else self._lines.place(0, None)

    def _refusal(self, error: csv.Error) -> str:
        """Return the reason for skipping one record; raise where the rest of the file cannot be told from it."""
        is_long = "field limit" in str(error)
        if "unexpected end of data" in str(error) or (is_long and self._spans_lines):
            message = f"{self._place()}: a quote is opened and not closed"
            raise DataError(message, hint="check the quotes there") from error
        return "field longer than 16 million characters" if is_long else "misplaced quote"


class ParquetReader:
    """A Parquet file, a row group at a time; page checksums are verified where the file has them."""

    def __init__(self, file: str | IO[bytes], name: str) -> None:
        self._name = name
        try:
            self._file = pyarrow.parquet.ParquetFile(_opened(file), page_checksum_verification=True)
            self.schema: pyarrow.Schema = self._file.schema_arrow
            self.columns: list[str] = list(self.schema.names)
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            if is_outage(error):
                raise explanation(error, name) from error
            raise DataError(f"{name} is no whole Parquet file", hint="get the file again") from error
        self.num_rows: int = self._file.metadata.num_rows
        self.rows_read = 0
        check_columns(self.columns, name)

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield the rows, binary values that are UTF-8 as strings.

        Raises:
            DataError: a row group is damaged.
        """
        for group in range(self._file.num_row_groups):
            batches = self._file.iter_batches(PARQUET_BATCH_ROWS, row_groups=[group])
            end = self.rows_read + self._file.metadata.row_group(group).num_rows
            while True:
                try:
                    batch = next(batches, None)
                    records = [] if batch is None else batch.to_pylist()
                except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
                    raise self._damaged(group) from error
                if batch is None:
                    break
                for record in records:
                    self.rows_read += 1
                    yield Row(_with_text(record), Place(self._name, self.rows_read, None))
            # Checksums do not cover the headers of pages: a page may be passed over without a word.
            if self.rows_read != end:
                raise self._damaged(group)

    def close(self) -> None:
        """Close the file."""
        self._file.close(force=True)

    def _damaged(self, group: int) -> DataError:
        return DataError(f"{self._name}: row group {group} cannot be read", hint="get the file again")


def spooled(stream: IO[bytes]) -> IO[bytes]:
    """Copy a stream to an unnamed temporary file: Parquet's footer is at its end, and a pipe cannot seek."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as its reader
    while block := stream.read(1 << 20):
        file.write(block)
    file.seek(0)
    return file


def check_columns(columns: list[str], name: str) -> None:
    """Refuse a header in which a name stands twice: one of the two would be lost.

    Raises:
        DataError: naming the column.
    """
    for column, count in Counter(columns).items():
        if count > 1:
            raise DataError(f"{name} has several columns called {column!r}", hint="rename all but one")


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _opened(file: str | IO[bytes]) -> Any:
    return open_object(file) if isinstance(file, str) and is_remote(file) else file


def _with_text(record: dict[str, Any]) -> dict[str, object]:
    for key, value in record.items():
        if isinstance(value, bytes):
            try:
                record[key] = value.decode()
            except UnicodeDecodeError:
                continue
    return record
