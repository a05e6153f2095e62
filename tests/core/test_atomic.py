"""R6: files that appear whole or not at all, in the order that survives a power cut."""

import errno
import os
import stat

import pytest

from sentneuron.core.atomic import atomic_open, atomic_path, remove_leftovers
from sentneuron.core.errors import OutputError, StorageError


@pytest.fixture
def calls(monkeypatch):
    """What is asked of the system, in order: flushes of files and folders, and renames."""
    seen: list[str] = []
    fsync, replace = os.fsync, os.replace

    def flush(descriptor):
        mode = os.fstat(descriptor)
        seen.append("flush folder" if stat.S_ISDIR(mode.st_mode) else f"flush file of {mode.st_size} bytes")
        fsync(descriptor)

    def rename(source, target):
        seen.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    return seen


def test_the_whole_file_is_flushed_before_it_gets_its_name_and_the_name_after(calls, tmp_path):
    with atomic_open(tmp_path / "x.txt") as file:
        file.write("content")
    assert calls == ["flush file of 7 bytes", "rename", "flush folder"]


def test_an_error_leaves_the_previous_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("before")

    def write_half() -> None:
        with atomic_open(path) as file:
            file.write("half")
            file.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EIO, StorageError, "check the disk"),
        (errno.ENOSPC, StorageError, "MB free"),
        (errno.EFBIG, StorageError, "MB free"),
        (errno.EROFS, OutputError, "write elsewhere"),
    ],
)
def test_a_flush_or_a_rename_that_fails_is_said_and_leaves_the_previous_file(
    tmp_path, monkeypatch, name, number, kind, words
):
    path = tmp_path / "x.txt"
    path.write_text("before")

    def fail(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, fail)
    with (
        pytest.raises(kind, match=rf"cannot write .*x\.txt: {os.strerror(number)}.*{words}"),
        atomic_open(path) as file,
    ):
        file.write("after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_file_and_a_missing_one_is_named(tmp_path):
    with pytest.raises(OutputError, match="is a folder"), atomic_path(tmp_path):
        pass
    with pytest.raises(OutputError, match=r"folder .*nowhere does not exist"), atomic_path(tmp_path / "nowhere/x"):
        pass


def test_leftovers_of_a_file_are_removed_and_those_of_others_are_not(tmp_path):
    for name in (".a[1].pt.12.tmp", ".a[1].pt.13.tmp", ".b.pt.12.tmp", "a[1].pt", "a[1].pt.tmp"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "a[1].pt")
    assert {path.name for path in tmp_path.iterdir()} == {".b.pt.12.tmp", "a[1].pt", "a[1].pt.tmp"}
