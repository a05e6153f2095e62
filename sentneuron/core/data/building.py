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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sentneuron.core.atomic import storage_error, sync_folder
from sentneuron.core.errors import OutputError, StorageError

SYNCED_AT_ONCE = 16


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `path`, and of what is there, when the block ends without an error.

    Raises:
        OutputError, StorageError: as `building_folder`; the previous folder is untouched.
    """
    path = path.resolve()  # a link stays, and what it points to is replaced
    previous = path.with_name(f".{path.name}.previous")
    with building_folder(path) as building:
        if previous.exists() and not path.exists():
            previous.rename(path)
        yield building
        sync_tree(building)
        shutil.rmtree(previous, ignore_errors=True)
        if path.exists():
            path.rename(previous)
        building.rename(path)
        sync_folder(path.parent)
        shutil.rmtree(previous, ignore_errors=True)


@contextmanager
def building_folder(path: Path) -> Iterator[Path]:
    """Yield an empty hidden folder beside `path`, which is gone at the end.

    Raises:
        OutputError: the parent folder is missing or not writable, or another run is building `path`.
        StorageError: the disk is full, or writing failed.
    """
    path = path.resolve()
    if not path.parent.is_dir():
        raise OutputError(f"folder {path.parent} does not exist", hint="make it first, or write elsewhere")
    building = path.with_name(f".{path.name}.building")
    try:
        lock = lock_folder(building, path)
        try:
            clear(building)
            yield building
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


def check_space(folder: Path, num_bytes: int) -> None:
    """Check that `num_bytes` more fit on the disk of `folder`.

    Raises:
        StorageError: they do not.
    """
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise StorageError(
            f"{folder.parent.parent} has {free / 1e6:,.0f} MB free, and about {num_bytes / 1e6:,.0f} MB are needed",
            hint="make room, or write elsewhere with -o",
        )


def clear(folder: Path) -> None:
    """Remove what a killed run left inside `folder`."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder`, and itself, to disk.

    Several files at a time: the disk writes them together, and a thousand take a tenth of the time.
    """
    folders = list(os.walk(folder))
    with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
        list(pool.map(sync_file, (os.path.join(parent, name) for parent, _, names in folders for name in names)))
    for parent, _, _ in folders:
        sync_folder(Path(parent))


def sync_file(path: str) -> None:
    """Flush one file to disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
