"""One safetensors file that keeps all of a model; `importers/safetensors.py` reads it.

The file is written here, by the published description, and checked by the package's reader before it takes its place.
The package's writer leaves a file to its owner alone (mode 0600), puts the metadata in another order each time, and
tells of a full disk in words only.

Source: github.com/huggingface/safetensors, README.md, "Format".
"""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from sentneuron.core.atomic import atomic_path
from sentneuron.core.early_flush import EarlyFlushing
from sentneuron.core.errors import DataError
from sentneuron.core.model.assembly import SavedModel
from sentneuron.core.model.importers.safetensors import (
    CHECKSUM,
    CLASSIFIER,
    VERSION,
    VERSION_KEY,
    check_header,
    checksum_of,
)

ALIGNMENT = 8
"""Bytes that the header is a multiple of, so that numbers may be read where they lie."""


def export_safetensors(path: Path, saved: SavedModel) -> list[str]:
    """Write the file; nothing is left out.

    Raises:
        DataError: the model holds what JSON cannot, or more of it than is read back.
        OutputError, StorageError: it cannot be written.
    """
    tensors: dict[str, Tensor] = dict(saved.model.named_parameters())  # a tied weight once
    classifier = None if saved.classifier is None else _without_tensors(saved.classifier, CLASSIFIER, tensors)
    plain = {
        "config": saved.model.config.to_dict(),
        "text": saved.rule.to_dict(),
        "classifier": classifier,
        "training": saved.training,
    }
    try:
        metadata = {VERSION_KEY: VERSION} | {name: json.dumps(value) for name, value in plain.items()}
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"the model holds what JSON cannot: {error}", hint="give --format sentneuron") from error
    tensors = {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}
    metadata[CHECKSUM] = checksum_of(metadata, tensors)
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as file, EarlyFlushing(file) as flushing:
            flushing.write(_header(metadata, tensors))
            for tensor in tensors.values():
                flushing.write(tensor.numpy().astype("<f4", copy=False).data)
        check_header(temporary, name=str(path))
    return []


def _without_tensors(values: dict[str, Any], name: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return plain values; what are tensors goes to `tensors`, under the names that led to them."""
    plain = {}
    for key, value in values.items():
        if isinstance(value, Tensor):
            tensors[f"{name}.{key}"] = value
        else:
            plain[key] = _without_tensors(value, f"{name}.{key}", tensors) if isinstance(value, dict) else value
    return plain


def _header(metadata: dict[str, str], tensors: dict[str, Tensor]) -> bytes:
    """Return what stands in front of the numbers: a length, and JSON of that length."""
    entries: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + 4 * tensor.numel()
        entries[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % ALIGNMENT)
    return len(header).to_bytes(8, "little") + header
