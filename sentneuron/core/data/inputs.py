"""Files behind the paths, folders and globs on a command line."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from sentneuron.core.data.sniffing import SUFFIX_FORMATS, data_suffix
from sentneuron.core.errors import InputNotFoundError


def expand_inputs(inputs: Sequence[str]) -> list[str]:
    """Return the files that `inputs` name, sorted, each once, with `-` for stdin.

    A folder stands for its files at any depth with a known extension or none, but for files and folders whose name
    starts with `.` or `_`. A path that exists is taken as it is, even with `*` or `[` in it.

    Raises:
        InputNotFoundError: one of them names nothing.
    """
    found: dict[str, str] = {}
    for given in inputs:
        if given == "-":
            found["-"] = "-"
            continue
        for path in _files(given):
            found.setdefault(os.path.realpath(path), path)
    return sorted(found.values())


def _files(given: str) -> list[str]:
    if os.path.isdir(given):
        files = [str(path) for path in _walk(Path(given))]
        if not files:
            raise InputNotFoundError(f"{given} holds no data files", hint="name the files themselves")
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
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for name in names:
            suffix = data_suffix(name)
            if not name.startswith((".", "_")) and (suffix in SUFFIX_FORMATS or not suffix):
                yield Path(parent, name)
