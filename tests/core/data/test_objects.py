"""Readers of lines and JSON arrays: fields, places, bounds; malformed lines are in test_malformed_lines."""

import json

import pytest

from sentneuron.core.data import lines
from sentneuron.core.data.lines import TOO_LONG
from sentneuron.core.data.readers import BadRow, Place, Row
from sentneuron.core.errors import DataError


def texts(rows):
    return [row.fields["text"] for row in rows if isinstance(row, Row)]


def reasons(rows):
    return [row.reason for row in rows if isinstance(row, BadRow)]


def test_a_line_without_end_is_skipped_in_bounded_memory(read, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    for exactly in (b"x" * 99, b"x" * 100):
        assert texts(read(exactly + b"\nok\n", "a.txt")[1]) == [exactly.decode(), "ok"]
    source, rows = read(b"x" * 5_000_000 + b"\nok\n" + b"y" * 200, "a.txt")
    assert texts(rows) == ["ok"]
    assert reasons(rows) == [TOO_LONG] * 2
    assert [row.place for row in rows] == [
        Place(source.name, line, offset) for line, offset in ((1, 0), (2, 5_000_001), (3, 5_000_004))
    ]
    _, rows = read(b"text,label\n" + b"x" * 500 + b",1\nok,1\n", "a.csv")
    assert (texts(rows), reasons(rows)) == (["ok"], [TOO_LONG])


def test_plain_text_is_one_text_a_line(read):
    source, rows = read("one\r\n\n  two \u2028 still two\x0cstill\nlast".encode(), "a.txt")
    assert source.columns == ["text"]
    assert texts(rows) == ["one", "  two \u2028 still two\x0cstill", "last"]
    assert reasons(rows) == ["blank"]


def test_the_columns_of_objects_are_the_union_of_the_first_records(read):
    source, rows = read(b'{"a": 1}\n{"b": 1, "a": 2}\nbad\n' + b'{"a": 1}\n' * 200 + b'{"late": 1}\n')
    assert source.columns == ["a", "b"]
    assert len(rows) == 204


@pytest.mark.parametrize("block", [1, 7, 64])
def test_an_array_reads_the_same_wherever_blocks_are_cut(read, monkeypatch, block):
    monkeypatch.setattr("sentneuron.core.data.objects.ARRAY_BLOCK_BYTES", block)
    records = [
        {"text": 'é "x" \n \U0001f600', "n": [1.5e10, True, None, {"a": -12}]},
        {"text": "\\"},
        {},
        {"text": "x" * 99},
    ]
    content = json.dumps(records, indent=1).replace("\\ud83d\\ude00", "\U0001f600").encode()
    _, rows = read(content)
    assert [row.fields for row in rows if isinstance(row, Row)] == records
    for row in rows:
        assert content[row.place.byte_offset :].startswith(b"{")
        assert row.place.line == content[: row.place.byte_offset].count(b"\n") + 1


def test_an_element_that_is_no_object_is_skipped(read):
    _, rows = read(b'[{"text": "a"}, 12, "x", null, [1], {"text": "\xff"}, {"text": "b"}]')
    assert texts(rows) == ["a", "b"]
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
def test_a_broken_array_is_an_error_that_says_where(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content, "a.json")
