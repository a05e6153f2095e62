"""Every malformed CSV and Parquet file of RELIABILITY's list: rows counted by reason, or one line and an exit code."""

import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.cli import main
from sentneuron.core.config import ReadConfig, ShardConfig
from sentneuron.core.data.readers import Row
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.tables import ParquetReader
from sentneuron.core.errors import DataError

LONG = "x" * 200_000


def parquet(columns: dict[str, object] | pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, sink, write_page_checksum=True, **options)
    return sink.getvalue()


TEXTS = [f"review number {number}" for number in range(2000)]
WHOLE = parquet({"text": TEXTS}, compression="none", use_dictionary=False, row_group_size=1000)

# Content, the (text, label) pairs that are kept, and what is skipped.
CSV = {
    "quoted newline": (
        b'text,label\n"two\nlines",1\n"two\r\nlines",0\nx,1\n',
        [("two lines", "1"), ("two lines", "0"), ("x", "1")],
        {},
    ),
    "quoted quote": (b'text,label\n"a ""b"" c",1\n', [('a "b" c', "1")], {}),
    "quote inside a field": (b'text,label\na "b" c,1\n5" screen,0\n', [('a "b" c', "1"), ('5" screen', "0")], {}),
    "misplaced quote": (b'text,label\n"x"y,1\nok,1\n', [("ok", "1")], {"misplaced quote": 1}),
    "semicolon": (b"text;label\nx, y;1\n", [("x, y", "1")], {}),
    "tab": (b"text\tlabel\nx, y\t1\n", [("x, y", "1")], {}),
    "labels that are no numbers": (b"text,label\nx,good\ny,bad\nz,\n", [("x", "good"), ("y", "bad"), ("z", None)], {}),
    "a single class": (b"text,label\nx,1\ny,1\n", [("x", "1"), ("y", "1")], {}),
    "labels NaN and infinity": (b"text,label\nx,nan\ny,inf\nz,1e400\n", [("x", "nan"), ("y", "inf"), ("z", None)], {}),
    "ragged rows": (b"text,label\nx\ny,1,2\nok,1\n", [("ok", "1")], {"wrong number of fields": 2}),
    "blank rows": (b"text,label\n\nok,1\n\r\n", [("ok", "1")], {"blank": 2}),
    "rows of separators": (b"text,label\n,\nok,1\n", [("ok", "1")], {"empty": 1}),
    "a cell over 128 KB": (f"text,label\n{LONG},1\n".encode(), [(LONG, "1")], {}),
    "a quoted cell over 128 KB": (f'text,label\n"{LONG}",1\n'.encode(), [(LONG, "1")], {}),
    "invalid UTF-8": (b"text,label\ncaf\xe9,1\nok,1\n", [("ok", "1")], {"invalid UTF-8": 1}),
    "invalid UTF-8 in a label": (b"text,label\nx,\xe9\nok,1\n", [("ok", "1")], {"invalid UTF-8": 1}),
    "NUL": (b"text,label\na\x00b with more text around it,1\n", [("a b with more text around it", "1")], {}),
    "BOM": (b"\xef\xbb\xbftext,label\nx,1\n", [("x", "1")], {}),
    "CRLF and no end": (b"text,label\r\nx,1\r\ny,0", [("x", "1"), ("y", "0")], {}),
    "names that are words for nothing": (
        b"text,label\nNA,1\nnull,0\nNone,1\n",
        [("NA", "1"), ("null", "0"), ("None", "1")],
        {},
    ),
    "one column": (b"text\nx\ny\n", [("x", None), ("y", None)], {}),
    "one column with commas": (b"text\nx, y\n", [], {"wrong number of fields": 1}),
    "spaces around names": (b"text , label\nx,1\n", [("x", "1")], {}),
}

REFUSED_CSV = {
    "unbalanced quote": (b'text,label\nok,1\n"never closed,1\nx,0\n', "in.csv:3: a quote is opened and not closed"),
    "unbalanced quote in the header": (b'"text,label\nx,1\n', "in.csv: the header cannot be read"),
    "no header": (b"A good film,1\nA bad one,0\n", "in.csv has no text column; its columns are A good film, 1"),
    "missing column": (b"name,age\na,1\n", "in.csv has no text column; its columns are name, age; name one with"),
    "duplicate names": (b"text,label,text\nx,1,y\n", "in.csv has several columns called 'text'; rename all but one"),
    "two columns without a name": (b",,text\n1,2,x\n", "in.csv has several columns called ''; rename all but one"),
    "only a header": (b"text,label\n", "no documents in in.csv: 0 records were read, 0 skipped; check"),
    "mostly ragged": (b"text,label\n" + b"x\n" * 9 + b"ok,1\n", "9 of 10 records are malformed (90.00%"),
}

# The column's values as a Parquet array, the texts that are kept, and what is skipped.
PARQUET = {
    "string": (pa.array(["a", "é"]), ["a", "e"], {}),
    "large string": (pa.array(["a"], pa.large_string()), ["a"], {}),
    "string view": (pa.array(["a", "b" * 99], pa.string_view()), ["a", "b" * 99], {}),
    "dictionary": (pa.array(["a", "a", "b"]).dictionary_encode(), ["a", "a", "b"], {}),
    "binary": (pa.array([b"a", b"\xc3\xa9"], pa.binary()), ["a", "e"], {}),
    "binary that is no text": (pa.array([b"a", b"\xff"], pa.binary()), ["a"], {"text is not a string": 1}),
    "nulls": (pa.array(["a", None, ""]), ["a"], {"no text": 1, "empty": 1}),
    "int": (pa.array([1, 2]), [], {"text is not a string": 2}),
    "float": (pa.array([1.5, None]), [], {"text is not a string": 1, "no text": 1}),
    "list": (pa.array([["a"], ["b", "c"]]), [], {"text is not a string": 2}),
    "struct": (pa.array([{"a": "b"}]), [], {"text is not a string": 1}),
    "time": (pa.array([0], pa.timestamp("ms")), [], {"text is not a string": 1}),
}

