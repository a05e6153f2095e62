"""Where a model's `.npy` files are: in a folder or a zip, or one folder further down, as in a copy of their authors'
repository.

A zip has entries that are stored or deflated, and may not unpack to much more than its own size. The standard library
reads it; its checksums are found wrong when an entry's last byte is read.
"""

import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from sentneuron.core.errors import DataError
from sentneuron.core.model.assembly import told
from sentneuron.core.model.importers.array_files import ArrayFiles, Member

MAX_GROWTH, MAX_EXTRA = 2, 1 << 26
"""A zip's arrays may take so many times its bytes, and so many bytes more: numbers hardly compress."""
MAX_DIRECTORY = 1 << 20
"""Bytes of a zip's list of entries, each of which takes ten times its size in memory."""
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error)
"""What a damaged zip makes of its reader."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 1


@contextmanager
def opened(path: Path, *, marks: Set[str]) -> Iterator[ArrayFiles | None]:
    """Open the folder or zip at `path`; None where nothing in it has one of the names `marks`.

    Raises:
        DataError: several folders in it do; a zip is damaged or encrypted, or would unpack to far more than its size.
        OSError: it cannot be read.
    """
    try:
        if path.is_dir():
            found = [file for file in (*path.glob("*.npy"), *path.glob("*/*.npy")) if file.is_file()]
            sources = [(PurePosixPath(file), Member(file.stat().st_size, partial(_open_file, file))) for file in found]
            yield _one_folder(sources, marks, name=str(path))
        elif (archive := _open_zip(path)) is not None:
            with archive:
                infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
                sources = [
                    (PurePosixPath(info.filename), Member(info.file_size, partial(archive.open, info)))
                    for info in infos
                ]
                files = _one_folder(sources, marks, name=str(path))
                if files is not None:
                    _check_entries(infos, path)
                yield files
        else:
            yield None
    except UNREADABLE as error:
        raise DataError(f"{path} is damaged: {told(error)}", hint="fetch it again") from error


def _open_file(path: Path) -> IO[bytes]:
    return open(path, "rb")


def _open_zip(path: Path) -> zipfile.ZipFile | None:
    """Open a file that is a zip with a list of entries of a sane size; None for any other."""
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return None
        file.seek(max(path.stat().st_size - (1 << 17), 0))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or end + 16 > len(tail):
        return None
    num_bytes = struct.unpack_from("<L", tail, end + 12)[0]
    if end >= 76 and tail[end - 20 : end - 16] == b"PK\x06\x07":
        num_bytes = struct.unpack_from("<Q", tail, end - 36)[0]
    try:
        return zipfile.ZipFile(path) if num_bytes <= MAX_DIRECTORY else None
    except (*UNREADABLE, ValueError):  # UnicodeDecodeError for a name
        return None


def _one_folder(sources: Iterable[tuple[PurePosixPath, Member]], marks: Set[str], *, name: str) -> ArrayFiles | None:
    """Return the files of the one folder in which one has a name in `marks`; raises DataError for several."""
    folders: dict[PurePosixPath, dict[str, Member]] = defaultdict(dict)
    for file, member in sources:
        if file.name.startswith("."):
            continue
        if file.stem in folders[file.parent]:
            raise DataError(f"{name} holds {told(file)} twice", hint="fetch it again")
        folders[file.parent][file.stem] = member
    fitting = {folder: members for folder, members in folders.items() if members.keys() & marks}
    if len(fitting) > 1:
        first, second = sorted(map(str, fitting))[:2]
        raise DataError(
            f"{name} holds arrays of a model in several folders: {told(first)}, {told(second)}", hint="give one of them"
        )
    return next((ArrayFiles(members, name=name) for members in fitting.values()), None)


def _check_entries(infos: list[zipfile.ZipInfo], path: Path) -> None:
    """Check that all entries can be read, and that together they are hardly larger than the zip; raises DataError."""
    for info in infos:
        if info.flag_bits & ENCRYPTED or info.compress_type not in METHODS:
            raise DataError(
                f"{path}: {told(info.filename)} is encrypted or compressed otherwise", hint="unpack it first"
            )
    total, most = sum(info.file_size for info in infos), MAX_GROWTH * path.stat().st_size + MAX_EXTRA
    if total > most:
        raise DataError(
            f"{path} unpacks to {total:,} bytes where {most:,} are the most for its size", hint="unpack it first"
        )
