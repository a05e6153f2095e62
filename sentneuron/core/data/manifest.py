"""`manifest.json` of a shard folder: what is inside, what it was made from, and with which settings.

Holds no time, host or absolute path of its own: the same input and settings give the same bytes. Its last field is the
sha256 of all the others, so that an edited or damaged manifest is found before anything is believed of it.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec

from sentneuron.core.data.folders import Folder
from sentneuron.core.errors import DataError, InputNotFoundError

FORMAT = "sentneuron-shards"
VERSION = 2
NAME = "manifest.json"
UNFINISHED = "manifest.unfinished.json"
"""The manifest of a folder at a URI whose files are not all there yet."""
SPLITS = ("train", "valid", "test")
SHARD_PATH = re.compile(r"(train|valid|test)/\d{5,}\.parquet")


Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]


class Entry(msgspec.Struct, kw_only=True):
    """What is read of a shard's entry."""

    path: str
    documents: Count
    bytes: Count
    file_bytes: Count
    sha256: str
    row_group_bytes: list[Count]
    row_group_documents: list[Count]
    row_group_checksums: list[str]


class Content(msgspec.Struct, kw_only=True):
    """What is read of a manifest."""

    files: list[Entry]
    settings: dict[str, Any]
    text: dict[str, Any]


def checksum(values: dict[str, Any]) -> str:
    """Return the sha256 of a manifest's fields, whatever their order, without `checksum` itself."""
    rest = {name: value for name, value in values.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def write_manifest(folder: Path, values: dict[str, Any]) -> None:
    """Write `values` with format, version and checksum. The folder is not visible yet."""
    values = {"format": FORMAT, "version": VERSION, **values}
    values["checksum"] = checksum(values)
    # One field a line, one file a line: readable, and written by the fast encoder, which does not indent.
    files = ",\n".join(json.dumps(entry) for entry in values["files"])
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items() if name != "files"]
    lines.insert(-1, f'"files": [\n{files}\n]')
    (folder / NAME).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read_manifest(folder: Path | Folder) -> dict[str, Any]:
    """Return the manifest of a shard folder.

    Raises:
        InputNotFoundError: there is no such folder.
        DataError: not a shard folder, made by a newer version, or damaged.
        StorageError: it cannot be read.
    """
    if isinstance(folder, Path):
        folder = Folder(folder)
    if not folder.exists(NAME):
        if not folder.exists():
            raise InputNotFoundError(
                f"shard folder {folder.name} does not exist", hint="make it with 'sentneuron shard'"
            )
        if folder.exists(UNFINISHED):
            raise DataError(f"{folder.name} is an unfinished shard folder", hint="run 'sentneuron shard' again")
        raise DataError(
            f"{folder.name} is not a shard folder: it has no {NAME}", hint="make one with 'sentneuron shard'"
        )
    return parse_manifest(folder.read(NAME), folder.path(NAME))


def parse_manifest(content: bytes, path: str) -> dict[str, Any]:
    """Return the values in a manifest's bytes; raises DataError as `read_manifest`."""
    try:
        values = json.loads(content)
        is_whole = isinstance(values, dict) and values.get("checksum") == checksum(values)
    except (ValueError, RecursionError) as error:
        raise damaged(path, "it is not JSON") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(f"{path} is not the manifest of a shard folder", hint="make one with 'sentneuron shard'")
    if values.get("version") != VERSION:
        raise DataError(
            f"{path} has version {values.get('version')}, this program reads {VERSION}",
            hint="update sentneuron, or run 'sentneuron shard' again",
        )
    if not is_whole:
        raise damaged(path, "its checksum does not match its content")
    check_content(values, path)
    return values


def check_content(values: dict[str, Any], path: str) -> None:
    """Check that what is read of a manifest is all there, and goes together.

    Raises:
        DataError: it is not; a manifest whose checksum is right was made so.
    """
    try:
        content = msgspec.convert(values, Content)
    except msgspec.ValidationError as error:
        raise damaged(path, str(error)) from error
    if not all(SHARD_PATH.fullmatch(entry.path) for entry in content.files):
        raise damaged(path, "it names files outside of its folder")
    for entry in content.files:
        lengths = {len(entry.row_group_bytes), len(entry.row_group_documents), len(entry.row_group_checksums)}
        sums = (sum(entry.row_group_bytes), sum(entry.row_group_documents))
        if len(lengths) > 1 or sums != (entry.bytes, entry.documents):
            raise damaged(path, f"its figures for {entry.path} do not add up")


def damaged(path: str, reason: str) -> DataError:
    """Say what is wrong with a manifest that was ours."""
    return DataError(f"{path} is damaged: {reason}", hint="run 'sentneuron shard' again")
