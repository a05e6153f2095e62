"""Malformed inputs at the commands that read data: one line and an exit code, or read for what is there.

`shard` has tables of its own, with every line and file (tests/core/data/test_malformed_*.py). Here the same inputs
meet the other readers: `train`, which shards its text first, `transfer`, which counts and leaves out what it cannot
use, `classify`, which gives a row for each record or stops, and `info`, which describes what it can read.
"""

import gzip
import io
import random
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.core.data.lines import MAX_LINE_BYTES

DATA = 65


def table(**columns: object) -> bytes:
    """A Parquet file of reviews; `columns` replace or add to text and label."""
    rows = {"text": [f"review {number}" for number in range(40)], "label": [number % 2 for number in range(40)]}
    sink = io.BytesIO()
    pq.write_table(pa.table({**rows, **columns}), sink, write_page_checksum=True, compression="none")
    return sink.getvalue()


def archive(kind: str) -> bytes:
    sink = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(sink, "w") as file:
            file.writestr("in.json", LINES)
    else:
        with tarfile.open(fileobj=sink, mode="w") as file:
            member = tarfile.TarInfo("in.json")
            member.size = len(LINES)
            file.addfile(member, io.BytesIO(LINES))
    return sink.getvalue()


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :]


LINES = b"".join(
    b'{"text": "review %d: %x", "label": %d}\n' % (n, random.Random(n).getrandbits(400), n % 2) for n in range(60)
)
GOOD = b"".join(b'{"text": "good %d", "label": %d}\n' % (n, n % 2) for n in range(60))
CSV = b"text,label\n" + b"".join(b"good %d,%d\n" % (n, n % 2) for n in range(60))
LONG_CELLS = b"text,label,notes\n" + b"".join(
    b'good %d,%d,"%s"\n' % (n, n % 2, b"x" * 140_000 * (n == 7)) for n in range(60)
)
GZIP = gzip.compress(LINES, mtime=0)
MANY = [f"review {number}, long enough to be apart" for number in range(40)]
PARQUET = table()


class Case(NamedTuple):
    """An input and what each command makes of it: an exit code, and what its line holds."""

    name: str
    content: bytes
    code: int
    said: str
    unlike: Mapping[str, tuple[int, str]] = MappingProxyType({})
    """What other commands make of it."""


READ = (0, "")
BAD_SHARE = (DATA, "records are malformed")

