"""Files in buckets, through pyarrow's file systems; nothing is downloaded that is not read, and nothing is kept.

Credentials, region and endpoint are taken from where the clouds' own tools take them (`AWS_ACCESS_KEY_ID`,
`AWS_PROFILE`, `AWS_ENDPOINT_URL`, …), or from a URI's options. A server that does not answer is given up after about
6 s (S3) or 10 s (GCS). `hf://` needs the package huggingface_hub.
"""

import atexit
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from glob import has_magic
from typing import Any

import pyarrow as pa
import pyarrow.fs as pf

from sentneuron.core.data.locations import Location
from sentneuron.core.errors import (
    DataError,
    InputNotFoundError,
    OutputError,
    SentneuronError,
    StorageError,
    UsageError,
)

FIRST_READ = 1 << 16
LARGEST_READ = 8 << 20
GCS_RETRY_SECONDS = 5  # its own default is a quarter of an hour

FAILURE = re.compile(r"AWS Error (\w+)|google::cloud::Status\((\w+)|HTTP status (40[134])|\b(40[134]) Client Error")
MISSING = ("NO_SUCH_BUCKET", "NO_SUCH_KEY", "RESOURCE_NOT_FOUND", "NOT_FOUND", "404")
REFUSED = ("DENIED", "ACCESS_KEY", "SIGNATURE", "TOKEN", "UNAUTHENTICATED", "401", "403")
UNREACHABLE = re.compile(r"(?:curlCode: \d+, |CURL error \[\d+\]=)([^;{]*?)(?: error_info|;|$)")
HTTP_PACKAGES = ("httpx", "requests", "huggingface_hub")


