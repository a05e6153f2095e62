"""Locks that processes of one machine hold one at a time; the system lets go of them when a process ends."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sentneuron.core.atomic import storage_error
from sentneuron.core.errors import OutputError

log = logging.getLogger(__name__)


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Wait for the lock on a file, which is made where it is missing, and hold it for the time of a block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def sole_writer(output: Path) -> Iterator[None]:
    """Be the only one that writes `output` and its companions, for the time of a block.

    Holds a lock on `.NAME.lock` beside it, which is gone afterwards. Where the file system has no locks, nothing is
    held, and the log says so.

    Raises:
        OutputError: another process holds it, or the folder is missing or cannot be written.
    """
    if not output.parent.is_dir():
        raise OutputError(f"folder {output.parent} does not exist", hint="make it first, or write elsewhere")
    path = output.with_name(f".{output.name}.lock")
    descriptor = _lock(path, output)
    try:
        yield
    finally:
        if descriptor is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _lock(path: Path, output: Path) -> int | None:
    """Return the open file that holds the lock; None where there are no locks."""
    while True:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        except OSError as error:
            raise storage_error(error, path) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                hint = "wait until it ends, or name another --save"
                raise OutputError(f"{output} is being written by another run", hint=hint) from error
            log.info("%s: no lock on this file system: %s", path, error.strerror)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)  # its last holder removed it in between
