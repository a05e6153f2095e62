"""Readers: every format, every compression, and what becomes of input that is broken."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentneuron.core.config import InputFormat, ReadConfig
from sentneuron.core.data import lines, readers, tables
from sentneuron.core.data.readers import BadRow, Place, Row, Source, expand_inputs, open_source
from sentneuron.core.errors import DataError, InputNotFoundError, SentneuronError, StorageError, UsageError

REVIEWS = [
    {"text": "good, really", "label": 1},
    {"text": 'a "bad" one\nin two lines', "label": 0},
    {"text": "é", "label": 1},
]


def csv_bytes(delimiter: str = ",") -> bytes:
    rows = [["text", "label"], ['"good, really"', "1"], ['"a ""bad"" one\nin two lines"', "0"], ["é", "1"]]
    return "".join(delimiter.join(row) + "\n" for row in rows).encode()


def zstd(content: bytes) -> bytes:
    return pyarrow.compress(content, codec="zstd", asbytes=True)


def parquet_bytes(table: pyarrow.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, **options)
    return sink.getvalue()


FORMATS: dict[InputFormat, bytes] = {
    "csv": csv_bytes(),
    "tsv": csv_bytes("\t"),
    "ndjson": b"".join(json.dumps(review).encode() + b"\n" for review in REVIEWS),
    "json": json.dumps(REVIEWS, indent=1, ensure_ascii=False).encode(),
    "python": b"".join(repr(review).encode() + b"\n" for review in REVIEWS),
    "parquet": parquet_bytes(pyarrow.Table.from_pylist(REVIEWS)),
}
OBJECTS: list[InputFormat] = ["ndjson", "json", "python"]
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write_file(content: bytes, name: str = "input") -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write_file


def read_all(path: str, **config: object) -> tuple[Source, list[Row | BadRow]]:
    source = open_source(path, ReadConfig(**config))  # type: ignore[arg-type]
    return source, list(source.rows())


def values(rows: list[Row | BadRow], key: str = "text") -> list[object]:
    return [row.fields[key] for row in rows if isinstance(row, Row)]


def reasons(rows: list[Row | BadRow]) -> list[str]:
    return [row.reason for row in rows if isinstance(row, BadRow)]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(
    ("kind", "name"), [(kind, "input") for kind in FORMATS] + [(kind, "a.json") for kind in OBJECTS]
)
def test_format_and_compression_are_found_by_content(write, kind: InputFormat, name: str, compression: str) -> None:
    source, rows = read_all(write(COMPRESSIONS[compression](FORMATS[kind]), name))
    assert source.format == kind
    assert source.columns == ["text", "label"]
    assert values(rows) == [review["text"] for review in REVIEWS]
    expected = ["1", "0", "1"] if kind in ("csv", "tsv") else [1, 0, 1]
    assert values(rows, "label") == expected
    assert source.bytes_read == source.num_bytes == os.path.getsize(rows[0].place.source)
    assert (source.schema is not None) == (kind == "parquet")


@pytest.mark.parametrize("kind", [*FORMATS, "text"])
def test_stdin_reads_like_a_file(monkeypatch, kind: InputFormat) -> None:
    content = FORMATS.get(kind, b"one\ntwo\nthree\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(content))))
    source, rows = read_all("-")
    assert (source.name, source.format, source.num_bytes) == ("stdin", kind, None)
    assert len(values(rows)) == 3
    assert rows[0].place.source == "stdin"


def test_a_pipe_reads_like_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    content = b"".join(b'{"text": "%d"}\n' % number for number in range(30_000))
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    source, rows = read_all(str(path))
    writer.join()
    assert source.num_bytes is None
    assert values(rows) == [str(number) for number in range(30_000)]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"words\nno header that we know\n", "csv"),
        ("a.tsv", b"words\tand more\nx\ty\n", "tsv"),
        ("a.txt", b"text,label\nthis is prose\n", "text"),
        ("a.txt", b'{"text": "x"}\n', "ndjson"),
        ("a", b"I loved it, really, I did\nand so on\n", "text"),
        ("a", b"Text;Stars\nx;5\n", "csv"),
        ("a", b"review\nx\n", "csv"),
        ("a", b"[spoiler] he dies\n", "text"),
        ("a", b"[]", "json"),
        ("a", b"\n\n  [\n {}]", "json"),
        ("a", b'[1, 2]\n{"text": "x"}\n', "ndjson"),
        ("a", b'broken\n{"text": "x"}\n{"text": "y"}\n', "ndjson"),
        ("a.csv", b'text\n{"text": "x"}\n{"text": "y"}\n', "csv"),
        ("a", b"{\n", "ndjson"),
        ("a", b"{'text': 'cut", "python"),
        ("a", b'{"text": None}\n{"text": "x"}\n', "python"),
        ("a", b'{broken\n{"text": "x"}\n{"text": "y"}\n', "ndjson"),
        ("a.jsonl", b'null\n{"text": "x"}\n', "ndjson"),
        ("a.JSON.GZ", gzip.compress(b"not json\n"), "ndjson"),
    ],
)
def test_the_format_of(write, name: str, content: bytes, expected: str) -> None:
    assert open_source(write(content, name), ReadConfig()).format == expected


def test_a_format_that_is_named_is_taken(write) -> None:
    source, rows = read_all(write(FORMATS["ndjson"]), format="text")
    assert source.format == "text"
    assert values(rows) == FORMATS["ndjson"].decode().splitlines()


# Tables


def test_a_cell_stays_the_string_that_it_is(write) -> None:
    cells = ["NA", "null", "None", "nan", "", "007", "1e5", "True", " x ", "2020-01-01", "=1+1", "\\n", "\x00"]
    content = "text,label\n" + "".join(f"{cell},0\n" for cell in cells)
    assert values(read_all(write(content.encode()))[1]) == cells


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quoted_newline_is_left_as_it_is(write, end: str) -> None:
    _, rows = read_all(write(f'text,label{end}"one{end}two",1{end}three,0'.encode(), "a.csv"))
    assert values(rows) == [f"one{end}two", "three"]
    assert [row.place.line for row in rows] == [2, 4]
    assert [row.place.byte_offset for row in rows] == [10 + len(end), 20 + 3 * len(end)]


def test_a_semicolon_or_a_tab_is_found_in_the_header(write) -> None:
    for delimiter in (";", "\t"):
        source, rows = read_all(write(f'"a, b"{delimiter}text\n1{delimiter}x, y\n'.encode(), "a.csv"))
        assert source.columns == ["a, b", "text"]
        assert values(rows) == ["x, y"]


def test_bad_records_of_a_table_are_counted_and_the_next_one_is_read(write) -> None:
    content = b'text,label\nok,1\nthree,1,2\none\n\n"x"y,1\n\xff,1\n"\xe9\n",1\nok,0\n'
    _, rows = read_all(write(content, "a.csv"))
    assert values(rows) == ["ok", "ok"]
    expected = ["wrong number of fields", "wrong number of fields", "blank", "misplaced quote"]
    assert reasons(rows) == [*expected, "invalid UTF-8", "invalid UTF-8"]
    assert [row.place.line for row in rows] == [2, 3, 4, 5, 6, 7, 8, 10]


def test_a_cell_over_128_kb_is_read(write) -> None:
    long = "x" * 3_000_000
    assert values(read_all(write(f"text,label\n{long},1\n".encode(), "a.csv"))[1]) == [long]


def test_a_quote_that_is_never_closed_is_an_error_that_says_where(write) -> None:
    source = open_source(write(b'text,label\nok,1\n"open,1\nx,0\n', "a.csv"), ReadConfig())
    with pytest.raises(DataError, match=r"a\.csv:3: a quote is opened and not closed"):
        list(source.rows())


def test_an_open_quote_in_a_long_file_is_found_before_it_fills_memory(write, monkeypatch) -> None:
    monkeypatch.setattr(tables, "MAX_FIELD_CHARACTERS", 10_000)
    path = write(b'text,label\n"open,1\n' + b"word,0\n" * 10_000, "a.csv")
    source = open_source(path, ReadConfig())
    with pytest.raises(DataError, match="a quote is opened and not closed"):
        list(source.rows())
    _, rows = read_all(write(b"text,label\n" + b"x" * 20_000 + b",1\nok,1\n", "b.csv"))
    assert (values(rows), reasons(rows)) == (["ok"], ["field longer than 16 million characters"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text,label,text\nx,1,y\n", "several columns called 'text'"),
        (b",,text\n1,2,x\n", "several columns called ''"),
        (b'"text,label\n', "header cannot be read"),
        (b"t\xe9xt,label\n", "header is not UTF-8"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused(write, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(write(content, "a.csv"), ReadConfig())


def test_a_table_with_only_a_header_has_columns_and_no_rows(write) -> None:
    source, rows = read_all(write(b"text,label", "a.csv"))
    assert (source.columns, rows) == (["text", "label"], [])


# Lines


def test_every_malformed_line_is_skipped_with_its_reason_and_place(write) -> None:
    bad = {
        b'{"text": "cut': "not JSON",
        b"nonsense": "not JSON",
        b"": "blank",
        b"  \t": "blank",
        b"[1, 2]": "not an object",
        b"12": "not an object",
        b"null": "not an object",
        b'{"text": "\xff"}': "invalid UTF-8",
        b'{"text": "a\x00b"}': "not JSON",
        b'{"text": "a\x01b"}': "not JSON",
        b"{'text': 'x'}": "not JSON",
        b'{"text": "x"}{"text": "y"}': "not JSON",
        b'{"text": "x",}': "not JSON",
        b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}": "not JSON",
    }
    good = b'{"text": "ok"}'
    content = b"".join(good + b"\r\n" + line + b"\n" for line in bad) + good
    _, rows = read_all(write(content))
    assert values(rows) == ["ok"] * (len(bad) + 1)
    assert reasons(rows) == list(bad.values())
    assert [row.place.line for row in rows] == list(range(1, len(rows) + 1))
    parts = content.splitlines(keepends=True) if b"\x1c" not in content else []
    offsets = [sum(map(len, content.split(b"\n")[:number])) + number for number in range(len(parts))]
    assert [row.place.byte_offset for row in rows] == offsets


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"text": null}', None),
        ('{"text": 5}', 5),
        ('{"text": {"a": [1]}}', {"a": [1]}),
        ('{"text": 1e400}', float("inf")),
        ('{"text": "a", "text": "b"}', "b"),
        ('{"text": "\\ud83d\\ude00"}', "\U0001f600"),
        ('{"text": "half \\ud83d"}', "half \ud83d"),
        ('{"text": "nul \\u0000"}', "nul \x00"),
        ('\ufeff{"text": "after a BOM"}', "after a BOM"),
        ('{"text": "5.0"}', "5.0"),
    ],
)
def test_an_odd_line_that_is_json_keeps_its_values(write, line: str, expected: object) -> None:
    assert values(read_all(write(line.encode()))[1]) == [expected]


def test_nan_is_read(write) -> None:
    (value,) = values(read_all(write(b'{"text": NaN}\n'))[1])
    assert value != value


def test_a_huge_integer_does_not_stop_the_reading(write) -> None:
    _, rows = read_all(write(b'{"text": "a"}\n{"n": ' + b"9" * 5000 + b'}\n{"text": "b"}\n'))
    assert len(rows) == 3
    assert [row.fields["text"] for row in (rows[0], rows[2]) if isinstance(row, Row)] == ["a", "b"]


def test_a_line_without_end_is_skipped_in_bounded_memory(write, monkeypatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    for exactly in (b"x" * 99, b"x" * 100):
        assert values(read_all(write(exactly + b"\nok\n", "a.txt"))[1]) == [exactly.decode(), "ok"]
    _, rows = read_all(write(b"x" * 5_000_000 + b"\nok\n" + b"y" * 200, "a.txt"))
    assert values(rows) == ["ok"]
    assert reasons(rows) == ["longer than 16 MB"] * 2
    assert [row.place for row in rows][1:] == [
        Place(rows[0].place.source, 2, 5_000_001),
        Place(rows[0].place.source, 3, 5_000_004),
    ]
    _, rows = read_all(write(b"text,label\n" + b"x" * 500 + b",1\nok,1\n", "a.csv"))
    assert (values(rows), reasons(rows)) == (["ok"], ["longer than 16 MB"])


def test_python_lines_are_read_as_literals_and_nothing_is_run(write, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    content = f"{{'text': 'it\\'s', 'n': None}}\n{{'text': open({str(touched)!r}, 'w')}}\n{{1: 'x'}}\n\n".encode()
    content += b"{'text': " + b"(" * 5000 + b"}\n{'text': '\xff'}\n{'text': u'\\u00e9 \\d'}\n"
    _, rows = read_all(write(content))
    assert values(rows) == ["it's", "é \\d"]
    assert reasons(rows) == ["not a Python literal", "not an object", "blank", "not a Python literal", "invalid UTF-8"]
    assert not touched.exists()


def test_plain_text_is_one_text_a_line(write) -> None:
    source, rows = read_all(write("one\r\n\n  two \u2028 still two\x0cstill\nlast".encode(), "a.txt"))
    assert source.columns == ["text"]
    assert values(rows) == ["one", "  two \u2028 still two\x0cstill", "last"]
    assert reasons(rows) == ["blank"]


def test_the_columns_of_objects_are_the_union_of_the_first_records(write) -> None:
    content = b'{"a": 1}\n{"b": 1, "a": 2}\nbad\n' + b'{"a": 1}\n' * 200 + b'{"late": 1}\n'
    source, rows = read_all(write(content))
    assert source.columns == ["a", "b"]
    assert len(rows) == 204


# JSON arrays


@pytest.mark.parametrize("block", [1, 7, 64])
def test_an_array_reads_the_same_wherever_blocks_are_cut(write, monkeypatch, block: int) -> None:
    monkeypatch.setattr("sentneuron.core.data.objects.ARRAY_BLOCK_BYTES", block)
    records = [
        {"text": 'é "x" \n \U0001f600', "n": [1.5e10, True, None, {"a": -12}]},
        {"text": "\\"},
        {},
        {"text": "x" * 99},
    ]
    content = json.dumps(records, indent=1).replace("\\ud83d\\ude00", "\U0001f600").encode()
    _, rows = read_all(write(content))
    assert [row.fields for row in rows if isinstance(row, Row)] == records
    for row in rows:
        assert content[row.place.byte_offset :].startswith(b"{")
        assert row.place.line == content[: row.place.byte_offset].count(b"\n") + 1


def test_an_element_that_is_no_object_is_skipped(write) -> None:
    _, rows = read_all(write(b'[{"text": "a"}, 12, "x", null, [1], {"text": "\xff"}, {"text": "b"}]'))
    assert values(rows) == ["a", "b"]
    assert reasons(rows) == ["not an object"] * 4 + ["invalid UTF-8"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"text": "a"},\n {"text": "b', "a.json:2: the JSON array"),
        (b'[{"text": "a"}', "a.json:1: the JSON array ends too early"),
        (b'[{"text": "a"} {"text": "b"}]', "is broken"),
        (b'[{"text": "a"},]', "is broken"),
        (b'[{"text": }]', "is broken"),
        (b"[" + b'{"a":' * 100_000, "is broken"),
        (b'[{"text": ' + b"9" * 5000 + b"}]", "is broken"),
    ],
)
def test_a_broken_array_is_an_error_that_says_where(write, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_all(write(content, "a.json"))


# Parquet


def test_text_columns_of_every_kind_read_as_strings(write) -> None:
    texts = ["one", "zwei é", None]
    kinds = [pyarrow.string(), pyarrow.large_string(), pyarrow.binary(), pyarrow.large_binary()]
    kinds += [pyarrow.string_view(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())]
    for kind in kinds:
        encoded = [text and text.encode() for text in texts] if "binary" in str(kind) else texts
        array = pyarrow.array(encoded, kind)
        _, rows = read_all(write(parquet_bytes(pyarrow.table({"text": array}))))
        assert values(rows) == texts, kind


def test_parquet_is_read_over_row_groups_with_row_numbers(write) -> None:
    table = pyarrow.table({"text": [str(number) for number in range(2500)]})
    source = open_source(write(parquet_bytes(table, row_group_size=1100), "a.parquet"), ReadConfig())
    rows = iter(source.rows())
    first = next(rows)
    assert 0 <= source.bytes_read < 100
    rest = list(rows)
    assert values([first, *rest]) == [str(number) for number in range(2500)]
    assert rest[-1].place == Place(source.name, 2500, None)
    assert source.bytes_read == source.num_bytes


def test_binary_that_is_no_text_stays_bytes(write) -> None:
    _, rows = read_all(write(parquet_bytes(pyarrow.table({"text": [b"\xff", b"a"]}))))
    assert values(rows) == [b"\xff", "a"]


@pytest.mark.parametrize("keep", [4, 100, -1, -4, -8])
def test_a_truncated_parquet_file_is_refused(write, keep: int) -> None:
    with pytest.raises(DataError, match=r"a\.parquet is no whole Parquet file"):
        open_source(write(FORMATS["parquet"][:keep], "a.parquet"), ReadConfig())


def test_a_flipped_bit_in_a_page_is_found(write) -> None:
    texts = [f"review number {number}" for number in range(1000)]
    content = bytearray(parquet_bytes(pyarrow.table({"text": texts}), write_page_checksum=True, compression="none"))
    content[content.index(b"review number 500")] ^= 1
    source = open_source(write(bytes(content)), ReadConfig())
    with pytest.raises(DataError, match="row group 0 cannot be read"):
        list(source.rows())


def test_what_is_named_parquet_and_is_not_is_refused(write) -> None:
    with pytest.raises(DataError, match="is no whole Parquet file"):
        open_source(write(b"text,label\nx,1\n", "a.parquet"), ReadConfig())


def test_duplicate_columns_in_parquet_are_refused(write) -> None:
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["text", "text"])
    with pytest.raises(DataError, match="several columns called 'text'"):
        open_source(write(parquet_bytes(table)), ReadConfig())


# Encodings


def test_utf8_with_a_byte_order_mark_is_read(write) -> None:
    for kind in ("csv", "ndjson", "json", "python"):
        source, rows = read_all(write(b"\xef\xbb\xbf" + FORMATS[kind]))
        assert (source.format, source.columns) == (kind, ["text", "label"])
        offset = rows[0].place.byte_offset
        assert offset is not None
        assert offset >= 3


def test_utf16_is_refused_with_the_option_that_reads_it(write) -> None:
    path = write(FORMATS["csv"].decode().encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16") as caught:
        open_source(path, ReadConfig())
    assert caught.value.hint == "say --encoding utf-16"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "UTF8"])
@pytest.mark.parametrize("kind", ["csv", "ndjson", "json", "python"])
def test_another_encoding_is_read_by_name(write, kind: InputFormat, encoding: str) -> None:
    source, rows = read_all(write(FORMATS[kind].decode().encode(encoding)), encoding=encoding)
    assert source.format == kind
    assert values(rows) == [review["text"] for review in REVIEWS]


def test_latin1_read_as_utf8_costs_only_the_lines_with_accents(write) -> None:
    _, rows = read_all(write("plain\ncafé\nplain too\n".encode("latin-1")))
    assert values(rows) == ["plain", "plain too"]
    assert reasons(rows) == ["invalid UTF-8"]


def test_what_another_encoding_cannot_decode_is_counted(write) -> None:
    _, rows = read_all(write(b"good\nbad \x81\ngood\n"), encoding="cp1252")
    assert (values(rows), reasons(rows)) == (["good", "good"], ["invalid UTF-8"])


@pytest.mark.parametrize("encoding", ["klingon", "base64", "utf-8\x00"])
def test_an_encoding_that_is_none_is_wrong_usage(write, encoding: str) -> None:
    with pytest.raises(UsageError, match="--encoding"):
        open_source(write(b"x\n"), ReadConfig(encoding=encoding))


# Files

RANDOM_LINES = b"".join(b'{"text": "%d"}\n' % random.Random(0).getrandbits(400) for _ in range(50))
RANDOM_LINES += b"".join(b'{"text": "%s"}\n' % random.Random(1).randbytes(20_000).hex().encode() for _ in range(3))


@pytest.mark.parametrize("content", [b"", b" \n\t\r\n ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", gzip.compress(b"")])
@pytest.mark.parametrize("name", ["a.csv", "a.json", "a"])
def test_an_empty_file_is_said_to_be_empty(write, content: bytes, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name} is empty"):
        open_source(write(content, name), ReadConfig())


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz", "zst"])
@pytest.mark.parametrize("cut", [0.2, 0.9, -1, -6])
def test_truncated_compressed_input_is_an_error_that_names_the_file(write, compression: str, cut: float) -> None:
    packed = COMPRESSIONS[compression](RANDOM_LINES)
    end = int(len(packed) * cut) if cut > 0 else int(cut)
    with pytest.raises(DataError, match=r"a\.json: the \w+ data ends too early"):
        read_all(write(packed[:end], "a.json"))


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_a_flipped_bit_in_compressed_input_is_an_error(write, compression: str) -> None:
    packed = bytearray(COMPRESSIONS[compression](RANDOM_LINES))
    packed[len(packed) // 2] ^= 4
    with pytest.raises(DataError, match=r"a\.json: the \w+ data"):
        read_all(write(bytes(packed), "a.json"))


def test_a_wrong_checksum_at_the_end_of_gzip_is_an_error(write) -> None:
    packed = bytearray(gzip.compress(b"one\ntwo\n"))
    packed[-6] ^= 1
    with pytest.raises(DataError, match="the gzip data is damaged"):
        read_all(write(bytes(packed)))


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz", "zst"])
def test_several_members_are_read_to_the_last(write, compression: str) -> None:
    pack = COMPRESSIONS[compression]
    assert values(read_all(write(pack(b"one\n") + pack(b"two\n")))[1]) == ["one", "two"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04" + bytes(100), "is an archive"),
        (bytes(257) + b"ustar\x0000" + bytes(300), "is an archive"),
        (random.Random(0).randbytes(10_000), "is not text"),
        ("wide without a mark\n".encode("utf-16-le"), "is not text"),
    ],
)
def test_what_is_not_text_is_refused(write, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(write(content), ReadConfig())


def test_a_path_that_leads_nowhere_is_input_not_found(tmp_path: Path, write) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    file = write(b"x")
    for path in ("missing.csv", "link", "input/below", "a" * 5000, "nul\x00", "https://host/key"):
        with pytest.raises(InputNotFoundError):
            open_source(str(tmp_path / path) if "://" not in path else path, ReadConfig())
    assert open_source(file, ReadConfig()).format == "text"


def test_a_folder_given_as_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        open_source(str(tmp_path), ReadConfig())


def test_a_file_that_may_not_be_read_is_an_error(monkeypatch, write) -> None:
    def refuse(path: str, mode: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    path = write(b"x\n")
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(StorageError, match=r"cannot read .*: Permission denied"):
        open_source(path, ReadConfig())


def test_a_disk_error_in_the_middle_is_an_error(write) -> None:
    source = open_source(write(b"word\n" * 200_000), ReadConfig())

    class Failing:
        def read1(self, size: int) -> bytes:
            raise OSError(5, "Input/output error")

        def close(self) -> None:
            pass

    rows = source.rows()
    next(rows)
    source._file._stream = Failing()  # type: ignore[assignment]
    with pytest.raises(StorageError, match="Input/output error"):
        list(rows)


def test_records_are_read_once(write) -> None:
    source, _ = read_all(write(b"x\n"))
    with pytest.raises(AssertionError, match="open it again"):
        list(source.rows())


def test_reading_to_the_end_closes_the_file(write) -> None:
    source, _ = read_all(write(b"x\n"))
    assert source._file.closed


@settings(derandomize=True, max_examples=60, deadline=None)
@given(content=st.binary(max_size=200), name=st.sampled_from(["a.csv", "a.json", "a.txt", "a", "a.tsv"]))
def test_no_input_brings_anything_but_our_errors(tmp_path_factory, content: bytes, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    try:
        _, rows = read_all(str(path))
    except SentneuronError:
        return
    assert all(isinstance(row, Row | BadRow) for row in rows)


JSON_LINES = st.one_of(
    st.builds(lambda text: json.dumps({"text": text}).encode(), st.text()),
    st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")),
)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.lists(JSON_LINES, min_size=1, max_size=20))
def test_every_line_comes_out_as_a_record_or_as_a_bad_one(tmp_path_factory, content: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.json"
    # The long first line keeps the rest from making the file look binary.
    path.write_bytes(b'{"text": "%s"}\n' % (b"x" * 20_000) + b"".join(line + b"\n" for line in content))
    _, rows = read_all(str(path), format="ndjson")
    assert [row.place.line for row in rows] == list(range(1, len(content) + 2))


# Paths


def test_folders_globs_and_files_are_expanded_sorted_and_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "d/b.json",
        "d/a.csv.gz",
        "d/deep/part-0000",
        "d/README.md",
        "d/.hidden.csv",
        "d/_SUCCESS",
        "d/.x/a.csv",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("x")
    folder = ["d/a.csv.gz", "d/b.json", "d/deep/part-0000"]
    assert expand_inputs(["d"]) == folder
    assert expand_inputs(["d/*.json", "d/b.json", "./d/b.json"]) == ["d/b.json"]
    assert expand_inputs(["d/**/part-*"]) == ["d/deep/part-0000"]
    assert expand_inputs(["-"]) == ["-"]
    assert expand_inputs(["d/README.md", "-"]) == ["-", "d/README.md"]
    Path("d/[odd].csv").write_text("x")
    assert expand_inputs(["d/[odd].csv"]) == ["d/[odd].csv"]


@pytest.mark.parametrize("given", ["missing.csv", "*.csv", "empty", "broken/link"])
def test_inputs_that_name_nothing_are_not_found(tmp_path: Path, monkeypatch, given: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    with pytest.raises(InputNotFoundError):
        expand_inputs([given])


def test_the_public_names_are_there() -> None:
    assert set(readers.__all__) <= set(vars(readers))
