"""Model files: plain dicts, strings, numbers and tensors, readable with `weights_only=True`; the format is in
docs/formats.md.

A file describes itself: architecture, text rule, weights, classifier and training record. Loading runs nothing that is
in the file: `envelope.py` reads it, and what it says is held against the architecture here.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from torch.overrides import TorchFunctionMode

from sentneuron.core.atomic import atomic_path
from sentneuron.core.config import ModelConfig, Pooling
from sentneuron.core.data.text import TextRule
from sentneuron.core.early_flush import EarlyFlushing
from sentneuron.core.errors import DataError, SentneuronError
from sentneuron.core.model.envelope import check_plain, read_plain
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.printable import printable

FORMAT = "sentneuron"
VERSION = 1
KINDS = ("language-model", "classifier")
WEIGHTS = (torch.float32, torch.float16, torch.bfloat16)
MAX_TOLD = 200
"""Letters of what a file says about itself that an error repeats."""


@dataclass(kw_only=True)
class SavedModel:
    """What a model file holds."""

    kind: str
    """`language-model` or `classifier`."""
    model: LanguageModel
    rule: TextRule
    """How a text becomes bytes."""
    classifier: dict[str, Any] | None = None
    """Both regressions of `transfer`, its neurons and their scale."""
    training: dict[str, Any] = field(default_factory=dict)
    """Steps, bytes, bits per byte, data fingerprint, versions."""

    @property
    def all_layers(self) -> bool:
        """The classifier's features are those of all layers."""
        return bool(self.classifier and self.classifier["all_layers"])


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
        StorageError: it cannot be read.
    """
    contents = load_contents(path)
    if contents.get("kind") not in KINDS:
        kind = _told(contents.get("kind"))
        raise DataError(f"{path} is a {kind} file, not a model", hint="give a model.pt or classifier.pt")
    try:
        config = ModelConfig.from_dict(contents["config"])
        weights = contents.pop("encoder") | {f"decoder.{name}": part for name, part in contents.pop("decoder").items()}
        model = _build(config, weights)
        rule = TextRule.from_dict(contents["text"])
        classifier, training = contents["classifier"], contents["training"]
        if classifier is not None:
            _check_classifier(classifier, config)
        if not isinstance(training, dict):
            raise TypeError("training is no record")
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError, SentneuronError) as error:
        raise DataError(f"{path} is not a usable model: {_told(error)}", hint="train or fetch it again") from error
    return SavedModel(
        kind=contents["kind"], model=model.to(device).eval(), rule=rule, classifier=classifier, training=training
    )


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
    contents = read_plain(path)
    if not isinstance(contents, dict) or contents.get("format") != FORMAT:
        raise DataError(f"{path} is not a sentneuron model file", hint="give a model.pt or classifier.pt")
    if contents.get("version") != VERSION:
        raise DataError(
            f"{path} has format version {_told(contents.get('version'))}, this program reads {VERSION}",
            hint="update sentneuron",
        )
    return contents


class _ShapesOnly(TorchFunctionMode):
    """Leaves out drawing an embedding, for which torch imports its compiler on "meta", which takes two seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return None if func is torch.nn.init.normal_ else func(*args, **(kwargs or {}))


def _build(config: ModelConfig, weights: dict[str, Any]) -> LanguageModel:
    """Return a model with these weights in fp32, which are taken out of the dict.

    Raises:
        ValueError: they are not those of the config; names the first.
    """
    with torch.device("meta"), _ShapesOnly():  # the config may claim any size; only the weights take memory
        model = LanguageModel(config)
    wanted = dict(model.named_parameters())  # a tied weight once
    for name in sorted(wanted.keys() | weights.keys(), key=str):
        if name not in wanted:
            raise ValueError(f"{name} is no weight of such a model")
        _require_tensor(weights.get(name), tuple(wanted[name].shape), name=name)
    state = {name: weights.pop(name).float() for name in wanted}
    if config.tied:
        state["decoder.weight"] = state["embedding.weight"]
    model.load_state_dict(state, assign=True)
    if config.tied:
        model.decoder.weight = model.embedding.weight
    return model


def _check_classifier(values: dict[str, Any], config: ModelConfig) -> None:
    """Check the shapes of both regressions and the numbers of the neurons.

    Raises:
        ValueError, KeyError, TypeError: one is not as docs/formats.md says.
    """
    classes, few, scale = values["classes"], values["neurons"], values["scale"]
    multi_label, all_layers = values["multi_label"], values["all_layers"]
    if type(multi_label) is not bool or type(all_layers) is not bool:
        raise ValueError("multi_label or all_layers is neither true nor false")
    least = 1 if multi_label else 2
    if not (isinstance(classes, list) and len(classes) >= least and all(isinstance(name, str) for name in classes)):
        raise ValueError(f"classes are not {least} names or more")
    if values["pooling"] not in get_args(Pooling):
        raise ValueError("pooling is unknown")
    num_features = config.nhid * (config.nlayers if all_layers else 1)
    if not few["indices"] or not all(_is_index(index, num_features) for index in few["indices"]):
        raise ValueError(f"indices are not those of {num_features} units")
    if not _is_index(values["sentiment_neuron"], num_features):
        raise ValueError(f"sentiment_neuron is none of {num_features} units")
    _require_tensor(scale, (num_features,), name="scale")
    if scale.min() <= 0:
        raise ValueError("scale is not above zero everywhere")
    num_rows = 1 if len(classes) == 2 and not multi_label else len(classes)
    for part, regression, width in (("all", values["all"], num_features), ("neurons", few, len(few["indices"]))):
        _require_tensor(regression["weight"], (num_rows, width), name=f"{part}.weight")
        _require_tensor(regression["bias"], (num_rows,), name=f"{part}.bias")
        if not math.isfinite(regression["C"]):
            raise ValueError(f"{part}.C is not finite")


def _is_index(value: Any, count: int) -> bool:
    """Tell whether a value is a number from 0 to below `count`."""
    return type(value) is int and 0 <= value < count


def _require_tensor(part: Any, shape: tuple[int, ...], *, name: str) -> None:
    """Check a tensor of weights.

    Raises:
        ValueError: it is missing, or its shape, type or numbers cannot be used.
    """
    if not isinstance(part, torch.Tensor):
        raise ValueError(f"{name} is missing")
    if tuple(part.shape) != shape:
        raise ValueError(f"{name} is {list(part.shape)}, not {list(shape)}")
    if part.dtype not in WEIGHTS:
        raise ValueError(f"{name} is of type {part.dtype}")
    # Both are NaN where one number is; isfinite would take memory, and fifteen times as long.
    if part.numel() and not all(map(math.isfinite, part.aminmax())):
        raise ValueError(f"{name} holds numbers that are not finite")


def _told(value: object) -> str:
    """Return what a file says, or an error about it, fit for a line on a terminal."""
    return printable(" ".join(str(value).split())[:MAX_TOLD])


def _stored(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A contiguous copy on the CPU that shares no storage with anything else."""
    return tensor.detach().to("cpu", dtype, copy=True).contiguous()


def _reason(error: BaseException) -> BaseException:
    """Return the system's error behind torch's: its writer, closing, complains about what is missing instead."""
    cause = error.__cause__ or error.__context__
    return error if cause is None or isinstance(error, OSError) else _reason(cause)
