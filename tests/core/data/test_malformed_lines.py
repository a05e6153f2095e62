"""Every malformed line of RELIABILITY's list: kept with what it says, or skipped with one reason and its place."""

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentneuron.cli import main
from sentneuron.core.config import ReadConfig, ShardConfig
from sentneuron.core.data.fields import label_of, text_of
from sentneuron.core.data.lines import MAX_LINE_BYTES, TOO_LONG
from sentneuron.core.data.readers import BadRow, open_source
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError

RULE = TextRule()
GOOD = b'{"text": "good", "label": 1}'
DEEP = 100_000

# What is no record, by the reason that it is counted under.
SKIPPED = {
    "truncated object": (b'{"text": "cut off in the mid', "not JSON"),
    "truncated after the text": (b'{"text": "cut", "label"', "not JSON"),
    "not JSON": (b"<html>503 Service Unavailable</html>", "not JSON"),
    "invalid escape": (b'{"text": "bad \\x escape"}', "not JSON"),
    "blank": (b"", "blank"),
    "blank with carriage return": (b"\r", "blank"),
    "only white space": (b" \t ", "blank"),
    "array": (b'["not", "an object"]', "not an object"),
    "empty array": (b"[]", "not an object"),
    "number": (b"12", "not an object"),
    "string": (b'"text"', "not an object"),
    "null": (b"null", "not an object"),
    "true": (b"true", "not an object"),
    "null text": (b'{"text": null, "label": 1}', "no text"),
    "missing field": (b'{"label": 1}', "no text"),
    "empty object": (b"{}", "no text"),
    "text is a number": (b'{"text": 12345}', "text is not a string"),
    "text is true": (b'{"text": true}', "text is not a string"),
    "text is NaN": (b'{"text": NaN}', "text is not a string"),
    "text is 1e400": (b'{"text": 1e400}', "text is not a string"),
    "text is an object": (b'{"text": {"a": "b"}}', "text is not a string"),
    "text is an array": (b'{"text": ["a"]}', "text is not a string"),
    "invalid UTF-8": (b'{"text": "\xff\xfe broken"}', "invalid UTF-8"),
    "overlong UTF-8": (b'{"text": "\xc0\xaf"}', "invalid UTF-8"),
    "surrogate in UTF-8": (b'{"text": "\xed\xa0\x80"}', "invalid UTF-8"),
    "cut in the middle of a character": (b'{"text": "caf\xc3', "invalid UTF-8"),
    "NUL": (b'{"text": "a\x00b"}', "not JSON"),
    "NUL alone": (b"\x00", "not JSON"),
    "raw control character": (b'{"text": "a\x01b"}', "not JSON"),
    "raw tab": (b'{"text": "a\tb"}', "not JSON"),
    "Python literal": (b"{'text': 'x', 'label': None}", "not JSON"),
    "Python constants": (b'{"text": "x", "label": None}', "not JSON"),
    "two objects": (b'{"text": "x"}{"text": "y"}', "not JSON"),
    "two objects apart": (b'{"text": "x"} {"text": "y"}', "not JSON"),
    "trailing comma": (b'{"text": "x",}', "not JSON"),
    "comma behind": (b'{"text": "x"},', "not JSON"),
    "single quotes inside": (b"{\"text\": 'x'}", "not JSON"),
    "deep nesting": (b'{"text": ' + b"[" * DEEP + b"]" * DEEP + b"}", "not JSON"),
    "deep nesting, open": (b"[" * DEEP, "not JSON"),
    "5,000-digit integer": (b'{"text": ' + b"9" * 5000 + b"}", "not JSON"),
    "BOM in the middle of a file": (b'\xef\xbb\xbf{"text": "x"}', "not JSON"),
    "text that is empty": (b'{"text": ""}', "empty"),
    "text of white space": ('{"text": " \\n\\t\u00a0 "}'.encode(), "empty"),
    "text of tags": (b'{"text": "<br /><br/>"}', "empty"),
    "text of escaped tags": (b'{"text": "&lt;br&gt;&amp;nbsp;"}', "empty"),
    "text of emoji": ('{"text": "\U0001f600\U0001f44d"}'.encode(), "empty"),
    "text of half a surrogate pair": (b'{"text": "\\ud83d"}', "empty"),
    "text of NUL": (b'{"text": "\\u0000"}', "empty"),
    "a line longer than any": (b'{"text": "' + b"x" * MAX_LINE_BYTES + b'"}', TOO_LONG),
}
WITHOUT_TEXT = {"blank", "no text", "empty"}