REFUSED_PARQUET = {
    "truncated": (WHOLE[:-100], "in.parquet is no whole Parquet file; get the file again"),
    "cut to its first bytes": (WHOLE[:4], "in.parquet is no whole Parquet file; get the file again"),
    "no footer": (WHOLE[:-8], "in.parquet is no whole Parquet file; get the file again"),
    "empty": (b"", "in.parquet is empty; give a file with text"),
    "another format": (b"text\nx\n", "in.parquet is no whole Parquet file; get the file again"),
    "flipped bit": (WHOLE.replace(b"number 1500", b"number 1501"), "in.parquet: row group 1 cannot be read"),
    "text column absent": (parquet({"words": ["a"], "n": [1]}), "in.parquet has no text column; its columns are"),
    "no rows": (parquet({"text": pa.array([], pa.string())}), "no documents in in.parquet: 0 records were read"),
    "no columns": (parquet(pa.table({})), "in.parquet has no text column; its columns are (none)"),
    "duplicate names": (
        parquet(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])),
        "in.parquet has several columns called 'text'; rename all but one",
    ),
    "int": (parquet({"text": [1, 2]}), "2 of 2 records are malformed"),
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def shard(name: str) -> tuple[list[tuple[str, str | None]], dict[str, int]]:
    """Return (text, label) of what is kept, and what is skipped; one record more is added where there is none."""
    Path("more.txt").write_bytes(b"one more\n")
    config = ShardConfig(
        inputs=(name, "more.txt"), output=Path("out"), shards=1, split=(1,), workers=1, max_bad=1.0, read=ReadConfig()
    )
    report = write_shards(config)
    table = pq.read_table("out/train/00000.parquet")
    pairs = zip((text.decode()[2:-1] for text in table["text"].to_pylist()), table["label"].to_pylist(), strict=True)
    kept = sorted(pairs, key=repr)
    kept.remove(("one more", None))
    assert report.num_read == len(kept) + 1 + sum(report.skipped.values())
    return kept, report.skipped


def check_refused(capsys, name: str, content: bytes, message: str) -> None:
    """Check for exit code 65, the message, and that nothing is there that was not there before."""
    Path(name).write_bytes(content)
    assert main(["shard", name, "-o", "out", "--workers", "1"]) == 65
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {message}")
    assert os.listdir() == [name]


@pytest.mark.parametrize(("content", "kept", "skipped"), CSV.values(), ids=CSV)
def test_an_odd_csv_file_is_read_row_by_row(content, kept, skipped):
    Path("in.csv").write_bytes(content)
    assert shard("in.csv") == (sorted(kept, key=repr), skipped)


@pytest.mark.parametrize(("content", "message"), REFUSED_CSV.values(), ids=REFUSED_CSV)
def test_a_csv_file_that_cannot_be_used_is_one_line_and_leaves_nothing(capsys, content, message):
    check_refused(capsys, "in.csv", content, message)


@pytest.mark.parametrize(("column", "kept", "skipped"), PARQUET.values(), ids=PARQUET)
def test_a_text_column_of_any_type_is_read_or_counted(column, kept, skipped):
    Path("in.parquet").write_bytes(parquet({"text": column, "label": list(range(len(column)))}))
    found, found_skipped = shard("in.parquet")
    assert ([text for text, _ in found], found_skipped) == (sorted(kept), skipped)


@pytest.mark.parametrize(("content", "message"), REFUSED_PARQUET.values(), ids=REFUSED_PARQUET)
def test_a_parquet_file_that_cannot_be_used_is_one_line_and_leaves_nothing(capsys, content, message):
    check_refused(capsys, "in.parquet", content, message)


@pytest.mark.parametrize(
    ("column", "labels"),
    [
        (pa.array([1, 0, None]), ["1", "0", None]),
        (pa.array([1.0, 0.5, float("nan")]), ["1", "0.5", None]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array(["a", "", None]).dictionary_encode(), ["a", None, None]),
        (pa.array([[1], [], None]), ["[1]", "[]", None]),
    ],
)
def test_a_label_column_of_any_type_has_names_of_classes(column, labels):
    Path("in.parquet").write_bytes(parquet({"text": ["a", "b", "c"], "label": column}))
    assert [label for _, label in shard("in.parquet")[0]] == labels


def test_a_flipped_bit_in_the_pages_is_found_or_changes_nothing():
    reviews = [{"text": f"review {number}", "label": str(number % 2)} for number in range(10)]
    content = parquet(pa.Table.from_pylist(reviews), compression="none")
    # The footer has no checksum in this format; shards have one of the whole file in their manifest.
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    wrong = []
    for position in range(4, footer):
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        try:
            rows = list(ParquetReader(io.BytesIO(damaged), "in.parquet").rows())
        except DataError:
            continue
        if [row.fields for row in rows if isinstance(row, Row)] != reviews:
            wrong.append(position)
    assert wrong == []
