"""Rows written as they come: CSV, JSON lines, Parquet, and probabilities as `.npy`.

A writer gets rows in lists, each a dict, and holds one list at a time. What the input held is written as it was; a
JSON or Parquet value that is no text is spelled as JSON in CSV, and null is the empty cell.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sentneuron.core.config import OutputFormat
from sentneuron.core.errors import DataError

Fields = Mapping[str, object]

FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class RowWriter(Protocol):
    """Writes rows to a file that stays open."""

    def write(self, rows: Sequence[Fields]) -> None:
        """Write rows.

        Raises:
            DataError: all rows need the same columns, and one has another, or a value of another type.
        """


@contextmanager
def open_rows(
    file: IO[bytes],
    output_format: OutputFormat,
    columns: Sequence[str],
    added: Mapping[str, pa.DataType],
    schema: pa.Schema | None,
    *,
    excel_safe: bool = False,
) -> Iterator[RowWriter]:
    """Write the input's `columns` (with these Parquet types, or those of the first rows) and the `added` ones.

    `excel_safe` leads cells of CSV that a spreadsheet would take for a formula by an apostrophe.

    Half a surrogate pair, which has no UTF-8 form, is written as its escape, as JSON spells it.
    """
    if output_format == "parquet":
        parquet = ParquetWriter(file, columns, added, schema)
        try:
            yield parquet
        except BaseException:
            parquet.abandon()
            raise
        parquet.close()
        return
    text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
    try:
        if output_format == "jsonl":
            yield JsonlWriter(text)
        else:
            yield CsvWriter(text, [*columns, *added], excel_safe=excel_safe)
    finally:
        text.detach()


class CsvWriter:
    """CSV with a header, parted by commas, quoted where needed."""

    def __init__(self, file: IO[str], columns: Sequence[str], *, excel_safe: bool = False) -> None:
        self._file = file
        self._columns = list(columns)
        self._cell = _safe_cell if excel_safe else _cell
        self._csv = csv_writer(file)
        self._csv.writerow([self._cell(column) for column in self._columns])

    def write(self, rows: Sequence[Fields]) -> None:
        """Write rows and flush; raises as `RowWriter`."""
        check_columns(rows, self._columns)
        self._csv.writerows([self._cell(row.get(column)) for column in self._columns] for row in rows)
        self._file.flush()


class _UnixLines:
    """Takes lines that end in CR LF and writes them with LF alone."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, line: str) -> int:
        """Write one line."""
        return self._file.write(line.removesuffix("\r\n") + "\n")


def csv_writer(file: IO[str]) -> Any:
    """Return a `csv.writer` of lines that end in LF.

    The csv module quotes of the two line breaks only those that end its own lines, and a text with a carriage return
    alone would fall apart where it is read.
    """
    return csv.writer(_UnixLines(file), lineterminator="\r\n")


class JsonlWriter:
    """One JSON object a line."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, rows: Sequence[Fields]) -> None:
        """Write rows and flush."""
        self._file.writelines(json.dumps(row, ensure_ascii=False, default=_plain) + "\n" for row in rows)
        self._file.flush()


class ParquetWriter:
    """Parquet, a row group for each list of rows."""

    def __init__(
        self, file: IO[bytes], columns: Sequence[str], added: Mapping[str, pa.DataType], schema: pa.Schema | None
    ) -> None:
        self._file = file
        self._columns: list[str] = _encodable(list(columns))
        self._added: Mapping[str, pa.DataType] = _encodable(added)
        self._parquet: pq.ParquetWriter | None = None
        if schema is not None:
            self._begin(schema)

    def write(self, rows: Sequence[Fields]) -> None:
        """Write a row group; raises as `RowWriter`."""
        rows = _encodable(list(rows))
        check_columns(rows, [*self._columns, *self._added])
        try:
            if self._parquet is None:
                self._begin(pa.schema((name, pa.array([row.get(name) for row in rows]).type) for name in self._columns))
            assert self._parquet is not None
            self._parquet.write_table(pa.Table.from_pylist(rows, schema=self._parquet.schema))
        except pa.ArrowException as error:
            raise DataError(
                f"values of one column differ in type ({' '.join(str(error).split())})",
                hint="write them with --format jsonl",
            ) from error

    def close(self) -> None:
        """Write the footer."""
        if self._parquet is None:
            self._begin(pa.schema((name, pa.string()) for name in self._columns))
        assert self._parquet is not None
        self._parquet.close()

    def abandon(self) -> None:
        """Let go of a file that will not be used, while it is still open: pyarrow would complain later."""
        if self._parquet is not None:
            with suppress(OSError, pa.ArrowException):
                self._parquet.close()

    def _begin(self, schema: pa.Schema) -> None:
        for name, kind in self._added.items():
            schema = schema.append(pa.field(name, kind))
        self._parquet = pq.ParquetWriter(self._file, schema, compression="zstd", write_page_checksum=True)


class NpyWriter:
    """A float32 `.npy` file of as many rows as come: [rows], or [rows, columns] where there are several."""

    def __init__(self, file: IO[bytes], num_columns: int) -> None:
        self._file = file
        self._tail = () if num_columns == 1 else (num_columns,)
        self._num_rows = 0
        self._write_header()

    def write(self, values: NDArray[np.floating]) -> None:
        """Append rows [N, columns]."""
        self._file.write(np.ascontiguousarray(values, "<f4").tobytes())
        self._num_rows += len(values)

    def close(self) -> None:
        """Put the number of rows into the header, which numpy pads so that any number fits; the file stays open."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        shape = (self._num_rows, *self._tail)
        np.lib.format.write_array_header_1_0(self._file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def check_columns(rows: Sequence[Fields], columns: Sequence[str]) -> None:
    """Check that no row has a field without a column.

    Raises:
        DataError: one has.
    """
    known = set(columns)
    for row in rows:
        if not row.keys() <= known:
            raise DataError(
                f"a record has the field {min(row.keys() - known)!r}, which the first records do not have",
                hint="write it with --format jsonl",
            )


def _cell(value: object) -> str:
    """Return a value as a CSV cell."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return _plain(value)


def _safe_cell(value: object) -> str:
    """Return a value as a CSV cell that no spreadsheet takes for a formula: numbers as they are, the rest as text.

    Source: OWASP, "CSV Injection", for the characters, the full-width ones among them.
    """
    cell = _cell(value)
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(cell) else cell


def _encodable(value: Any) -> Any:
    """Return a value with each half of a surrogate pair in it, or in its names, as its escape."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_encodable(name): _encodable(part) for name, part in value.items()}
    return [_encodable(part) for part in value] if isinstance(value, list) else value


def _plain(value: object) -> str:
    """Return a value that JSON has no form for (a date, bytes) as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
