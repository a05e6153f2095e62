"""Compressed input through either gzip library; damage in other compressions is in test_readers."""

import gzip
import io
import random
import resource
import subprocess
import sys
import zlib

import pytest
from isal.igzip import IGzipFile
from isal.isal_zlib import error as IsalError

from sentneuron.core.data import compression
from sentneuron.core.data.compression import CountedInput, open_bytes
from sentneuron.core.errors import DataError

TEXT = b"".join(f"line {number} of {number * number}\n".encode() for number in range(20_000))
FILE = gzip.compress(TEXT, mtime=0)
STORED = gzip.compress(random.Random(0).randbytes(2000), compresslevel=0, mtime=0)


def flipped(content: bytes, position: int, bit: int = 0) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    return bytes(changed)


WHOLE = {
    "one member": FILE,
    "several members": FILE + gzip.compress(b"second\n") + FILE,
    "an empty member first": gzip.compress(b"") + FILE,
    "no content": gzip.compress(b""),
    "zeros behind": FILE + bytes(600),
    "zeros between": FILE + bytes(10) + FILE,
    "a file name in the header": FILE[:3] + b"\x08" + FILE[4:10] + b"x.json\0" + FILE[10:],
    "stored, not compressed": STORED,
}
DAMAGED = {
    "cut in the middle": FILE[: len(FILE) // 2],
    "cut in the header": FILE[:5],
    "the header alone": FILE[:10],
    "no trailer": FILE[:-8],
    "half a trailer": FILE[:-4],
    "one byte missing": FILE[:-1],
    "a second member that is cut": FILE + FILE[: len(FILE) // 2],
    "a second member without trailer": FILE + FILE[:-8],
    "wrong checksum": flipped(FILE, -8),
    "wrong length": flipped(FILE, -4),
    "garbage behind": FILE + b"no gzip header",
    "garbage behind, shorter than a header": FILE + b"garbage",
    "a second header behind": FILE + b"\x1f\x8b",
    "another method": flipped(FILE, 2),
    "a flipped bit in the data": flipped(FILE, len(FILE) // 2),
    "a flipped bit in stored data": flipped(STORED, 1000),
    "a block of no known type": FILE[:10] + b"\x07" + FILE[11:],
}


@pytest.fixture(params=["isal", "zlib"])
def library(request, monkeypatch) -> str:
    """Each of the two, whichever is installed."""
    chosen = (IGzipFile, IsalError) if request.param == "isal" else (gzip.GzipFile, zlib.error)
    monkeypatch.setattr(compression, "GzipFile", chosen[0])
    monkeypatch.setattr(compression, "DeflateError", chosen[1])
    return request.param


def read(path) -> tuple[bytes, str]:
    """Everything that can be read, and how it ended."""
    content = io.BytesIO()
    with CountedInput(str(path), path.name) as file:
        stream, _ = open_bytes(file)
        try:
            while block := stream.read1(10_000):
                content.write(block)
        except DataError as error:
            return content.getvalue(), str(error)
        assert file.bytes_read == path.stat().st_size
    return content.getvalue(), ""


@pytest.mark.parametrize("case", WHOLE)
def test_a_whole_file_reads_to_its_end(tmp_path, library, case) -> None:
    (tmp_path / "x.gz").write_bytes(WHOLE[case])
    assert read(tmp_path / "x.gz") == (gzip.decompress(WHOLE[case]), "")


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_one_line_that_names_the_file(tmp_path, library, case) -> None:
    (tmp_path / "x.gz").write_bytes(DAMAGED[case])
    _, ended = read(tmp_path / "x.gz")
    assert ended.startswith("x.gz: the gzip data ")


@pytest.mark.parametrize("case", DAMAGED)
def test_both_libraries_say_the_same_of_damage_and_give_the_same_bytes_before_it(tmp_path, monkeypatch, case) -> None:
    (tmp_path / "x.gz").write_bytes(DAMAGED[case])
    found = []
    for file_type, error in ((IGzipFile, IsalError), (gzip.GzipFile, zlib.error)):
        monkeypatch.setattr(compression, "GzipFile", file_type)
        monkeypatch.setattr(compression, "DeflateError", error)
        content, ended = read(tmp_path / "x.gz")
        found.append((content, ended))
    if "flipped" in case or "block" in case:  # they find out at another byte
        found = [(b"", ended) for _, ended in found]
    if "shorter than a header" in case:  # isal takes it for the beginning of one
        found = [(content, ended.replace("ends too early", "is damaged")) for content, ended in found]
    assert found[0] == found[1]


def test_any_flipped_bit_is_found_by_both_or_changes_nothing(tmp_path, library) -> None:
    draw = random.Random(1)
    (tmp_path / "x.gz").write_bytes(FILE)
    for _ in range(60):
        (tmp_path / "x.gz").write_bytes(flipped(FILE, draw.randrange(10, len(FILE)), draw.randrange(8)))
        content, ended = read(tmp_path / "x.gz")
        assert ended or content == TEXT


@pytest.mark.slow
def test_a_bomb_is_read_in_bounded_memory(tmp_path, library) -> None:
    bomb = gzip.compress(bytes(100_000_000))
    (tmp_path / "x.gz").write_bytes(bomb)
    with CountedInput(str(tmp_path / "x.gz"), "x.gz") as file:
        stream, _ = open_bytes(file)
        stream.read(1_000_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        while stream.read(1_000_000):
            pass
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_isal_is_taken_where_it_is_installed_and_zlib_where_it_is_not() -> None:
    assert compression.GzipFile is IGzipFile
    code = (
        "import sys; sys.modules['isal'] = None; import gzip, zlib; from sentneuron.core.data import compression;"
        "assert (compression.GzipFile, compression.DeflateError) == (gzip.GzipFile, zlib.error)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
