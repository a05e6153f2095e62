"""What stands at a path, found by content: a model, a run that can be resumed, a shard folder, or data."""

import os
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Union

from sentneuron.core.config import ReadConfig, TransferConfig
from sentneuron.core.data import manifest
from sentneuron.core.data.compression import MAGIC, CountedInput
from sentneuron.core.data.datasets import is_dataset
from sentneuron.core.data.folders import Folder
from sentneuron.core.data.inputs import expand_inputs, folder_files, is_folder
from sentneuron.core.data.locations import is_remote, local_path
from sentneuron.core.data.parts import find_parts
from sentneuron.core.data.sniffing import HEAD_BYTES, UTF16_MARKS, is_archive, is_binary
from sentneuron.core.errors import DataError, InputNotFoundError
from sentneuron.core.info.data import DataInfo, Progress, describe_data
from sentneuron.core.info.shards import ShardsInfo, describe_shards
from sentneuron.core.model.locate import find_start

if TYPE_CHECKING:
    from sentneuron.core.info.model import ModelInfo, RunInfo

Info = Union["ModelInfo", "RunInfo", ShardsInfo, DataInfo]

CLASSIFIER = "classifier.pt"
KNOWN = (
    "info knows models (a file, a folder or zip of .npy arrays, a transfer's folder), a train's resume files, "
    "shard folders, and data: CSV, TSV, JSON, Python dicts, Parquet or text (not in UTF-8: --encoding)"
)
PARQUET, PICKLE, ZIP = b"PAR1", b"\x80", b"PK\x03\x04"


def describe(path: str, read: ReadConfig, *, count: bool = True, progress: Progress = lambda done, total: None) -> Info:
    """Describe what stands at a path or URI, a data set by its name, or the model that ships, as `pretrained`.

    Data is read to its end unless `count` is false, and `progress` counts the bytes of each file.

    Raises:
        InputNotFoundError: there is nothing.
        DataError: it is damaged, or nothing that info knows.
        UsageError, StorageError: as the commands that read such a thing.
    """
    if path == "pretrained":
        return _describe_model(find_start(path)[0])
    if is_dataset(path):
        return _describe_parts(path, read, count=count, progress=progress)
    if path != "-" and is_folder(path):
        return _describe_folder(path, read, count=count, progress=progress)
    if not is_remote(path) and os.path.isfile(local_path(path)):
        with CountedInput(path, path) as file:
            head = file.read(HEAD_BYTES)
        if _looks_like_model(head, Path(local_path(path))):
            return _describe_model(Path(local_path(path)))
        is_explained = is_archive(head) or head.startswith((PARQUET, *MAGIC, *UTF16_MARKS))
        is_as_found = read.format is None and read.encoding == ReadConfig.encoding
        if is_binary(head) and is_as_found and not is_explained:
            raise DataError(f"{path} is neither a model nor data", hint=KNOWN)
    return _describe_files(path, read, count=count, progress=progress)


def _looks_like_model(head: bytes, path: Path) -> bool:
    """Tell whether a file's first bytes are those of a pickle, a zip with one or with arrays in it, or safetensors: a
    length, and JSON."""
    if not head.startswith(ZIP):
        return head.startswith(PICKLE) or (head[4:8] == bytes(4) and head[8:9] == b"{")
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(("data.pkl", ".npy")) for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError):
        return True  # cut short; as a model it is told so


def _describe_model(path: Path) -> "ModelInfo | RunInfo":
    from sentneuron.core.info.model import describe_model, describe_run, is_run  # torch: data does not wait for it

    return describe_run(path) if path.is_file() and is_run(path) else describe_model(path)


def _describe_folder(path: str, read: ReadConfig, *, count: bool, progress: Progress) -> Info:
    """Describe a folder, which may hold any of the kinds."""
    if Folder(path).exists(manifest.NAME, manifest.UNFINISHED):
        return describe_shards(path)
    names = folder_files(path)
    if not is_remote(path):
        local = Path(local_path(path))
        if CLASSIFIER in names:
            return _describe_model(local / CLASSIFIER)
        if any(name.endswith(".npy") for name in names):
            return _describe_model(local)
    try:
        return _describe_parts(path, read, count=count, progress=progress)
    except InputNotFoundError:  # it has no train file
        pass
    try:
        return _describe_files(path, read, count=count, progress=progress)
    except InputNotFoundError as error:
        raise DataError(f"{path} is a folder without a model or data", hint=KNOWN) from error


def _describe_parts(path: str, read: ReadConfig, *, count: bool, progress: Progress) -> DataInfo:
    """Describe train, valid and test as `transfer --data` finds them."""
    _, found = find_parts(TransferConfig(data=path))
    files = [(file, part) for part, paths in found.items() for file in paths]
    return describe_data(path, files, read, count=count, progress=progress)


def _describe_files(path: str, read: ReadConfig, *, count: bool, progress: Progress) -> DataInfo:
    files = [(file, None) for file in expand_inputs([path])]
    return describe_data(path, files, read, count=count, progress=progress)
