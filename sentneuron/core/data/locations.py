"""Where data lies, as people write it: a path, `-` for stdin, or a URI. Only strings here; nothing is opened.

`s3://`, `gs://` and `hf://` are remote, `file://` is another spelling of a path. What follows the bucket is the
object's key as it is, not percent-encoded, as in the clouds' own tools. A remote URI may end with pyarrow's options for
it, as in `s3://bucket/key?endpoint_override=HOST:PORT&scheme=http`; any other `?` belongs to a glob.
"""

import re
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Self
from urllib.parse import unquote, urlsplit

from sentneuron.core.errors import UsageError

REMOTE = re.compile(r"(s3|gs|hf)://(.*?)(?:\?((?:\w+=[^&?=]*&)*\w+=[^&?=]*))?", re.DOTALL)


@dataclass(frozen=True)
class Location:
    """A remote URI in its parts."""

    scheme: str
    path: str
    """Bucket and key, or what stands for them, with a slash between."""
    options: str = ""
    is_anonymous: bool = False
    """Written `gs://anonymous@BUCKET/…`."""

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Take a remote URI apart.

        Raises:
            UsageError: it names no bucket, or holds credentials.
        """
        parts = REMOTE.fullmatch(uri)
        assert parts, uri
        scheme, path, options = parts[1], re.sub("/+", "/", parts[2]).strip("/"), parts[3] or ""
        is_anonymous = path.startswith("anonymous@")
        path = path.removeprefix("anonymous@")
        if "@" in path.split("/")[0]:
            # The URI is written to logs and manifests.
            raise UsageError(f"{scheme}:// with credentials in it", hint="put them into the environment")
        if parts[2][:1] in ("", "/"):
            raise UsageError(f"{uri} names no bucket", hint=f"write {scheme}://BUCKET/NAME")
        return cls(scheme, path, options, is_anonymous)

    @property
    def bucket(self) -> str:
        """The first part of the path."""
        return self.path.split("/")[0]

    def at(self, path: str) -> Self:
        """Return another path in the same place."""
        return replace(self, path=path)

    def __str__(self) -> str:
        user = "anonymous@" if self.is_anonymous else ""
        return f"{self.scheme}://{user}{self.path}{'?' if self.options else ''}{self.options}"


def is_remote(name: str) -> bool:
    """Say whether a name is a URI of something that is not on this machine."""
    return REMOTE.fullmatch(name) is not None


def local_path(name: str) -> str:
    """Return the path that a `file://` URI stands for, and any other name as it is.

    Raises:
        UsageError: the URI names another machine.
    """
    if not name.startswith("file://"):
        return name
    parts = urlsplit(name)
    if parts.netloc not in ("", "localhost"):
        raise UsageError(f"{name} names a machine, {parts.netloc}", hint=f"write file:///{parts.netloc}{parts.path}")
    return unquote(parts.path)


def file_name(name: str) -> str:
    """Return the last part of a path or URI, without the URI's options."""
    return PurePath(Location.parse(name).path if is_remote(name) else local_path(name)).name


def joined(folder: str, name: str) -> str:
    """Return what `name`, with slashes, is called inside a folder at a path or URI."""
    if is_remote(folder):
        location = Location.parse(folder)
        return str(location.at(f"{location.path}/{name}"))
    return f"{folder.rstrip('/')}/{name}" if folder else name