class RemoteStream:
    """An object's bytes, forwards.

    Each request costs a round trip, so it asks for more at a time the longer it is read, up to 8 MB; an object that is
    only looked at costs 64 KB.
    """

    def __init__(self, uri: str) -> None:
        """Open it.

        Raises:
            InputNotFoundError: there is no such object.
            DataError: it is a folder.
            StorageError: the server cannot be reached, or refuses.
        """
        self._uri = uri
        self._file = open_object(uri)
        self.size: int = self._file.size()
        self._ahead = memoryview(b"")
        self._next_read = FIRST_READ

    def readinto(self, buffer: Any) -> int:
        """Fill at most `buffer`; return how many bytes, 0 at the end."""
        if not self._ahead:
            with explained(self._uri):
                self._ahead = memoryview(self._file.read(self._next_read))
            self._next_read = min(self._next_read * 2, LARGEST_READ)
        piece = self._ahead[: len(buffer)]
        self._ahead = self._ahead[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Close it."""
        self._file.close()


def connect(uri: str) -> tuple[pf.FileSystem, str]:
    """Return the file system of a remote URI, and the path in it.

    Raises:
        UsageError: the URI cannot be understood, or its package is not installed.
        StorageError: the region of a bucket could not be asked for.
    """
    location = Location.parse(uri)
    if location.scheme == "gs" and "retry_limit_seconds=" not in location.options:
        options = [*filter(None, [location.options]), f"retry_limit_seconds={GCS_RETRY_SECONDS}"]
        location = replace(location, options="&".join(options))
    root = location.bucket if location.scheme != "hf" else ""
    with explained(uri):
        return _file_system(str(location.at(root))), location.path


@lru_cache(maxsize=16)
def _file_system(root: str) -> pf.FileSystem:
    try:
        return pf.FileSystem.from_uri(root)[0]
    except ImportError as error:
        raise UsageError(f"{root} needs the package huggingface_hub", hint="pip install huggingface_hub") from error
    except pa.ArrowInvalid as error:
        raise UsageError(f"{root}: {error}", hint="check the address") from error


# pyarrow shuts S3 down at exit, and may wait forever for a file system that is still in use (apache/arrow#50188). It
# has registered that by now, so that this runs first.
atexit.register(_file_system.cache_clear)


def open_object(uri: str) -> pa.NativeFile:
    """Open an object for reading at any place; safe to read from several threads with `read_at`.

    Raises:
        InputNotFoundError: there is no such object.
        DataError: it is a folder.
        StorageError: the server cannot be reached, or refuses.
    """
    filesystem, path = connect(uri)
    with explained(uri):
        try:
            return filesystem.open_input_file(path)
        except OSError as error:
            if is_outage(error):
                raise
            if filesystem.get_file_info(path).type == pf.FileType.Directory:
                raise DataError(f"{uri} is a folder", hint="name the files in it") from error
            raise FileNotFoundError from error


def look_up(uri: str) -> pf.FileInfo:
    """Return what stands at a URI: a file, a folder, or nothing; raises as `open_object`."""
    filesystem, path = connect(uri)
    with explained(uri):
        return filesystem.get_file_info(path)


def list_files(uri: str, *, recursive: bool = True) -> dict[str, pf.FileInfo]:
    """Return the objects in a folder by their names in it, sorted; none where there is no such folder.

    Raises:
        StorageError: the server cannot be reached, or refuses.
    """
    filesystem, path = connect(uri)
    with explained(uri):
        infos = filesystem.get_file_info(pf.FileSelector(path, recursive=recursive, allow_not_found=True))
    files = {info.path.strip("/")[len(path) + 1 :]: info for info in infos if info.type == pf.FileType.File}
    return dict(sorted(files.items()))


def expand_glob(uri: str) -> list[str]:
    """Return the objects that a URI with `*`, `?`, `[…]` or `**` matches; as on a disk, `*` leaves out hidden names."""
    # fsspec knows globs and comes with torch; pyarrow does not know them.
    from fsspec.implementations.arrow import ArrowFSWrapper

    location = Location.parse(uri)
    filesystem, pattern = connect(uri)
    first = next(index for index, part in enumerate(pattern.split("/")) if has_magic(part))
    is_fsspec = isinstance(filesystem, pf.PyFileSystem)
    globbing = filesystem.handler.fs if is_fsspec else ArrowFSWrapper(filesystem, skip_instance_cache=True)
    with explained(uri):
        matches = globbing.glob(pattern, detail=True)
    found = []
    for path, info in matches.items():
        is_hidden = any(part.startswith(".") for part in path.split("/")[first:])
        if info["type"] == "file" and (not is_hidden or "/." in pattern):
            found.append(str(location.at(path.strip("/"))))
    return found


@contextmanager
def explained(name: str, *, writing: bool = False) -> Iterator[None]:
    """Turn what the file systems raise on `name` into our errors, each one line."""
    try:
        yield
    except SentneuronError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise explanation(error, name, writing=writing) from error
    except Exception as error:
        # fsspec lets the errors of whatever HTTP client it uses pass.
        if type(error).__module__.split(".")[0] not in HTTP_PACKAGES:
            raise
        raise explanation(error, name, writing=writing) from error


def explanation(error: Exception, name: str, *, writing: bool = False) -> SentneuronError:
    """Say in one line what is wrong with `name`, by an error of a file system."""
    text = " ".join(str(error).split())
    kind = OutputError if writing else StorageError
    codes = [code for found in FAILURE.findall(text) for code in found if code]
    if isinstance(error, FileNotFoundError) or any(code in MISSING for code in codes):
        if writing:
            return OutputError(f"cannot write {name}: there is no such bucket", hint="make it first")
        return InputNotFoundError(f"{name} does not exist", hint="check bucket and name")
    if any(word in code for code in codes for word in REFUSED) or "OAuth2 access token" in text:
        return kind(f"access to {name} is refused", hint="check the credentials, and what they allow")
    if unreachable := UNREACHABLE.search(text):
        hint = "check the network and the endpoint"
        return StorageError(f"{name} cannot be reached: {unreachable[1].lower()}", hint=hint)
    reason = getattr(error, "strerror", None) or text
    return StorageError(f"cannot {'write' if writing else 'read'} {name}: {reason}", hint="try again")


def is_outage(error: Exception) -> bool:
    """Say whether an error came from a server or a network, and not from the bytes that were read."""
    return type(error).__module__.split(".")[0] in HTTP_PACKAGES or FAILURE.search(str(error)) is not None
