"""Readers of CSV, TSV and Parquet: fields, places, rows; malformed tables are in test_malformed_tables."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.core.config import ReadConfig
from sentneuron.core.data import tables
from sentneuron.core.data.readers import BadRow, Place, Row, open_source
from sentneuron.core.errors import DataError


def texts(rows):
    return [row.fields["text"] for row in rows if isinstance(row, Row)]


def reasons(rows):
    return [row.reason for row in rows if isinstance(row, BadRow)]


def parquet(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def test_a_cell_stays_the_string_that_it_is(read):
    cells = ["NA", "null", "None", "nan", "", "007", "1e5", "True", " x ", "2020-01-01", "=1+1", "\\n", "\x00"]
    assert texts(read(("text,label\n" + "".join(f"{cell},0\n" for cell in cells)).encode())[1]) == cells


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quoted_newline_is_left_as_it_is(read, end):
    _, rows = read(f'text,label{end}"one{end}two",1{end}three,0'.encode())
    assert texts(rows) == [f"one{end}two", "three"]
    assert [row.place.line for row in rows] == [2, 4]
    assert [row.place.byte_offset for row in rows] == [10 + len(end), 20 + 3 * len(end)]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_semicolon_or_a_tab_is_found_in_the_header(read, delimiter):
    source, rows = read(f'"a, b"{delimiter}text\n1{delimiter}x, y\n'.encode())
    assert source.columns == ["a, b", "text"]
    assert texts(rows) == ["x, y"]


def test_a_bad_record_of_a_table_has_its_place_and_the_next_one_is_read(read):
    _, rows = read(b'text,label\nok,1\nthree,1,2\none\n\n"x"y,1\n\xff,1\n"\xe9\n",1\nok,0\n')
    assert texts(rows) == ["ok", "ok"]
    expected = ["wrong number of fields", "wrong number of fields", "blank", "misplaced quote"]
    assert reasons(rows) == [*expected, "invalid UTF-8", "invalid UTF-8"]
    assert [row.place.line for row in rows] == [2, 3, 4, 5, 6, 7, 8, 10]


def test_an_open_quote_in_a_long_file_is_found_before_it_fills_memory(read, monkeypatch):
    monkeypatch.setattr(tables, "MAX_FIELD_CHARACTERS", 10_000)
    with pytest.raises(DataError, match="a quote is opened and not closed"):
        read(b'text,label\n"open,1\n' + b"word,0\n" * 10_000)
    _, rows = read(b"text,label\n" + b"x" * 20_000 + b",1\nok,1\n")
    assert (texts(rows), reasons(rows)) == (["ok"], ["field longer than 16 million characters"])


def test_a_table_with_only_a_header_has_columns_and_no_rows(read):
    source, rows = read(b"text,label")
    assert (source.columns, rows) == (["text", "label"], [])


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()),
        pa.dictionary(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_text_columns_of_every_kind_read_as_strings(read, kind):
    values = ["one", "zwei é", None]
    encoded = [value and value.encode() for value in values] if "binary" in str(kind) else values
    assert texts(read(parquet(pa.table({"text": pa.array(encoded, kind)})), "in")[1]) == values


def test_parquet_is_read_over_row_groups_with_row_numbers(tmp_path):
    values = [str(number) for number in range(2500)]
    (tmp_path / "a.parquet").write_bytes(parquet(pa.table({"text": values}), row_group_size=1100))
    source = open_source(str(tmp_path / "a.parquet"), ReadConfig())
    rows = iter(source.rows())
    first = next(rows)
    assert 0 <= source.bytes_read < 100
    rest = list(rows)
    assert texts([first, *rest]) == values
    assert rest[-1].place == Place(source.name, 2500, None)
    assert source.bytes_read == source.num_bytes


def test_binary_that_is_no_text_stays_bytes(read):
    assert texts(read(parquet(pa.table({"text": [b"\xff", b"a"]})), "in")[1]) == [b"\xff", "a"]