# What looks odd and is a record all the same: its clean text and its label.
KEPT = {
    "half a surrogate pair in a text": (b'{"text": "half \\ud83d pair", "label": 0}', "half pair", "0"),
    "escaped surrogate pair": (b'{"text": "smile \\ud83d\\ude00 on", "label": 0}', "smile on", "0"),
    "escaped controls": (b'{"text": "a\\u0000b\\u0001c\\u0085d", "label": 0}', "a b c d", "0"),
    "NaN rating": (b'{"text": "x", "label": NaN}', "x", None),
    "infinite rating": (b'{"text": "x", "label": -Infinity}', "x", None),
    "rating 1e400": (b'{"text": "x", "label": 1e400}', "x", None),
    "rating of 5,000 nines in quotes": (b'{"text": "x", "label": "' + b"9" * 5000 + b'"}', "x", None),
    "rating in quotes": (b'{"text": "x", "label": "5.0"}', "x", "5"),
    "rating as float": (b'{"text": "x", "label": 5.0}', "x", "5"),
    "rating missing": (b'{"text": "x"}', "x", None),
    "rating null": (b'{"text": "x", "label": null}', "x", None),
    "rating true": (b'{"text": "x", "label": true}', "x", "true"),
    "rating with half a surrogate pair": (b'{"text": "x", "label": "a\\ud800"}', "x", "a?"),
    "NaN in another field": (b'{"price": NaN, "text": "x", "label": 0}', "x", "0"),
    "duplicate keys": (b'{"text": "first", "label": 0, "text": "last"}', "last", "0"),
    "CRLF": (b'{"text": "x", "label": 0}\r', "x", "0"),
    "space around": (b' \t{"text": " x ", "label": 0} \t', "x", "0"),
    "a line of 3 MB": (b'{"label": 0, "text": "' + b"x" * 3_000_000 + b'"}', "x" * 3_000_000, "0"),
    "escaped keys": (b'{"\\u0074ext": "x", "label": 0}', "x", "0"),
    "line separators inside": ('{"text": "a\u2028b\u0085c\x7fd", "label": 0}'.encode(), "a b c d", "0"),
    "text of digits": (b'{"text": "007", "label": 0}', "007", "0"),
    "text that is NA": (b'{"text": "NA", "label": "NA"}', "NA", "NA"),
}


def shard(tmp_path, content, **options):
    """Shard the bytes of one file; return the report, what was refused, and (text, label) of what was kept."""
    options = {"read": ReadConfig(format="ndjson"), "max_bad": 1.0, **options}
    source = tmp_path / "in.json"
    source.write_bytes(content)
    config = ShardConfig(inputs=(str(source),), output=tmp_path / "out", shards=1, split=(1,), workers=1, **options)
    report = write_shards(config)
    rejects = [json.loads(line) for line in (tmp_path / "out/rejects.ndjson").read_text().splitlines()]
    table = pq.read_table(tmp_path / "out/train/00000.parquet")
    texts = [text.decode()[2:-1] for text in table["text"].to_pylist()]
    assert report.num_read == report.num_kept + sum(report.skipped.values())
    return report, rejects, sorted(zip(texts, table["label"].to_pylist(), strict=True), key=repr)


