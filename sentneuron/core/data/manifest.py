"""`manifest.json` of a shard folder: what is inside, what it was made from, and with which settings.

Holds no time, host or absolute path of its own: the same input and settings give the same bytes. Its last field is the
sha256 of all the others, so that an edited or damaged manifest is found before anything is believed of it.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from sentneuron.core.errors import DataError, InputNotFoundError

FORMAT = "sentneuron-shards"
VERSION = 1
NAME = "manifest.json"
SPLITS = ("train", "valid", "test")
SHARD_PATH = re.compile(r"(train|valid|test)/\d{5,}\.parquet")


def checksum(values: dict[str, Any]) -> str:
    """Return the sha256 of a manifest's fields, whatever their order, without `checksum` itself."""
    rest = {name: value for name, value in values.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def write_manifest(folder: Path, values: dict[str, Any]) -> None:
    """Write `values` with format, version and checksum. The folder is not visible yet."""
    values = {"format": FORMAT, "version": VERSION, **values}
    values["checksum"] = checksum(values)
    (folder / NAME).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a shard folder.

    Raises:
        InputNotFoundError: there is no such folder.
        DataError: not a shard folder, made by a newer version, or damaged.
    """
    if not folder.is_dir():
        raise InputNotFoundError(f"shard folder {folder} does not exist", hint="make it with 'sentneuron shard'")
    path = folder / NAME
    if not path.is_file():
        raise DataError(f"{folder} is not a shard folder: it has no {NAME}", hint="make one with 'sentneuron shard'")
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise damaged(path, "it is not JSON") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(f"{path} is not the manifest of a shard folder", hint="make one with 'sentneuron shard'")
    if values.get("version") != VERSION:
        raise DataError(
            f"{path} has version {values.get('version')}, this program reads {VERSION}",
            hint="update sentneuron, or run 'sentneuron shard' again",
        )
    if values.get("checksum") != checksum(values):
        raise damaged(path, "its checksum does not match its content")
    if not all(SHARD_PATH.fullmatch(file["path"]) for file in values["files"]):
        raise damaged(path, "it names files outside of its folder")
    return values


def damaged(path: Path, reason: str) -> DataError:
    """Say what is wrong with a manifest that was ours."""
    return DataError(f"{path} is damaged: {reason}", hint="run 'sentneuron shard' again")
