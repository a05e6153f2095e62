"""A folder that appears whole or not at all: built under a hidden name beside its place, flushed to disk, then renamed.

The hidden name is `.NAME.building`. A killed run leaves at most that folder, and the next run to the same place clears
it. A lock on the folder itself, which the system drops with the process that holds it, keeps two runs from building one
place. While an older folder is being replaced it is called `.NAME.previous` for two renames; a run that finds it there
alone puts it back.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sentneuron.core.atomic import storage_error, sync_folder
from sentneuron.core.errors import OutputError


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `path`, and of what is there, when the block ends without an error.

    Raises:
        OutputError: the parent folder is missing or not writable, or another run is building `path`.
        StorageError: the disk is full, or writing failed; the previous folder is untouched.
    """
    path = path.resolve()  # a link stays, and what it points to is replaced
    if not path.parent.is_dir():
        raise OutputError(f"folder {path.parent} does not exist", hint="make it first, or write elsewhere")
    building, previous = path.with_name(f".{path.name}.building"), path.with_name(f".{path.name}.previous")
    try:
        lock = lock_folder(building, path)
        try:
            if previous.exists() and not path.exists():
                previous.rename(path)
            clear(building)
            yield building
            sync_tree(building)
            shutil.rmtree(previous, ignore_errors=True)
            if path.exists():
                path.rename(previous)
            building.rename(path)
            sync_folder(path.parent)
            shutil.rmtree(previous, ignore_errors=True)
        finally:
            shutil.rmtree(building, ignore_errors=True)
            os.close(lock)
    except OSError as error:
        raise storage_error(error, path) from error


def lock_folder(building: Path, path: Path) -> int:
    """Make `building` where it is missing, and return a descriptor that holds its lock.

    Raises:
        OutputError: another process holds it.
    """
    while True:
        building.mkdir(exist_ok=True)
        descriptor = os.open(building, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise OutputError(f"another run is writing {path}", hint="wait for it, or write elsewhere") from None
        # The run that held the lock before may have renamed the folder to its place in the meantime.
        if building.exists() and os.path.samestat(os.stat(building), os.fstat(descriptor)):
            return descriptor
        os.close(descriptor)


def clear(folder: Path) -> None:
    """Remove what a killed run left inside `folder`."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder`, and itself, to disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))
