"""Every malformed file of RELIABILITY's list: read for what it holds, or one line and an exit code, and no output."""

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import threading
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.cli import main
from sentneuron.core.config import ShardConfig
from sentneuron.core.data.lines import MAX_LINE_BYTES
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.errors import StorageError

LINES = b"".join(
    b'{"text": "review %d: %x", "label": %d}\n' % (i, random.Random(i).getrandbits(900), i % 2) for i in range(300)
)
LATIN = "text,label\ncafé,1\nplain,0\nplain too,1\n".encode("latin-1")
GZIP = gzip.compress(LINES, mtime=0)


def flipped(content: bytes, position: int) -> bytes:
    """Change one bit."""
    return content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :]


def archive(kind: str) -> bytes:
    sink = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(sink, "w") as file:
            file.writestr("in.json", LINES)
    else:
        with tarfile.open(fileobj=sink, mode=kind) as file:
            member = tarfile.TarInfo("in.json")
            member.size = len(LINES)
            file.addfile(member, io.BytesIO(LINES))
    return sink.getvalue()


# Name, content, and how the one line of the error begins.
REFUSED = {
    "empty": ("in.json", b"", "in.json is empty"),
    "empty CSV": ("in.csv", b"", "in.csv is empty"),
    "white space": ("in.json", b" \r\n\t\n", "in.json is empty"),
    "byte order mark alone": ("in.csv", b"\xef\xbb\xbf", "in.csv is empty"),
    "empty gzip": ("in.json.gz", gzip.compress(b""), "in.json.gz is empty"),
    "blank lines past the head": (
        "in.json",
        (b" " * 99 + b"\n") * 700,
        "no documents in in.json: 700 records were read",
    ),
    "no usable record": (
        "in.json",
        b'{"text": ""}\n{"text": null}\n',
        "no documents in in.json: 2 records were read, 2",
    ),
    "no text column": ("in.json", b'{"words": "x"}\n', "in.json has no text column; its columns are words"),
    "array cut": ("in.json", b'[{"text": "a"},\n{"text": "b', "in.json:2: the JSON array"),
    "array broken": ("in.json", b'[{"text": "a"}\n{"text": "b"}]', "in.json:2: the JSON array is broken"),
    "array empty": ("in.json", b"[]", "in.json has no text column"),
    "UTF-16": ("in.csv", "text\nx\n".encode("utf-16"), "in.csv is UTF-16 text; say --encoding utf-16"),
    "UTF-16 without a mark": ("in.csv", "text\nx y z\n".encode("utf-16-le"), "in.csv is not text in UTF-8"),
    "Latin-1": (
        "in.csv",
        LATIN,
        "1 of 3 records are malformed (33.33%, more than 0.01 of all), most often: invalid UTF-8",
    ),
    "Latin-1 header": ("in.csv", "text,größe\nx,1\n".encode("latin-1"), "in.csv: the header is not UTF-8"),
    "binary": ("in.json", random.Random(0).randbytes(9000), "in.json is not text in UTF-8"),
    "zip": ("in.json", archive("zip"), "in.json is an archive; unpack it"),
    "tar": ("in.json", archive("w"), "in.json is an archive; unpack it"),
    "tar in gzip": ("in.json.gz", archive("w:gz"), "in.json.gz is an archive; unpack it"),
    "tar in xz": ("in.tar.xz", archive("w:xz"), "in.tar.xz is an archive; unpack it"),
    "gzip cut in its header": ("in.json.gz", GZIP[:9], "in.json.gz: the gzip data ends too early"),
    "gzip truncated": ("in.json.gz", GZIP[: len(GZIP) // 2], "in.json.gz: the gzip data ends too early"),
    "gzip without trailer": ("in.json.gz", GZIP[:-8], "in.json.gz: the gzip data ends too early"),
    "gzip with half a trailer": ("in.json.gz", GZIP[:-4], "in.json.gz: the gzip data ends too early"),
    "gzip with a bad checksum": ("in.json.gz", flipped(GZIP, -8), "in.json.gz: the gzip data is damaged"),
    "gzip with a bad length": ("in.json.gz", flipped(GZIP, -1), "in.json.gz: the gzip data is damaged"),
    "gzip with a flipped bit": ("in.json.gz", flipped(GZIP, len(GZIP) // 2), "in.json.gz: the gzip data is damaged"),
    "gzip with garbage behind": ("in.json.gz", GZIP + b"garbage" * 9, "in.json.gz: the gzip data is damaged"),
    "gzip with a few bytes behind": ("in.json.gz", GZIP + b"x", "in.json.gz: the gzip data"),
    "second gzip member truncated": ("in.json.gz", GZIP + GZIP[:-9], "in.json.gz: the gzip data ends too early"),
    "bzip2 truncated": ("in.json.bz2", bz2.compress(LINES)[:-5], "in.json.bz2: the bzip2 data ends too early"),
    "xz with a flipped bit": ("in.json.xz", flipped(lzma.compress(LINES), 5000), "in.json.xz: the xz data is damaged"),
    "gzip bomb of one line": ("in.gz", gzip.compress(b"x" * (4 * MAX_LINE_BYTES)), "1 of 1 records are malformed"),
    "gzip in gzip": ("in.json.gz", gzip.compress(GZIP), "in.json.gz is not text in UTF-8"),
}

# Name, content, options, and how many documents there are in it.
READ = {
    "JSON array": ("in.json", b"[" + b",".join(LINES.splitlines()) + b"]", 300),
    "gzip named .json": ("in.json", GZIP, 300),
    "plain named .gz": ("in.json.gz", LINES, 300),
    "zstd named .gz": ("in.json.gz", pa.compress(LINES, codec="zstd", asbytes=True), 300),
    "several gzip members": ("in.json.gz", GZIP + gzip.compress(b"") + GZIP, 600),
    "gzip with zeros behind": ("in.json.gz", GZIP + bytes(512), 300),
    "line cut at the end": ("in.json", LINES[:-1], 300),
    "byte order mark": ("in.json", b"\xef\xbb\xbf" + LINES, 300),
    "CRLF": ("in.json", LINES.replace(b"\n", b"\r\n"), 300),
    "no extension": ("in", LINES, 300),
    "text named .json": ("in.txt", b"one\ntwo\n", 2),
    "JSON named .txt": ("in.txt", LINES, 300),
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def shard(*words: str) -> int:
    return main(["shard", *words, "-o", "out", "--shards", "1", "--split", "1", "--workers", "1"])


def documents() -> list[str]:
    table = pq.read_table("out/train/00000.parquet")
    return sorted(text.decode()[2:-1] for text in table["text"].to_pylist())


def error_of(capsys) -> str:
    """Return the only line of the error."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: ")


def check_refused(capsys, words: list[str], code: int, message: str) -> None:
    """Check exit code and message, and that nothing is there that was not there before."""
    before = sorted(os.listdir())
    assert shard(*words) == code
    assert error_of(capsys).startswith(message)
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(("name", "content", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_cannot_be_used_is_one_line_and_leaves_nothing(capsys, name, content, message):
    Path(name).write_bytes(content)
    check_refused(capsys, [name], 65, message)


@pytest.mark.parametrize(("name", "content", "num_documents"), READ.values(), ids=READ)
def test_an_odd_file_is_read_for_what_it_holds(name, content, num_documents):
    Path(name).write_bytes(content)
    assert shard(name) == 0
    assert len(documents()) == num_documents


@pytest.mark.parametrize(
    ("encoding", "content"),
    [("utf-16", "text\ncafé\n".encode("utf-16")), ("latin-1", "text\ncafé\n".encode("latin-1"))],
)
def test_another_encoding_is_read_once_it_is_named(encoding, content):
    Path("in.csv").write_bytes(content)
    assert shard("in.csv", "--encoding", encoding) == 0
    assert documents() == ["cafe"]


def test_accents_in_latin1_cost_their_lines_where_they_are_few():
    Path("in.csv").write_bytes(b"text\n" + b"plain\n" * 99 + b"caf\xe9\n")
    assert shard("in.csv") == 0
    assert documents() == ["plain"] * 99


# Paths


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.json"], "missing.json does not exist"),
        (["link.json"], "link.json does not exist"),
        (["*.csv"], "no file matches *.csv"),
        (["none"], "none holds no data files"),
        (["good.json/below"], "good.json/below does not exist"),
        (["good.json", "missing.json"], "missing.json does not exist"),
        (["a" * 5000], "a" * 5000),
    ],
)
def test_a_path_that_leads_nowhere_is_66(capsys, words, message):
    Path("link.json").symlink_to("gone.json")
    Path("none").mkdir()
    Path("good.json").write_bytes(LINES)
    check_refused(capsys, words, 66, message)


def test_a_file_that_may_not_be_read_is_74(capsys, monkeypatch):
    Path("in.json").write_bytes(LINES)
    real_open = open

    def refuse(path, *arguments, **options):
        if path == "in.json":
            raise PermissionError(13, "Permission denied", path)
        return real_open(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", refuse)
    check_refused(capsys, ["in.json"], 74, "cannot read in.json: Permission denied")


def test_a_folder_stands_for_its_files():
    Path("folder").mkdir()
    Path("folder/a.json").write_bytes(LINES)
    Path("folder/b.csv").write_bytes(b"text\none more\n")
    Path("folder/README.md").write_bytes(b"no data\n")
    assert shard("folder") == 0
    assert len(documents()) == 301


def test_the_same_file_twice_is_read_once():
    Path("in.json").write_bytes(LINES)
    Path("link.json").symlink_to("in.json")
    assert shard("in.json", "./in.json", "link.json", "*.json") == 0
    assert len(documents()) == 300


@pytest.mark.parametrize("content", [LINES, GZIP, b"text,label\nx,1\n" * 1])
def test_a_fifo_reads_like_a_file(content):
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_bytes, args=(content,))
    writer.start()
    assert shard("pipe") == 0
    writer.join()
    assert len(documents()) == (1 if b"text,label" in content else 300)


@pytest.fixture
def pipe_in(monkeypatch):
    """Give a function that feeds bytes to this process's stdin, through a pipe."""
    stdin_before = os.dup(0)
    writers = []

    def feed(content):
        reading, writing = os.pipe()
        os.dup2(reading, 0)
        os.close(reading)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False))))
        writers.append(threading.Thread(target=write_and_close, args=(writing, content)))
        writers[-1].start()

    def write_and_close(descriptor, content):
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    yield feed
    for writer in writers:
        writer.join()
    os.dup2(stdin_before, 0)
    os.close(stdin_before)


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
@pytest.mark.parametrize(("content", "num_documents"), [(LINES, 300), (GZIP, 300), (b"one\ntwo\n", 2)])
def test_stdin_reads_like_a_file(pipe_in, path, content, num_documents):
    pipe_in(content)
    assert shard(path) == 0
    assert len(documents()) == num_documents


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", " is empty"),
        (random.Random(0).randbytes(999), " is not text in UTF-8"),
        (GZIP[:-9], ": the gzip data ends"),
    ],
)
@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_stdin_that_is_empty_binary_or_cut_is_refused(pipe_in, capsys, path, content, message):
    pipe_in(content)
    check_refused(capsys, [path], 65, ("stdin" if path == "-" else path) + message)


@pytest.mark.parametrize("content", [LINES * 40, b"text\n" + (b"word " * 200 + b"\n") * 4000], ids=["lines", "CSV"])
def test_a_file_that_shrinks_while_it_is_read_is_an_error_and_not_a_smaller_data_set(tmp_path, content):
    Path("in").write_bytes(content)
    config = ShardConfig(inputs=("in",), output=tmp_path / "out", shards=1, split=(1,), workers=1, max_bad=1.0)
    with pytest.raises(StorageError, match="in became shorter while it was read"):
        write_shards(config, on_source=lambda columns: os.truncate("in", 1_000_000))
    assert os.listdir() == ["in"]
