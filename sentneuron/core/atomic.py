"""Files that appear whole or not at all: temporary name, flush, fsync, rename, fsync of the folder.

The previous file of the same name survives every failure. The temporary file lies beside the final one, so that the
rename stays on one file system, and is named `.NAME.PID.tmp`.
"""

import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from sentneuron.core.errors import OutputError, StorageError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to it when the block ends without an error.

    Raises:
        OutputError: the folder is missing, not writable, or `path` is a folder.
        StorageError: the disk is full, or writing failed; the previous file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _check_place(path)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        with suppress(OSError):  # on a read-only disk there is none, and asking fails
            temporary.unlink()


@contextmanager
def atomic_open(path: Path, mode: str = "w", **options: Any) -> Iterator[IO[Any]]:
    """Open a file for writing that replaces `path` when the block ends without an error; `options` are `open`'s.

    Raises:
        OutputError, StorageError: as `atomic_path`.
    """
    if "b" not in mode:
        options.setdefault("encoding", "utf-8")
    with atomic_path(path) as temporary, open(temporary, mode, **options) as file:
        yield file


def require_place(path: Path) -> None:
    """Check that `path` could be written now, before work starts that ends in it.

    Raises:
        OutputError: the folder is missing, not writable, or `path` is a folder.
        StorageError: the disk is full.
    """
    _check_place(path)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:40]}."):
            pass
    except OSError as error:
        raise storage_error(error, path) from error


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of `path` that killed processes have left; for the only one that writes it."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder", hint="name a file to write")
    if not path.parent.is_dir():
        raise OutputError(f"folder {path.parent} does not exist", hint="make it first, or write elsewhere")


def storage_error(error: OSError, path: Path) -> OutputError | StorageError:
    """Turn the system's error on writing `path` into ours, with the free space where that is the reason."""
    reason = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR):
        return OutputError(f"cannot write {path}: {reason}", hint="write elsewhere, or change its permissions")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free = f"{shutil.disk_usage(path.parent).free / 1e6:,.1f} MB free"
        return StorageError(f"cannot write {path}: {reason} ({free})", hint="free some space and run again")
    return StorageError(f"cannot write {path}: {reason}", hint="check the disk and run again")
