"""Model files: plain dicts, strings, numbers and tensors, readable with `weights_only=True`; the format is in
docs/formats.md.

A file describes itself: architecture, text rule, weights, classifier and training record. Loading runs nothing that is
in the file: `envelope.py` reads it, and what it says is held against the architecture here.
"""

from pathlib import Path
from typing import Any

import torch

from sentneuron.core.atomic import atomic_path
from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.early_flush import EarlyFlushing
from sentneuron.core.errors import DataError
from sentneuron.core.model.assembly import UNUSABLE, ModelParts, SavedModel, assemble, told, unusable
from sentneuron.core.model.envelope import check_plain, read_plain
from sentneuron.core.model.importers import import_path, import_values

FORMAT = "sentneuron"
VERSION = 1
KINDS = ("language-model", "classifier")


def save_model(path: Path, saved: SavedModel, *, dtype: torch.dtype | None = None) -> None:
    """Write a model file atomically; the language model's weights are stored as they are, or in `dtype`.

    Raises:
        OutputError, StorageError: it cannot be written.
    """
    state = {name: _stored(tensor, dtype or tensor.dtype) for name, tensor in saved.model.state_dict().items()}
    decoder = {name.removeprefix("decoder."): tensor for name, tensor in state.items() if name.startswith("decoder.")}
    if saved.model.config.tied:
        del decoder["weight"]
    contents = {
        "format": FORMAT,
        "version": VERSION,
        "kind": saved.kind,
        "config": saved.model.config.to_dict(),
        "text": saved.rule.to_dict(),
        "encoder": {name: tensor for name, tensor in state.items() if not name.startswith("decoder.")},
        "decoder": decoder,
        "classifier": saved.classifier,
        "training": saved.training,
    }
    save_contents(path, contents)


def load_model(path: Path, *, device: str | torch.device = "cpu") -> SavedModel:
    """Read a model file, ours or one that `importers` knows; weights are widened to fp32 and laid on `device`.

    Raises:
        InputNotFoundError: there is no such file.
        DataError: it is damaged, of a newer version, or no model.
        StorageError: it cannot be read.
    """
    return assemble(read_parts(path, widen=True), name=str(path), device=device)


def read_parts(path: Path, *, widen: bool = False) -> ModelParts:
    """Read what a file says of a model, before it is held against the architecture; raises as `load_model`.

    With `widen`, weights of half precision are fp32 as soon as they are read, and never in memory twice.
    """
    parts = import_path(path)
    if parts is not None:
        return parts
    values = read_plain(path, widen=widen)
    parts = None if is_ours(values) else import_values(values, name=str(path))
    if parts is not None:
        return parts
    contents = _checked(values, path)
    if contents.get("kind") not in KINDS:
        kind = told(contents.get("kind"))
        raise DataError(f"{path} is a {kind} file, not a model", hint="give a model.pt or classifier.pt")
    try:
        decoder = {f"decoder.{name}": part for name, part in contents.pop("decoder").items()}
        return ModelParts(
            kind=contents["kind"],
            config=ModelConfig.from_dict(contents["config"]),
            weights=contents.pop("encoder") | decoder,
            rule=TextRule.from_dict(contents["text"]),
            classifier=contents["classifier"],
            training=contents["training"],
        )
    except UNUSABLE as error:
        raise unusable(error, name=str(path)) from error


def save_contents(path: Path, contents: dict[str, Any]) -> None:
    """Write a dict of plain values and tensors atomically.

    Raises:
        OutputError, StorageError: it cannot be written.
        DataError: `load_contents` would refuse it; what was there stays.
    """
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as file, EarlyFlushing(file) as flushing:
            try:
                torch.save(contents, flushing)  # type: ignore[arg-type]  # all it asks for is `write` and `flush`
            except RuntimeError as error:
                raise _reason(error) from error
        check_plain(temporary, name=str(path))


def load_contents(path: Path) -> dict[str, Any]:
    """Read a dict that `save_contents` wrote; nothing in the file is run.

    Raises:
        InputNotFoundError: there is no such file.
        DataError: it is damaged, of a newer version, or not ours.
        StorageError: it cannot be read.
    """
    return _checked(read_plain(path), path)


def is_ours(values: Any) -> bool:
    """Tell whether a file's values are those of a file of ours."""
    return isinstance(values, dict) and values.get("format") == FORMAT


def _checked(values: Any, path: Path) -> dict[str, Any]:
    """Return the values of a file of ours; raises DataError as `load_contents`."""
    if not is_ours(values):
        raise DataError(f"{path} is not a sentneuron model file", hint="give a model.pt or classifier.pt")
    if values.get("version") != VERSION:
        raise DataError(
            f"{path} has format version {told(values.get('version'))}, this program reads {VERSION}",
            hint="update sentneuron",
        )
    contents: dict[str, Any] = values
    return contents


def _stored(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A contiguous copy on the CPU that shares no storage with anything else."""
    return tensor.detach().to("cpu", dtype, copy=True).contiguous()


def _reason(error: BaseException) -> BaseException:
    """Return the system's error behind torch's: its writer, closing, complains about what is missing instead."""
    cause = error.__cause__ or error.__context__
    return error if cause is None or isinstance(error, OSError) else _reason(cause)
