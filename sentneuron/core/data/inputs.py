"""Files behind the paths, folders, globs and URIs on a command line."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from sentneuron.core.data.locations import Location, is_remote, joined, local_path
from sentneuron.core.data.sniffing import SUFFIX_FORMATS, data_suffix
from sentneuron.core.errors import InputNotFoundError, StorageError

NO_FILES = "name the files themselves"


def expand_inputs(inputs: Sequence[str]) -> list[str]:
    """Return the files that `inputs` name, sorted, each once, with `-` for stdin.

    A folder stands for its files at any depth with a known extension or none, but for files and folders whose name
    starts with `.` or `_`. A path that exists is taken as it is, even with `*` or `[` in it. Of a remote folder or glob
    the URIs of the objects are returned, with the options of the one given.

    Raises:
        InputNotFoundError: one of them names nothing.
        StorageError: a bucket cannot be reached.
    """
    found: dict[str, str] = {}
    for given in inputs:
        if given == "-":
            found["-"] = "-"
        elif is_remote(given):
            found |= {uri: uri for uri in _remote_files(given)}
        else:
            for path in _files(local_path(given)):
                found.setdefault(os.path.realpath(path), path)
    return sorted(found.values())


def input_size(path: str) -> int | None:
    """Return an input's size in bytes as stored; None for stdin, a pipe, or what is not there."""
    if is_remote(path):
        from sentneuron.core.data.remote import look_up

        return look_up(path).size
    path = local_path(path)
    return os.path.getsize(path) if os.path.isfile(path) else None


def is_folder(name: str) -> bool:
    """Say whether a folder stands at a path or URI."""
    if is_remote(name):
        from sentneuron.core.data.remote import look_up

        return look_up(name).type.name == "Directory"
    return os.path.isdir(local_path(name))


def folder_files(folder: str) -> list[str]:
    """Return the names of the files right inside a folder at a path or URI, sorted, without hidden ones."""
    if is_remote(folder):
        from sentneuron.core.data.remote import list_files

        names = list(list_files(folder, recursive=False))
    else:
        names = [entry.name for entry in os.scandir(local_path(folder)) if entry.is_file()]
    return sorted(name for name in names if not name.startswith("."))


def _files(given: str) -> list[str]:
    if os.path.isdir(given):
        files = [str(path) for path in _walk(Path(given))]
        if not files:
            raise InputNotFoundError(f"{given} holds no data files", hint=NO_FILES)
        return files
    if os.path.exists(given) or not glob.has_magic(given):
        if not os.path.lexists(given):
            raise InputNotFoundError(f"{given} does not exist", hint="check the path")
        return [given]
    matches = [match for match in glob.glob(given, recursive=True) if not os.path.isdir(match)]
    if not matches:
        raise InputNotFoundError(f"no file matches {given}", hint="check the pattern")
    return matches


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        yield from (Path(parent, name) for name in names if _is_data(name))


def _refuse(error: OSError) -> None:
    raise StorageError(
        f"cannot read folder {error.filename}: {error.strerror}", hint="change its permissions, or name other files"
    ) from error


def _remote_files(given: str) -> list[str]:
    # pyarrow takes half a second to import; inputs on this machine do not wait for it.
    from sentneuron.core.data.remote import expand_glob, list_files, look_up

    if look_up(given).is_file:
        return [str(Location.parse(given))]
    if glob.has_magic(Location.parse(given).path):
        matches = expand_glob(given)
        if not matches:
            raise InputNotFoundError(f"no object matches {given}", hint="check the pattern")
        return matches
    names = list(list_files(given))
    if not names:
        raise InputNotFoundError(f"{given} does not exist", hint="check bucket and name")
    files = [joined(given, name) for name in names if _is_data(name) and not any(map(_is_hidden, name.split("/")))]
    if not files:
        raise InputNotFoundError(f"{given} holds no data files", hint=NO_FILES)
    return files


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _is_data(name: str) -> bool:
    suffix = data_suffix(name)
    return not _is_hidden(name) and (suffix in SUFFIX_FORMATS or not suffix)
