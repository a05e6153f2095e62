"""Records of any input file: format and compression found by content, bad records yielded with a reason.

Memory does not grow with the input. Each kind of format has its own module; here they are chosen and put behind one
face.
"""

import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO, TYPE_CHECKING, Self

from sentneuron.core.config import InputFormat, ReadConfig
from sentneuron.core.data.compression import BLOCK_BYTES, CountedInput, Replayed, open_bytes
from sentneuron.core.data.inputs import expand_inputs
from sentneuron.core.data.lines import ByteLines, Transcoded, is_utf8
from sentneuron.core.data.locations import local_path
from sentneuron.core.data.objects import read_json_array, read_ndjson, read_python, read_text
from sentneuron.core.data.records import BadRow, Place, Row
from sentneuron.core.data.sniffing import HEAD_BYTES, SUFFIX_FORMATS, check_is_text, data_suffix, find_format
from sentneuron.core.data.tables import DelimitedReader, ParquetReader, spooled
from sentneuron.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["BadRow", "Place", "Row", "Source", "expand_inputs", "open_source"]

UTF8_BOM = b"\xef\xbb\xbf"
LOOKAHEAD_RECORDS = 100
LOOKAHEAD_BYTES = 8 << 20


class Source:
    """One open input: what is known before its records are read, and the records, once."""

    def __init__(self, name: str, file: CountedInput) -> None:
        self.name = name
        self.num_bytes = file.regular_size()
        """Bytes on disk; None for a pipe."""
        self.format: InputFormat
        self.compression: str | None = None
        """gzip, bzip2, xz or zstd; None for a plain file."""
        self.columns: list[str] | None = None
        """Names in order; of JSON kinds those of the first records."""
        self.schema: pyarrow.Schema | None = None
        """Types, of a Parquet file."""
        self.lines: ByteLines | None = None
        """Where each line is a record: the lines not read yet, for those who parse them themselves."""
        self._file = file
        self._parquet: ParquetReader | None = None
        self._rows: Iterator[Row | BadRow] | None = None

    @property
    def num_rows(self) -> int | None:
        """Records, where the file says so at once, as Parquet does."""
        return None if self._parquet is None else self._parquet.num_rows

    @property
    def bytes_read(self) -> int:
        """Bytes on disk consumed so far, read ahead included."""
        if self._parquet is not None and self.num_bytes is not None:
            return self.num_bytes * self._parquet.rows_read // max(self._parquet.num_rows, 1)
        return self._file.bytes_read

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield every record, the bad ones too; once, since stdin cannot be read again.

        Raises:
            DataError: the file is damaged, so that what follows cannot be read.
            StorageError: reading failed.
        """
        assert self._rows is not None, f"{self.name} was read already; open it again"
        rows, self._rows = self._rows, None
        with self:
            yield from rows

    def close(self) -> None:
        """Close the file; stdin stays open."""
        self._file.close()
        if self._parquet is not None:
            self._parquet.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_source(path: str, read: ReadConfig) -> Source:
    """Open a file, or stdin as `-`, and find its format and columns.

    Raises:
        InputNotFoundError: there is no such file.
        DataError: it is empty, a folder, an archive, not text, or its header cannot be used.
        StorageError: it cannot be read.
        UsageError: the encoding is unknown.
    """
    is_plain_utf8 = is_utf8(read.encoding)
    name = "stdin" if path == "-" else path
    source = Source(name, CountedInput(path, name))
    try:
        _open_format(source, path, read, is_plain_utf8=is_plain_utf8)
    except BaseException:
        source.close()
        raise
    return source


def _open_format(source: Source, path: str, read: ReadConfig, *, is_plain_utf8: bool) -> None:
    stream, compression = open_bytes(source._file)
    source.compression = compression
    head = stream.read(HEAD_BYTES)
    stream = io.BufferedReader(Replayed(head, stream), BLOCK_BYTES)
    if not head:
        raise DataError(f"{source.name} is empty", hint="give a file with text")
    if read.format == "parquet" or head.startswith(b"PAR1") or _is_named_parquet(path, read):
        _open_parquet(source, path if compression is None and source.num_bytes is not None else spooled(stream))
        return

    if is_plain_utf8:
        check_is_text(head, source.name)
    else:
        stream = io.BufferedReader(Transcoded(stream, read.encoding), BLOCK_BYTES)
        head = stream.read(HEAD_BYTES)
        stream = io.BufferedReader(Replayed(head, stream), BLOCK_BYTES)
    first_offset = len(UTF8_BOM) if head.startswith(UTF8_BOM) else 0
    head = head[first_offset:]
    stream.read(first_offset)
    if not head.strip() and len(head) + first_offset < HEAD_BYTES:
        raise DataError(f"{source.name} is empty", hint="give a file with text")

    source.format = read.format or (find_format(head, path) if head.strip() else "text")
    is_as_on_disk = compression is None and is_plain_utf8 and source._file.is_local_file
    lines = ByteLines(
        stream,
        source.name,
        first_offset=first_offset,
        has_offsets=is_plain_utf8,
        path=local_path(path) if is_as_on_disk else None,
    )
    _open_lines(source, lines)


def _open_lines(source: Source, lines: ByteLines) -> None:
    if source.format in ("csv", "tsv"):
        reader = DelimitedReader(lines, default_delimiter="\t" if source.format == "tsv" else ",")
        source.columns = reader.columns
        source._rows = reader.rows()
    elif source.format == "text":
        source.columns = ["text"]
        source.lines = lines
        source._rows = read_text(lines)
    elif source.format == "json":
        rows = read_json_array(lines)
        first = list(_first_rows(rows))
        source.columns = _union_of_keys(first)
        source._rows = chain(first, rows)
    else:
        read = read_ndjson if source.format == "ndjson" else read_python
        source.columns = _union_of_keys(_first_rows(read(lines.ahead(LOOKAHEAD_RECORDS, LOOKAHEAD_BYTES))))
        source.lines = lines
        source._rows = read(lines)


def _open_parquet(source: Source, file: str | IO[bytes]) -> None:
    reader = ParquetReader(file, source.name)
    source.format = "parquet"
    source.columns = reader.columns
    source.schema = reader.schema
    source._parquet = reader
    source._rows = reader.rows()


def _is_named_parquet(path: str, read: ReadConfig) -> bool:
    return read.format is None and SUFFIX_FORMATS.get(data_suffix(path)) == "parquet"


def _first_rows(rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
    """Take the first records."""
    for count, row in enumerate(rows, 1):
        yield row
        if count >= LOOKAHEAD_RECORDS or (row.place.byte_offset or 0) > LOOKAHEAD_BYTES:
            break


def _union_of_keys(rows: Iterable[Row | BadRow]) -> list[str]:
    """Return the keys of all records, each once, in order."""
    return list(dict.fromkeys(key for row in rows if isinstance(row, Row) for key in row.fields))