@pytest.mark.parametrize(("line", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_a_malformed_line_is_counted_under_its_reason_and_place_and_its_neighbours_are_kept(tmp_path, line, reason):
    report, rejects, kept = shard(tmp_path, GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    assert report.skipped == {reason: 1}
    (reject,) = rejects
    assert (reject["line"], reject["byte_offset"], reject["reason"]) == (2, len(GOOD) + 1, reason)
    assert kept == [("good", "1")] * 2


@pytest.mark.parametrize(("line", "text", "label"), KEPT.values(), ids=KEPT)
def test_an_odd_line_that_is_a_record_is_kept(tmp_path, line, text, label):
    report, _, kept = shard(tmp_path, GOOD + b"\n" + line + b"\n" + GOOD)
    assert report.skipped == {}
    assert sorted([("good", "1"), ("good", "1"), (text, label)], key=repr) == kept


def test_all_malformed_lines_together_are_counted_by_reason_and_nothing_is_lost(tmp_path):
    lines = [line for line, *_ in [*SKIPPED.values(), *KEPT.values()]]
    report, rejects, kept = shard(tmp_path, b"\n".join(lines))
    assert report.num_read == len(lines)
    assert report.skipped == dict(sorted(Counter(reason for _, reason in SKIPPED.values()).items()))
    assert [reject["line"] for reject in rejects] == list(range(1, len(SKIPPED) + 1))
    content = (tmp_path / "in.json").read_bytes()
    assert all(content.startswith(line, reject["byte_offset"]) for line, reject in zip(lines, rejects, strict=False))
    assert kept == sorted(((text, label) for _, text, label in KEPT.values()), key=repr)


def test_reading_records_one_by_one_refuses_what_sharding_refuses_and_names_the_same_places(tmp_path):
    path = tmp_path / "in.json"
    path.write_bytes(b"\n".join(line for line, *_ in [*SKIPPED.values(), *KEPT.values()]))
    found, places = [], []
    for row in open_source(str(path), ReadConfig(format="ndjson")).rows():
        places.append((row.place.line, row.place.byte_offset))
        if isinstance(row, BadRow):
            found.append(row.reason)
        else:
            text, reason = text_of(row.fields, "text")
            body = RULE.body(text)
            found.append(reason or ((body, label_of(row.fields, ["label"])) if body else "empty"))
    assert found == [reason for _, reason in SKIPPED.values()] + [(text, label) for _, text, label in KEPT.values()]
    _, rejects, _ = shard(tmp_path, path.read_bytes())
    assert [(reject["line"], reject["byte_offset"]) for reject in rejects] == places[: len(SKIPPED)]


@pytest.mark.parametrize("value", [b'"\xff"', b"9" * 5000, b"NaN", b'"\\ud800"', b"1e400", b"[" * 500 + b"]" * 500])
def test_a_fault_in_a_field_that_is_not_wanted_costs_no_record(tmp_path, value):
    report, _, kept = shard(tmp_path, GOOD + b'\n{"summary": ' + value + b', "text": "x", "label": 0}\n')
    assert (report.skipped, kept) == ({}, [("good", "1"), ("x", "0")])


@pytest.mark.parametrize(("line", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_with_on_error_fail_a_malformed_line_ends_the_run_and_one_without_text_does_not(tmp_path, line, reason):
    content = GOOD + b"\n" + line + b"\n"
    if reason in WITHOUT_TEXT:
        assert shard(tmp_path, content, on_error="fail", max_bad=0.0)[0].num_kept == 1
    else:
        with pytest.raises(DataError, match=rf"in\.json, line 2: {reason}"):
            shard(tmp_path, content, on_error="fail")
        assert [path.name for path in tmp_path.iterdir()] == ["in.json"]


def test_one_malformed_line_in_a_hundred_is_allowed_and_two_are_not(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["shard", "in.json", "--shards", "1", "--split", "1"]
    good = [b'{"text": "good %d"}' % number for number in range(97)]
    (tmp_path / "in.json").write_bytes(b"\n".join([*good, b"{", b"[]", b""]) + b"\n")
    assert main([*command]) == 65
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "2 of 100 records are malformed (2.00%, more than 0.01 of all), most often: not JSON" in line
    assert "first at in.json, line 98" in line
    assert [path.name for path in tmp_path.iterdir()] == ["in.json"]

    (tmp_path / "in.json").write_bytes(b"\n".join([*good, b"{", b"null text", b'{"text": null}']) + b"\n")
    assert main([*command, "--max-bad", "2%"]) == 0
    assert main([*command, "--max-bad", "1.9%", "--force"]) == 65
    (tmp_path / "in.json").write_bytes(b"\n".join([*good, b"{", b"", b'{"text": null}']) + b"\n")
    assert main([*command, "--force"]) == 0


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_neither_a_byte_order_mark_nor_the_end_of_the_file_costs_a_record(tmp_path, mark, end):
    report, _, kept = shard(tmp_path, mark + GOOD + b"\r\n" + GOOD + end)
    assert kept == [("good", "1")] * 2
    assert report.skipped == ({"blank": 1} if end == b"\n\n" else {})


PYTHON = {
    "truncated": (b"{'text': 'cut off", "not a Python literal"),
    "call": (b"{'text': open('x')}", "not a Python literal"),
    "name": (b"{'text': text}", "not a Python literal"),
    "formatted string": (b"{'text': f'{1}'}", "not a Python literal"),
    "deep nesting": (b"{'text': " + b"(" * 5000 + b"}", "not a Python literal"),
    "5,000-digit integer": (b"{'text': " + b"9" * 5000 + b"}", "not a Python literal"),
    "NUL": (b"{'text': 'a\x00b'}", "not a Python literal"),
    "two records": (b"{'text': 'x'}{'text': 'y'}", "not a Python literal"),
    "set": (b"{'text'}", "not an object"),
    "keys that are no strings": (b"{1: 'x'}", "not an object"),
    "list": (b"['x']", "not an object"),
    "invalid UTF-8": (b"{'text': '\xff'}", "invalid UTF-8"),
    "blank": (b"", "blank"),
    "None": (b"{'text': None}", "no text"),
    "bytes": (b"{'text': b'x'}", "text is not a string"),
    "number": (b"{'text': 1e400}", "text is not a string"),
    "empty": (b"{'text': ''}", "empty"),
}


@pytest.mark.parametrize(("line", "reason"), PYTHON.values(), ids=PYTHON)
def test_a_malformed_line_of_python_is_counted_and_nothing_is_run(tmp_path, monkeypatch, line, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("read me")
    good = b"{'text': 'it\\'s \\d', 'label': 1,}"
    report, rejects, kept = shard(tmp_path, good + b"\n" + line + b"\n" + good, read=ReadConfig(format="python"))
    assert (report.skipped, kept) == ({reason: 1}, [("it's \\d", "1")] * 2)
    assert (rejects[0]["line"], rejects[0]["byte_offset"]) == (2, len(good) + 1)


TEXT = {
    "blank": (b" \t\x0b", "blank"),
    "invalid UTF-8": (b"caf\xe9", "invalid UTF-8"),
    "empty": ("\u00a0<p>\U0001f600".encode(), "empty"),
    "a line longer than any": (b"x" * (MAX_LINE_BYTES + 1), TOO_LONG),
}


@pytest.mark.parametrize(("line", "reason"), TEXT.values(), ids=TEXT)
def test_a_malformed_line_of_plain_text_is_counted(tmp_path, line, reason):
    report, rejects, kept = shard(tmp_path, b"good\r\n" + line + b"\nlast", read=ReadConfig(format="text"))
    assert (report.skipped, kept) == ({reason: 1}, [("good", None), ("last", None)])
    assert (rejects[0]["line"], rejects[0]["byte_offset"]) == (2, 6)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=12))
def test_no_line_brings_anything_but_a_record_or_a_reason(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("lines")
    # Among many bytes of text a few others do not make a file look binary.
    padding = [GOOD + b" " * 3000]
    report, rejects, _ = shard(folder, b"".join(line + b"\n" for line in padding + lines))
    assert report.num_read == len(lines) + 1
    assert [reject["line"] for reject in rejects] == sorted({reject["line"] for reject in rejects})
