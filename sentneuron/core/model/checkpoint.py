"""Model files: plain dicts, strings, numbers and tensors, readable with `weights_only=True`; the format is in
docs/formats.md.

A file describes itself: architecture, text rule, weights, classifier and training record. Loading runs nothing that is
in the file.
"""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sentneuron.core.atomic import atomic_path
from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, InputNotFoundError, SentneuronError
from sentneuron.core.model.language_model import LanguageModel

FORMAT = "sentneuron"
VERSION = 1
KINDS = ("language-model", "classifier")


@dataclass(kw_only=True)
class SavedModel:
    """What a model file holds."""

    kind: str
    """`language-model` or `classifier`."""
    model: LanguageModel
    rule: TextRule
    """How a text becomes bytes."""
    classifier: dict[str, Any] | None = None
    """Both regressions of `transfer`, and its neurons."""
    training: dict[str, Any] = field(default_factory=dict)
    """Steps, bytes, bits per byte, data fingerprint, versions."""


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
    """Read a model file; weights are widened to fp32 and laid on `device`.

    Raises:
        InputNotFoundError: there is no such file.
        DataError: it is damaged, of a newer version, or no model.
    """
    contents = load_contents(path)
    if contents.get("kind") not in KINDS:
        kind = contents.get("kind")
        raise DataError(f"{path} is a {kind} file, not a model", hint="give a model.pt or classifier.pt")
    try:
        config = ModelConfig.from_dict(contents["config"])
        model = LanguageModel(config)
        state = dict(contents["encoder"])
        state.update({f"decoder.{name}": tensor for name, tensor in contents["decoder"].items()})
        if config.tied:
            state["decoder.weight"] = state["embedding.weight"]
        model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        rule = TextRule.from_dict(contents["text"])
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError, SentneuronError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is not a usable model: {reason}", hint="train or fetch it again") from error
    if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        raise DataError(f"{path} holds weights that are not finite", hint="train or fetch it again")
    return SavedModel(
        kind=contents["kind"],
        model=model.to(device).eval(),
        rule=rule,
        classifier=contents["classifier"],
        training=contents["training"],
    )


def save_contents(path: Path, contents: dict[str, Any]) -> None:
    """Write a dict of plain values and tensors atomically.

    Raises:
        OutputError, StorageError: it cannot be written.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        torch.save(contents, file)


def load_contents(path: Path) -> dict[str, Any]:
    """Read a dict that `save_contents` wrote; nothing in the file is run.

    Raises:
        InputNotFoundError: there is no such file.
        DataError: it is damaged, of a newer version, or not ours.
    """
    if not path.exists():
        raise InputNotFoundError(f"model {path} does not exist", hint="check the path")
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a model file", hint="give a model.pt or classifier.pt")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise DataError(f"{path} is damaged in {damaged}", hint="train or fetch it again")
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except DataError:
        raise
    except Exception as error:  # torch.load and zipfile raise half a dozen unrelated types on foreign bytes
        raise DataError(f"{path} is not a model file of ours, or is damaged", hint="train or fetch it again") from error
    if not isinstance(contents, dict) or contents.get("format") != FORMAT:
        raise DataError(f"{path} is not a sentneuron model file", hint="give a model.pt or classifier.pt")
    if contents.get("version") != VERSION:
        raise DataError(
            f"{path} has format version {contents.get('version')}, this program reads {VERSION}",
            hint="update sentneuron",
        )
    return contents


def _stored(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A contiguous copy on the CPU that shares no storage with anything else."""
    return tensor.detach().to("cpu", dtype, copy=True).contiguous()
