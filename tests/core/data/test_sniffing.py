"""The format of a file by its first bytes, and what is refused by them."""

import gzip
import random

import pytest

from sentneuron.core.config import ReadConfig
from sentneuron.core.data.readers import open_source
from sentneuron.core.data.sniffing import check_is_text, find_delimiter
from sentneuron.core.errors import DataError


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
        ("a.JSON.GZ", gzip.compress(b"not json\n", mtime=0), "ndjson"),
    ],
)
def test_the_format_of(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with open_source(str(tmp_path / name), ReadConfig()) as source:
        assert source.format == expected


@pytest.mark.parametrize(
    ("header", "default", "expected"),
    [
        ("text,label", ",", ","),
        ("text;label", ",", ";"),
        ("text\tlabel", ",", "\t"),
        ('"a, b, c";text', ",", ";"),
        ("text", ",", ","),
        ("text", "\t", "\t"),
        ("a,b;c", "\t", ","),
    ],
)
def test_the_delimiter_of_a_header_is_what_cuts_it_into_most_fields(header, default, expected):
    assert find_delimiter(header, default=default) == expected


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"PK\x03\x04" + bytes(100), "is an archive"),
        (b"PK\x05\x06" + bytes(18), "is an archive"),
        (b"Rar!\x1a\x07\x00", "is an archive"),
        (bytes(257) + b"ustar\x0000" + bytes(300), "is an archive"),
        ("wide".encode("utf-16"), "is UTF-16 text"),
        ("wide without a mark\n".encode("utf-16-le"), "is not text"),
        (random.Random(0).randbytes(10_000), "is not text"),
    ],
)
def test_what_is_not_text_is_refused(head, message):
    with pytest.raises(DataError, match=f"x {message}"):
        check_is_text(head, "x")


def test_a_broken_line_among_many_does_not_make_a_file_binary():
    check_is_text(b"text\n" * 100 + b"\x00\x01\x02" * 8, "x")
