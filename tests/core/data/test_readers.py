"""Sources: every format, compression and encoding, found by content; files that are damaged; and paths."""

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
from sentneuron.core.data import readers
from sentneuron.core.data.readers import BadRow, Row, Source, expand_inputs, open_source
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


@pytest.mark.slow
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


def test_a_format_that_is_named_is_taken(write) -> None:
    source, rows = read_all(write(FORMATS["ndjson"]), format="text")
    assert source.format == "text"
    assert values(rows) == FORMATS["ndjson"].decode().splitlines()


# Encodings


def test_utf8_with_a_byte_order_mark_is_read(write) -> None:
    for kind in ("csv", "ndjson", "json", "python"):
        source, rows = read_all(write(b"\xef\xbb\xbf" + FORMATS[kind]))
        assert (source.format, source.columns) == (kind, ["text", "label"])
        offset = rows[0].place.byte_offset
        assert offset is not None
        assert offset >= 3


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "UTF8"])
@pytest.mark.parametrize("kind", ["csv", "ndjson", "json", "python"])
def test_another_encoding_is_read_by_name(write, kind: InputFormat, encoding: str) -> None:
    source, rows = read_all(write(FORMATS[kind].decode().encode(encoding)), encoding=encoding)
    assert source.format == kind
    assert values(rows) == [review["text"] for review in REVIEWS]


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


@pytest.mark.parametrize(
    "content", [b"", b" \n\t\r\n ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", gzip.compress(b"", mtime=0)]
)
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


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz", "zst"])
def test_several_members_are_read_to_the_last(write, compression: str) -> None:
    pack = COMPRESSIONS[compression]
    assert values(read_all(write(pack(b"one\n") + pack(b"two\n")))[1]) == ["one", "two"]


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


def test_a_disk_error_in_the_middle_is_an_error(write, monkeypatch) -> None:
    source = open_source(write(b"word\n" * 200_000), ReadConfig())

    def fail(buffer: object) -> int:
        raise OSError(5, "Input/output error")

    rows = source.rows()
    next(rows)
    monkeypatch.setattr(source._file, "_readinto", fail)
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
