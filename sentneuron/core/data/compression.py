"""Bytes of a file, an object or stdin, decompressed; gz, bz2, xz and zst are told by their first bytes, never by name.

Reads forwards only, so that pipes work. A compressed file's checksum stands at its end: publish nothing made from an
input that was not read to its end.
"""

import bz2
import errno
import gzip
import io
import lzma
import os
import stat
import sys
from collections.abc import Callable
from typing import Any, Protocol

from sentneuron.core.data.locations import is_remote, local_path
from sentneuron.core.errors import DataError, InputNotFoundError, StorageError

try:
    from isal.igzip import IGzipFile as GzipFile
    from isal.isal_zlib import error as DeflateError
except ImportError:
    # The same bytes and the same errors, at a third of the speed.
    from gzip import GzipFile
    from zlib import error as DeflateError

BLOCK_BYTES = 1 << 18
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


class Readable(Protocol):
    """Anything that reads into a buffer; several stand behind one another, and none of them copies."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Fill at most `buffer`; return how many bytes, 0 at the end."""


class CountedInput(io.RawIOBase):
    """The file or object itself, or stdin for the path `-`; counts the bytes taken from it, for progress."""

    def __init__(self, path: str, name: str) -> None:
        self.file_name = name
        self.bytes_read = 0
        self.is_local_file = False
        """Others can open it and find the same."""
        self._size: int | None = None
        self._readinto: Callable[[Any], int | None]
        self._close: Callable[[], None] = lambda: None
        if path == "-":
            # What there is at once, not as much as there is room for: somebody may be typing.
            self._readinto = _stdin().readinto1
        elif is_remote(path):
            from sentneuron.core.data.remote import RemoteStream

            remote = RemoteStream(path)
            self._readinto, self._close, self._size = remote.readinto, remote.close, remote.size
        else:
            file = _open(local_path(path))
            status = os.fstat(file.fileno())
            self._readinto, self._close = file.readinto, file.close
            self.is_local_file = stat.S_ISREG(status.st_mode)
            self._size = status.st_size if self.is_local_file else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            num_bytes = self._readinto(buffer) or 0
        except OSError as error:
            raise storage_error(error, self.file_name) from error
        self.bytes_read += num_bytes
        if not num_bytes and self._size is not None and self.bytes_read < self._size:
            raise became_shorter(self.file_name)
        return num_bytes

    def regular_size(self) -> int | None:
        """Return the size in bytes of a regular file or an object, None for a pipe, a device or stdin."""
        return self._size

    def close(self) -> None:
        self._close()
        super().close()


class Replayed(io.RawIOBase):
    """Bytes that were read ahead, followed by the stream they were read from."""

    def __init__(self, head: bytes, stream: Readable) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            return self._stream.readinto(buffer) or 0
        piece = self._head[: len(buffer)]
        self._head = self._head[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


class Decompressed(io.RawIOBase):
    """A decompressor's output, with its many kinds of error turned into ours."""

    def __init__(self, stream: Readable, name: str, compression: str) -> None:
        self.file_name = name
        self._compression = compression
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return self._stream.readinto(buffer) or 0
        except EOFError as error:
            raise self._broken("ends too early") from error
        except (DeflateError, gzip.BadGzipFile, lzma.LZMAError) as error:
            raise self._broken("is damaged") from error
        except OSError as error:
            # bz2 and pyarrow report damage as an OSError without a number.
            if error.errno is not None:
                raise storage_error(error, self.file_name) from error
            raise self._broken("ends too early" if "runcated" in str(error) else "is damaged") from error

    def _broken(self, what: str) -> DataError:
        return DataError(f"{self.file_name}: the {self._compression} data {what}", hint="get the file again")


def open_bytes(source: CountedInput) -> tuple[io.BufferedReader, str | None]:
    """Return the decompressed bytes of `source`, and the compression found, None for a plain file."""
    buffered = io.BufferedReader(source, BLOCK_BYTES)
    head = buffered.read(8)
    found = next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)
    replayed: io.BufferedReader = io.BufferedReader(Replayed(head, buffered), BLOCK_BYTES)
    if found is None:
        return replayed, None
    stream = Decompressed(_decompressor(replayed, found), source.file_name, found)
    return io.BufferedReader(stream, BLOCK_BYTES), found


def _decompressor(stream: io.BufferedReader, compression: str) -> Readable:
    if compression == "gzip":
        return GzipFile(fileobj=stream, mode="rb")
    if compression == "bzip2":
        return bz2.BZ2File(stream, "rb")
    if compression == "xz":
        return lzma.LZMAFile(stream, "rb")
    import pyarrow

    zstd: Readable = pyarrow.CompressedInputStream(pyarrow.PythonFile(stream, mode="r"), "zstd")
    return zstd


def _stdin() -> io.BufferedReader:
    if sys.stdin is None:
        raise InputNotFoundError("stdin is closed", hint="pipe data in, or name a file")
    return sys.stdin.buffer  # type: ignore[return-value]


def _open(path: str) -> io.FileIO:
    try:
        return open(path, "rb", buffering=0)
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder", hint="name the files in it") from error
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            hint = "check the path" if "://" not in path else "copy the file here, or to s3://, gs:// or hf://"
            raise InputNotFoundError(f"{path} does not exist", hint=hint) from error
        raise storage_error(error, path) from error
    except ValueError as error:
        raise InputNotFoundError(f"{path!r} is no file name", hint="check the path") from error


def storage_error(error: OSError, name: str) -> StorageError:
    """Turn the system's error on reading `name` into ours."""
    return StorageError(f"cannot read {name}: {error.strerror or error}", hint="check the file and its permissions")


def became_shorter(name: str) -> StorageError:
    """Return the error for a file that ended before its size."""
    return StorageError(f"{name} became shorter while it was read", hint="let whatever writes it finish, and run again")
