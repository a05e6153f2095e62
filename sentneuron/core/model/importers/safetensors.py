"""A safetensors file that `export` wrote: weights and the classifier's tensors under our names, everything else as JSON
in its metadata.

The package reads it. It holds every place against the size of the file before a number is read; the length of the
header is bounded here. The format has no checksum; ours stands in the metadata, and a file without one, as a tool that
rewrote it may leave it, is read all the same.
"""

import json
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, StorageError
from sentneuron.core.model.assembly import UNUSABLE, ModelParts, told, unusable

VERSION_KEY = "sentneuron"
CHECKSUM = "checksum"
CLASSIFIER = "classifier"
PLAIN = ("config", "text", CLASSIFIER, "training")
"""Metadata in JSON."""
VERSION = "1"
MAX_HEADER = 1 << 20
DAMAGED = "fetch or export it again"


def import_safetensors(path: Path) -> ModelParts | None:
    """Read such a file; None where it is no safetensors file.

    Raises:
        DataError: it is one, but damaged, or not one that `export` wrote.
        StorageError: it cannot be read.
    """
    if not _is_safetensors(path):
        return None
    metadata, tensors = _read(path, with_numbers=True)
    try:
        if metadata.get(CHECKSUM) not in (None, checksum_of(metadata, tensors)):
            raise ValueError("it fails its checksum")
        values = {name: json.loads(metadata[name]) for name in PLAIN}
        classifier = values[CLASSIFIER]
        for name in [name for name in tensors if name.startswith(f"{CLASSIFIER}.")]:
            _put(classifier, name.split(".")[1:], tensors.pop(name))
        return ModelParts(
            kind="language-model" if classifier is None else "classifier",
            config=ModelConfig.from_dict(values["config"]),
            weights=tensors,
            rule=TextRule.from_dict(values["text"]),
            classifier=classifier,
            training=values["training"],
        )
    except (*UNUSABLE, RecursionError) as error:
        raise unusable(error, name=str(path)) from error


def check_header(path: Path, *, name: str) -> None:
    """Check that a file which was just written would be read, but for its numbers; errors call it `name`.

    Raises:
        DataError: it would not.
        StorageError: it cannot be read.
    """
    if not _is_safetensors(path):
        raise DataError(f"{name} has more than {MAX_HEADER:,} bytes of metadata", hint="give --format sentneuron")
    _read(path, with_numbers=False)


def checksum_of(metadata: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """Return a checksum (XXH3, 128 bits) over the metadata but for a checksum in it, and over tensors and their names,
    all in order of names."""
    state = xxhash.xxh3_128()
    for key in sorted(metadata.keys() - {CHECKSUM}):
        state.update(f"{key}={metadata[key]}\n".encode())
    for name in sorted(tensors):
        state.update(f"{name} {list(tensors[name].shape)}\n".encode())
        state.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return state.hexdigest()


def _is_safetensors(path: Path) -> bool:
    """Tell whether a file begins as one does: the length of the header, which fits in the file, and the header."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with open(path, "rb") as file:
            head = file.read(9)
        length = int.from_bytes(head[:8], "little")
        return head[8:] == b"{" and length <= min(MAX_HEADER, path.stat().st_size - 8)
    except OSError:  # what reads model files of ours says why
        return False


def _read(path: Path, *, with_numbers: bool) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return metadata and tensors; raises as `import_safetensors`."""
    try:
        # Numbers that stay where they lie in the file would change, or end the process, when somebody rewrites it.
        with safe_open(path, "pt", backend="pread") as file:
            metadata: dict[str, str] = file.metadata() or {}
            _check_metadata(metadata, path)
            return metadata, {name: file.get_tensor(name) for name in (file.keys() if with_numbers else ())}
    except (SafetensorError, RuntimeError, TypeError) as error:  # the last two: torch has no such tensor
        raise DataError(f"{path} is damaged: {told(error)}", hint=DAMAGED) from error
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}", hint="check the file") from error


def _check_metadata(metadata: dict[str, str], path: Path) -> None:
    """Check that `export` wrote it, before any number is read; raises DataError."""
    version = metadata.get(VERSION_KEY)
    if version is None:
        raise DataError(f"{path} does not say what model it is", hint="give one that 'sentneuron export' wrote")
    if version != VERSION:
        raise DataError(f"{path} has version {told(version)}, this program reads {VERSION}", hint="update sentneuron")
    unknown = sorted(metadata.keys() - {VERSION_KEY, CHECKSUM, *PLAIN})
    if unknown:
        raise DataError(f"{path} is damaged: its metadata holds {told(unknown[0])}", hint=DAMAGED)


def _put(values: dict[str, Any], keys: list[str], tensor: Tensor) -> None:
    """Put a tensor into dicts within dicts, under the names that lead to it."""
    for key in keys[:-1]:
        values = values[key]
    values[keys[-1]] = tensor
