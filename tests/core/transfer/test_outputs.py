import csv
import datetime
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.core.errors import DataError
from sentneuron.core.transfer.outputs import NpyWriter, open_rows

ADDED = {"prediction": pa.string(), "probability": pa.float32()}
HOSTILE = [
    "",
    " a ",
    'say "hi", ok',
    "two\nlines",
    "\r\n",
    "a\rb",
    "\r",
    "=1+1",
    "[/b]",
    "a\x00b\x1b[31m",
    "é 😀",
    "NA",
    "007",
]


def written(output_format, rows, *, columns=("text",), schema=None, lists=1):
    file = io.BytesIO()
    with open_rows(file, output_format, columns, ADDED, schema) as writer:
        for part in range(lists):
            writer.write(rows[part::lists])
    assert not file.closed
    return file.getvalue()


def rows_of(texts):
    return [{"text": text, "prediction": "1", "probability": 0.25} for text in texts]


def test_csv_gives_back_every_text_as_it_was():
    content = written("csv", rows_of(HOSTILE)).decode()
    read = list(csv.DictReader(io.StringIO(content, newline="")))
    assert [row["text"] for row in read] == HOSTILE
    assert {row["probability"] for row in read} == {"0.25"}


def test_cells_that_a_spreadsheet_would_run_are_led_by_an_apostrophe_where_asked():
    formulas = ["=1+1", "+49 30 1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "-", "=", "-x", "+1e"]
    plain = ["", "a", " =1", "'=1", "-2", "+2.5e-3", "-.5", "007", "a=b", "-1.", "1-2"]
    file = io.BytesIO()
    with open_rows(file, "csv", ["text", "=n"], ADDED, None, excel_safe=True) as writer:
        rows = [{"text": text, "=n": -1.5, "prediction": "-x", "probability": -0.25} for text in formulas + plain]
        writer.write(rows)
    header, *read = csv.reader(io.StringIO(file.getvalue().decode(), newline=""))
    assert header == ["text", "'=n", "prediction", "probability"]
    assert [row[0] for row in read] == ["'" + text for text in formulas] + plain
    assert {tuple(row[1:]) for row in read} == {("-1.5", "'-x", "-0.25")}
    assert [row["text"] for row in rows] == formulas + plain, "the rows themselves are not touched"


def test_jsonl_gives_back_every_value_as_it_was():
    rows = [{"text": text, "n": 1.5, "deep": {"a": [1, None]}} for text in HOSTILE]
    assert [json.loads(line) for line in written("jsonl", rows).decode().splitlines()] == rows


def test_half_a_surrogate_pair_is_written_as_its_escape():
    rows = rows_of(["bad \ud800 half"])
    assert json.loads(written("jsonl", rows).decode())["text"] == "bad \ud800 half"
    assert "bad \\ud800 half" in written("csv", rows).decode()
    deep = [row | {"n\udc00": [{"\ud800": "\ud800"}]} for row in rows]
    table = pq.read_table(io.BytesIO(written("parquet", deep, columns=["text", "n\udc00"])))
    assert table.column_names == ["text", "n\\udc00", *ADDED]
    assert table["text"].to_pylist() == ["bad \\ud800 half"]
    assert table["n\\udc00"].to_pylist() == [[{"\\ud800": "\\ud800"}]]


def test_csv_spells_what_is_no_text_as_json_and_null_as_nothing():
    columns = ["text", "a", "b", "c", "d", "e"]
    row = {"text": "x", "a": True, "b": [1, "é"], "c": None, "d": 2.0, "e": datetime.date(2026, 11, 2)}
    content = written("csv", [row | {"prediction": None, "probability": None}], columns=columns).decode()
    assert list(csv.reader(io.StringIO(content)))[1] == ["x", "true", '[1, "é"]', "", "2.0", "2026-11-02", "", ""]


def test_parquet_keeps_the_inputs_types():
    schema = pa.schema([("text", pa.large_string()), ("when", pa.timestamp("ms")), ("n", pa.int8())])
    rows = [{"text": text, "when": datetime.datetime(2026, 1, 2), "n": 3} | ROW_RESULT for text in HOSTILE]
    table = pq.read_table(
        io.BytesIO(written("parquet", rows, columns=schema.names, schema=schema, lists=2)),
        page_checksum_verification=True,
    )
    assert table.schema.types == [*schema.types, pa.string(), pa.float32()]
    assert sorted(table["text"].to_pylist()) == sorted(HOSTILE)


ROW_RESULT = {"prediction": "1", "probability": 0.5}


def test_parquet_without_a_schema_takes_the_first_rows_types():
    rows = [{"text": "a", "n": 1} | ROW_RESULT, {"text": "b", "n": None} | dict.fromkeys(ROW_RESULT)]
    table = pq.read_table(io.BytesIO(written("parquet", rows, columns=["text", "n"], lists=2)))
    assert table.to_pylist() == [rows[0], rows[1]]
    with pytest.raises(DataError, match="differ in type"):
        written("parquet", [rows[0], {"text": "b", "n": "one"} | ROW_RESULT], columns=["text", "n"], lists=2)


def test_no_rows_still_make_a_whole_file():
    assert written("csv", [], lists=0).decode() == "text,prediction,probability\n"
    assert pq.read_table(io.BytesIO(written("parquet", [], lists=0))).column_names == ["text", *ADDED]


@pytest.mark.parametrize("output_format", ["csv", "parquet"])
def test_a_field_without_a_column_is_never_dropped_in_silence(output_format):
    with pytest.raises(DataError, match="the field 'late'"):
        written(output_format, [*rows_of(["a"]), {"text": "b", "late": 1} | ROW_RESULT], lists=2)


@pytest.mark.parametrize("num_columns", [1, 3])
def test_npy_takes_any_number_of_rows_as_they_come(num_columns):
    file = io.BytesIO()
    writer = NpyWriter(file, num_columns)
    values = np.random.default_rng(0).random((1234, num_columns)).astype(np.float32)
    values[7] = np.nan
    for part in np.array_split(values, 5):
        writer.write(part)
    writer.close()
    found = np.load(io.BytesIO(file.getvalue()))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values[:, 0] if num_columns == 1 else values)


def test_npy_of_no_rows_is_empty():
    file = io.BytesIO()
    NpyWriter(file, 1).close()
    assert np.load(io.BytesIO(file.getvalue())).shape == (0,)