CASES = {
    "empty": Case("in.json", b"", DATA, "in.json is empty"),
    "white space": Case("in.csv", b" \n\n", DATA, "in.csv is empty"),
    "only a header": Case(
        "in.csv", b"text,label\n", DATA, "no documents", {"classify": READ, "transfer": (DATA, "no row has both")}
    ),
    "no text column": Case("in.csv", b"a,b\n1,2\n", DATA, "in.csv has no text column; its columns are a, b"),
    "UTF-16": Case("in.csv", CSV.decode().encode("utf-16"), DATA, "in.csv is UTF-16 text; say --encoding"),
    "UTF-16 without a mark": Case("in.csv", CSV.decode().encode("utf-16-le"), DATA, "in.csv is not text in UTF-8"),
    "Latin-1": Case(
        "in.csv",
        CSV + b"caf\xe9,1\n" * 3,
        DATA,
        "invalid UTF-8",
        {"train": BAD_SHARE, "transfer": (0, "left out: 3 rows, invalid UTF-8")},
    ),
    "binary": Case("in.json", random.Random(0).randbytes(9000), DATA, "in.json is not text in UTF-8"),
    "gzip named .json": Case("in.json", GZIP, 0, ""),
    "plain named .gz": Case("in.json.gz", LINES, 0, ""),
    "several gzip members": Case("in.json.gz", GZIP + GZIP, 0, ""),
    "gzip truncated": Case("in.json.gz", GZIP[: len(GZIP) // 2], DATA, "in.json.gz: the gzip data ends too early"),
    "gzip without trailer": Case("in.json.gz", GZIP[:-8], DATA, "in.json.gz: the gzip data ends too early"),
    "gzip with a bad checksum": Case("in.json.gz", flipped(GZIP, -8), DATA, "in.json.gz: the gzip data is damaged"),
    "gzip with a flipped bit": Case("in.json.gz", flipped(GZIP, 999), DATA, "in.json.gz: the gzip data"),
    "gzip with garbage behind": Case("in.json.gz", GZIP + b"garbage" * 9, DATA, "in.json.gz: the gzip data"),
    "gzip bomb of one line": Case(
        "in.gz",
        gzip.compress(b'{"text": "' + b"x" * (4 * MAX_LINE_BYTES), 1),
        DATA,
        "in.gz has no text column",
    ),
    "zip": Case("in.json", archive("zip"), DATA, "in.json is an archive; unpack it"),
    "tar": Case("in.json", archive("tar"), DATA, "in.json is an archive; unpack it"),
    "array cut": Case("in.json", b'[{"text": "a", "label": 1},\n{"text": "b', DATA, "in.json:2: the JSON array"),
    "a line cut": Case(
        "in.json",
        GOOD + b'{"text": "cut',
        DATA,
        "in.json:61: not JSON",
        {"train": BAD_SHARE, "transfer": (0, "left out: 1 row, not JSON")},
    ),
    "null and missing text": Case("in.json", GOOD + b'{"text": null}\n{"label": 1}\n', 0, ""),
    "deep nesting": Case(
        "in.json",
        GOOD + b'{"text": ' + b"[" * 100_000 + b"\n",
        DATA,
        "in.json:61: not JSON",
        {"train": BAD_SHARE, "transfer": (0, "left out: 1 row, not JSON")},
    ),
    "5,000-digit integer": Case(
        "in.json",
        GOOD + b'{"label": ' + b"9" * 5000 + b', "text": "x"}\n',
        DATA,
        "in.json:61: not JSON",
        {"train": BAD_SHARE, "transfer": (0, "left out: 1 row, not JSON")},
    ),
    "ratings that are no numbers": Case("in.json", GOOD + b'{"text": "x", "label": NaN}\n' * 3, 0, ""),
    "half a surrogate pair": Case("in.json", GOOD + b'{"text": "a \\ud83d b", "label": 1}\n', 0, ""),
    "byte order mark and CRLF": Case("in.csv", b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"), 0, ""),
    "NUL in a text": Case("in.csv", CSV + b"a\x00b,1\n", 0, ""),
    "quoted newline": Case("in.csv", CSV + b'"two\nlines",1\n', 0, ""),
    "semicolons": Case("in.csv", CSV.replace(b",", b";"), 0, ""),
    "tabs": Case("in.csv", CSV.replace(b",", b"\t"), 0, ""),
    "quote never closed": Case("in.csv", CSV + b'"open,1\nx,0\n', DATA, "in.csv:62: a quote is opened and not closed"),
    "ragged rows": Case(
        "in.csv",
        CSV + b"x\n",
        DATA,
        "in.csv:62: wrong number of fields",
        {"train": BAD_SHARE, "transfer": (0, "left out: 1 row, wrong number of fields")},
    ),
    "a cell over 128 KB": Case("in.csv", LONG_CELLS, 0, ""),
    "duplicate header names": Case("in.csv", b"text,text\na,b\n", DATA, "in.csv has several columns called 'text'"),
    "labels that are no numbers": Case("in.csv", CSV.replace(b",1\n", b",fine\n").replace(b",0\n", b",awful\n"), 0, ""),
    "a single class": Case(
        "in.csv", b"text,label\n" + b"good,1\n" * 30, 0, "", {"transfer": (DATA, "all 30 labels are '1'")}
    ),
    "no label column": Case(
        "in.csv",
        CSV.replace(b",", b" ").replace(b"text label", b"text"),
        0,
        "",
        {"transfer": (DATA, "in.csv has no label column")},
    ),
    "Parquet truncated": Case("in.parquet", PARQUET[:-100], DATA, "in.parquet is no whole Parquet file"),
    "Parquet without footer": Case("in.parquet", PARQUET[:-8], DATA, "in.parquet is no whole Parquet file"),
    "Parquet with a flipped bit": Case(
        "in.parquet", PARQUET.replace(b"review 33", b"review 73"), DATA, "in.parquet: row group 0 cannot be read"
    ),
    "Parquet without text": Case(
        "in.parquet", table().replace(b"text", b"tixt"), DATA, "in.parquet has no text column"
    ),
    "Parquet with numbers as text": Case(
        "in.parquet",
        table(text=list(range(40))),
        DATA,
        "records are malformed",
        {"classify": READ, "transfer": (DATA, "no row has both a text and a label")},
    ),
    "Parquet with nulls": Case("in.parquet", table(text=[None, *(f"good {n}" for n in range(38)), ""]), 0, ""),
    "Parquet with a dictionary": Case("in.parquet", table(text=pa.array(MANY).dictionary_encode()), 0, ""),
    "Parquet with string views": Case("in.parquet", table(text=pa.array(MANY, pa.string_view())), 0, ""),
    "Parquet without rows": Case(
        "in.parquet",
        table(text=pa.array([], pa.string()), label=pa.array([], pa.int8())),
        DATA,
        "no documents",
        {"classify": READ, "transfer": (DATA, "no row has both")},
    ),
}


NO_KIND = "is neither a model nor data"
INFO = {
    "only a header": READ,
    "no text column": (0, "in.csv has no text column"),
    "UTF-16 without a mark": (DATA, f"in.csv {NO_KIND}"),
    "Latin-1": (0, "3: invalid UTF-8"),
    "binary": (DATA, f"in.json {NO_KIND}"),
    "gzip bomb of one line": (0, "in.gz has no text column"),
    "a line cut": (0, "1: not JSON"),
    "deep nesting": (0, "1: not JSON"),
    "5,000-digit integer": (0, "1: not JSON"),
    "ragged rows": (0, "1: wrong number of fields"),
    "Parquet without text": (0, "in.parquet has no text column"),
    "Parquet with numbers as text": (0, "40: no text"),
    "Parquet without rows": READ,
}
"""What `info` makes of an input, where it is not what the others make of it: it describes what it can read."""
COMMANDS = ("train", "transfer", "classify", "info")


def outcome(name: str, command: str) -> tuple[int, str]:
    """The exit code, and what is said."""
    case = CASES[name]
    if command == "info" and name in INFO:
        return INFO[name]
    return case.unlike.get(command, (case.code, case.said))


def documented() -> str:
    """The table of docs/reliability-inputs.md."""
    lines = ["| input | " + " | ".join(COMMANDS) + " |", "| --- " * (1 + len(COMMANDS)) + "|"]
    for name in CASES:
        outcomes = (outcome(name, command) for command in COMMANDS)
        cells = [f"{code}: {said}" if code else said or "read" for code, said in outcomes]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_documented_table_is_that_of_the_cases():
    page = Path(__file__).parents[3] / "docs" / "reliability-inputs.md"
    assert documented() in page.read_text("utf-8")


def each_case() -> Iterator[Any]:
    """Every case at every command; all but those at `info` and a few at `train` are slow."""
    for name, case in CASES.items():
        for command in COMMANDS:
            code, said = outcome(name, command)
            is_quick = command == "train" and name in ("empty", "gzip truncated", "a line cut", "single class")
            is_quick |= command == "info"
            marks = [] if is_quick else [pytest.mark.slow]
            yield pytest.param(case, command, code, said, id=f"{name}-{command}", marks=marks)


@pytest.mark.parametrize(("case", "command", "code", "said"), list(each_case()))
def test_a_malformed_file_is_one_line_or_read(check, commands, case: Case, command: str, code: int, said: str):
    Path(case.name).write_bytes(case.content)
    check(commands(case.name)[command], code, said)
