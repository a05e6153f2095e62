"""Which format a file has, by its first bytes; the name only breaks the tie between CSV, TSV and plain text."""

import ast
import codecs
import csv
import json
import re
from pathlib import PurePath

from sentneuron.core.config import LABEL_KEYS, TEXT_KEYS, InputFormat
from sentneuron.core.data.locations import file_name
from sentneuron.core.errors import DataError

HEAD_BYTES = 1 << 16
HEAD_LINES = 20
CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
SUFFIX_FORMATS: dict[str, InputFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "ndjson",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
    ".txt": "text",
    ".text": "text",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def data_suffix(name: str) -> str:
    """Return a file's extension in lower case, without that of its compression."""
    path = PurePath(file_name(name).lower())
    return path.with_suffix("").suffix if path.suffix in COMPRESSED_SUFFIXES else path.suffix


def check_is_text(head: bytes, name: str) -> None:
    """Refuse what no reader of lines can read.

    Raises:
        DataError: an archive, UTF-16 that was not announced, or no text at all.
    """
    if is_archive(head):
        raise DataError(f"{name} is an archive", hint="unpack it and name the files in it")
    if head.startswith(UTF16_MARKS):
        raise DataError(f"{name} is UTF-16 text", hint="say --encoding utf-16")
    if is_binary(head):
        raise DataError(f"{name} is not text in UTF-8", hint="name its encoding with --encoding, or give another file")


def is_archive(head: bytes) -> bool:
    """Tell whether a file's first bytes are those of a zip, 7z, rar or tar."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"7z\xbc\xaf", b"Rar!")) or head[257:262] == b"ustar"


def is_binary(head: bytes) -> bool:
    """Tell whether a file's first bytes are no text, by their control characters.

    A tenth of random bytes are such, and half of UTF-16 without a mark; a broken line has a few.
    """
    return (len(head) - len(head.translate(None, CONTROLS))) * 20 > len(head)


def find_format(head: bytes, name: str) -> InputFormat:
    """Return the format of a file that is not Parquet, by its first HEAD_BYTES: decompressed, UTF-8, no BOM."""
    by_suffix = SUFFIX_FORMATS.get(data_suffix(name))
    lines = [line.strip() for line in head.split(b"\n") if line.strip()][: HEAD_LINES + 1]
    if lines[0].startswith(b"[") and _opens_array(lines, is_named_json=by_suffix == "ndjson"):
        return "json"
    num_objects = sum(line.startswith(b"{") for line in lines)
    # A table's first line decides: its cells may hold objects. Elsewhere a first line may be broken.
    if lines[0].startswith(b"{") or (by_suffix not in ("csv", "tsv") and num_objects * 2 >= len(lines)):
        return "python" if _holds_python(lines) else "ndjson"
    if by_suffix in ("csv", "tsv", "text", "ndjson"):
        return by_suffix
    return _table_or_text(lines[0])


def find_delimiter(header: str, *, default: str) -> str:
    """Return the one of comma, tab and semicolon that cuts a header line into most fields; `default` on a tie."""
    unquoted = re.sub(r'"[^"]*"', "", header)
    candidates = [default] + [delimiter for delimiter in ",\t;" if delimiter != default]
    return max(candidates, key=unquoted.count)


def _holds_python(lines: list[bytes]) -> bool:
    """Say whether the first line that is either JSON or a Python literal is the latter."""
    # The last line may be cut.
    for line in lines[: max(1, len(lines) - 1)]:
        if _is_json_object(line):
            return False
        try:
            if isinstance(ast.literal_eval(line.decode()), dict):
                return True
        except Exception:
            # Deep nesting and odd bytes raise whatever they like.
            continue
    return re.match(rb"\{\s*u?'", lines[0]) is not None


def _is_json_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _opens_array(lines: list[bytes], *, is_named_json: bool) -> bool:
    """Say whether text that starts with `[` is an array of records, not prose or a stray line among objects."""
    if len(lines) > 1 and lines[1].startswith(b"{"):
        try:
            json.loads(lines[0])
            return False
        except (ValueError, RecursionError):
            return True
    return is_named_json or lines[0] == b"[" or re.match(rb"\[\s*[{\]]", lines[0]) is not None


def _table_or_text(header: bytes) -> InputFormat:
    """Take a line for a table's header only where it names a column that we know: prose has commas too."""
    text = header.decode("utf-8", errors="replace")
    delimiter = find_delimiter(text, default=",")
    try:
        names = {name.strip().casefold() for name in next(csv.reader([text], delimiter=delimiter))}
    except csv.Error:
        return "text"
    if not names.isdisjoint(key.casefold() for key in (*TEXT_KEYS, *LABEL_KEYS)):
        return "tsv" if delimiter == "\t" else "csv"
    return "text"
