"""A folder of files, on a disk or in a bucket, seen the same way: just what reading a shard folder needs."""

from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pf

from sentneuron.core.data.locations import Location, is_remote, joined, local_path
from sentneuron.core.data.remote import connect, explained
from sentneuron.core.errors import DataError


class Folder:
    """One folder, which may not be there."""

    def __init__(self, name: str | Path) -> None:
        """Name it by a path or URI.

        Raises:
            UsageError: the URI cannot be understood.
            StorageError: its server cannot be reached.
            DataError: the path is not UTF-8, which Arrow needs.
        """
        if not str(name).isascii() and any("\ud800" <= character <= "\udfff" for character in str(name)):
            raise DataError(f"{name}: this file name is not UTF-8", hint="rename it")
        self.is_remote = is_remote(str(name))
        self.name = str(Location.parse(str(name)) if self.is_remote else Path(local_path(str(name))))
        filesystem, path = connect(self.name) if self.is_remote else (pf.LocalFileSystem(), self.name)
        self._filesystem: pf.FileSystem = filesystem
        self._path: str = path

    def path(self, name: str) -> str:
        """Return the path or URI of a file in the folder."""
        return joined(self.name, name)

    def exists(self, *names: str) -> bool:
        """Say whether there is one of these files, or a folder at all where none is named.

        Raises:
            StorageError: it cannot be told.
        """
        with explained(self.name):
            infos = self._filesystem.get_file_info([f"{self._path}/{name}" for name in names] or [self._path])
        return any(info.type == (pf.FileType.File if names else pf.FileType.Directory) for info in infos)

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of every file, at any depth, by its name in the folder; sorted by name.

        Raises:
            StorageError: the folder cannot be listed.
        """
        with explained(self.name):
            selector = pf.FileSelector(self._path, recursive=True, allow_not_found=True)
            infos = sorted(self._filesystem.get_file_info(selector), key=lambda info: info.path)
        prefix = len(self._path.rstrip("/")) + 1
        return {info.path[prefix:]: info.size for info in infos if info.type == pf.FileType.File}

    def open(self, name: str) -> pa.NativeFile:
        """Open a file for reading at any place.

        Raises:
            OSError, pyarrow.ArrowException: it cannot be opened; `remote.explanation` says it in our words.
        """
        return self._filesystem.open_input_file(f"{self._path}/{name}")

    def read(self, name: str) -> bytes:
        """Return a small file's content; raises our errors."""
        with explained(self.path(name)), self.open(name) as file:
            return file.read(file.size())
