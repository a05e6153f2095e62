"""R6: files that appear whole or not at all, in the order that survives a power cut."""

import errno
import os
import stat
from pathlib import Path

import pytest

from sentneuron.core.atomic import atomic_open, atomic_path, remove_leftovers, require_place
from sentneuron.core.errors import OutputError, StorageError

TORN = b"what is left of a file that was not flushed"


class Disk:
    """What a power cut would leave of a file: a flush of it keeps its content, one of the folder its names.

    Names that were not flushed may be there all the same, so that there may be two answers. `fault` leaves out the
    flushes of "file" or "folder".
    """

    def __init__(self, path: Path, *, fault: str | None = None) -> None:
        self.path = path
        self.fault = fault
        self.kept = {file.stat().st_ino: file.read_bytes() for file in path.parent.iterdir()}
        self.names = self.current_names()
        self.moments: list[set[bytes]] = []
        """What may be left, after each step."""
        self._fsync, self._replace = os.fsync, os.replace

    def current_names(self) -> dict[str, int]:
        return {file.name: file.stat().st_ino for file in self.path.parent.iterdir()}

    def fsync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "file"
        if kind != self.fault and kind == "folder":
            self.names = self.current_names()
        elif kind != self.fault:
            self.kept[status.st_ino] = os.pread(descriptor, status.st_size, 0)
        self._fsync(descriptor)
        self.look()

    def replace(self, source: Path, target: Path) -> None:
        self._replace(source, target)
        self.look()

    def look(self) -> None:
        inodes = {names.get(self.path.name, 0) for names in (self.names, self.current_names())}
        self.moments.append({self.kept.get(inode, TORN) for inode in inodes})


@pytest.fixture
def cut(monkeypatch, tmp_path):
    """Replace a file; returns what a power cut would have left after each step, and at the end."""

    def replace_file(fault: str | None = None) -> list[set[bytes]]:
        path = tmp_path / "x.txt"
        path.write_bytes(b"before")
        disk = Disk(path, fault=fault)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", disk.fsync)
            patch.setattr(os, "replace", disk.replace)
            with atomic_open(path) as file:
                file.write("after")
        return disk.moments

    return replace_file


def test_a_power_cut_at_any_moment_leaves_the_file_before_or_after(cut):
    moments = cut()
    assert set().union(*moments) == {b"before", b"after"}
    assert moments[-1] == {b"after"}


def test_a_flush_that_is_left_out_would_be_found(cut):
    assert TORN in set().union(*cut("file"))
    assert cut("folder")[-1] == {b"before", b"after"}


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


def test_a_place_is_checked_before_work_and_left_as_it_was(tmp_path):
    (tmp_path / "old.csv").write_text("old")
    require_place(tmp_path / "old.csv")
    require_place(tmp_path / ("n" * 250))
    with pytest.raises(OutputError, match="is a folder"):
        require_place(tmp_path)
    with pytest.raises(OutputError, match="does not exist"):
        require_place(tmp_path / "nowhere" / "new.csv")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.csv", "old")]
