"""Large files reach the disk while they are written, and what fails there is heard."""

import errno
import os
import threading

import pytest

from sentneuron.core import early_flush
from sentneuron.core.early_flush import EarlyFlushing


@pytest.fixture(autouse=True)
def _short_stretches(monkeypatch):
    monkeypatch.setattr(early_flush, "STRETCH", 1000)


def test_every_byte_is_written_and_flushed_on_the_way(tmp_path, monkeypatch):
    sizes: list[int] = []
    flushed = threading.Event()
    fsync = os.fsync

    def flush(descriptor):
        sizes.append(os.fstat(descriptor).st_size)
        fsync(descriptor)
        flushed.set()

    monkeypatch.setattr(os, "fsync", flush)
    content = bytes(range(256)) * 40
    with open(tmp_path / "x", "wb") as file, EarlyFlushing(file) as early:
        assert early.write(content[:300]) == 300
        assert sizes == []
        assert early.write(memoryview(content)[300:2500]) == 2200
        assert flushed.wait(10)
        early.write(content[2500:])
    assert (tmp_path / "x").read_bytes() == content
    assert 1000 <= sizes[0] < 2500, "the first flush waits for the end of a large write"


def test_a_disk_that_fails_on_the_way_is_heard_at_the_next_write_or_at_the_end(tmp_path, monkeypatch):
    failed = threading.Event()

    def fail(descriptor):
        failed.set()
        raise OSError(errno.EIO, "no such luck")

    monkeypatch.setattr(os, "fsync", fail)

    def write(*sizes: int) -> None:
        with open(tmp_path / "x", "wb") as file, EarlyFlushing(file) as early:
            for size in sizes:
                early.write(bytes(size))
                failed.wait(10)

    for sizes in [(1000,), (1000, 1000), (5000, 5000)]:
        failed.clear()
        with pytest.raises(OSError, match="no such luck"):
            write(*sizes)


def test_an_error_of_the_writer_is_not_hidden_by_one_of_the_disk(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.EIO, "no such luck")

    def write() -> None:
        with open(tmp_path / "x", "wb") as file, EarlyFlushing(file) as early:
            early.write(bytes(1000))
            raise ZeroDivisionError

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ZeroDivisionError):
        write()
