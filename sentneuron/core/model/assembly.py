"""A model put together from what a file says of it, ours or another's: every part is checked before it is used."""

import math
from dataclasses import dataclass, field
from typing import Any, get_args

import torch
from torch.overrides import TorchFunctionMode

from sentneuron.core.config import ModelConfig, Pooling
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, SentneuronError
from sentneuron.core.model.classifier_parts import layers_of
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.printable import printable

WEIGHTS = (torch.float32, torch.float16, torch.bfloat16)
UNUSABLE = (KeyError, TypeError, AttributeError, RuntimeError, ValueError, SentneuronError)
"""What a file that is no model makes of the code that reads it."""
MAX_TOLD = 200
"""Letters of what a file says about itself that an error repeats."""


@dataclass(kw_only=True)
class ModelParts:
    """What a file says of a model, in our own terms; nothing is checked yet."""

    kind: str
    """`language-model` or `classifier`."""
    config: ModelConfig
    weights: dict[str, Any]
    """Tensors by their names in `LanguageModel`, of any floating type in `WEIGHTS`; a tied weight once."""
    rule: TextRule
    classifier: dict[str, Any] | None = None
    training: dict[str, Any] = field(default_factory=dict)


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
    """Steps, bytes, bits per byte, data fingerprint, versions; of a model from elsewhere what its importer noted."""

    @property
    def all_layers(self) -> bool:
        """The classifier's features are those of all layers."""
        return bool(self.classifier and self.classifier["all_layers"])

    @property
    def sentiment_neuron(self) -> int | None:
        """The classifier's heaviest neuron, else the one that such a model is known for; None where nothing says."""
        source = self.training if self.classifier is None else self.classifier
        neuron: int | None = source.get("sentiment_neuron")
        return neuron

    @property
    def imported(self) -> dict[str, Any]:
        """What the importer noted of a file from elsewhere; empty for a model of ours."""
        noted: dict[str, Any] = self.training.get("imported", {})
        return noted

    @property
    def has_decoder(self) -> bool:
        """The file held one: without it nothing can be generated, and the decoder's weights are zeros."""
        return self.imported.get("decoder", True) is not False


def assemble(parts: ModelParts, *, name: str, device: str | torch.device = "cpu") -> SavedModel:
    """Return the model of a file called `name`, in fp32 on `device`; the weights are taken out of `parts`.

    Raises:
        DataError: a part is missing, misshapen or not finite; names the first.
    """
    try:
        model = _build(parts.config, parts.weights)
        if parts.classifier is not None:
            _check_classifier(parts.classifier, parts.config)
        _check_training(parts.training, parts.config)
    except UNUSABLE as error:
        raise unusable(error, name=name) from error
    return SavedModel(
        kind=parts.kind,
        model=model.to(device).eval(),
        rule=parts.rule,
        classifier=parts.classifier,
        training=parts.training,
    )


def unusable(error: Exception, *, name: str) -> DataError:
    """Return the error for a file that says it is a model and is none."""
    return DataError(f"{name} is not a usable model: {told(error)}", hint="train or fetch it again")


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
    state = {name: weights.pop(name).float().contiguous() for name in wanted}
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
    num_features = config.num_features(all_layers=all_layers)
    width = _check_network(values, num_features)
    num_rows = 1 if len(classes) == 2 and not multi_label else len(classes)
    _check_regression(values["all"], (num_rows, width), name="all")
    if values.get("network") is None or few is not None:
        if not few["indices"] or not all(_is_index(index, num_features) for index in few["indices"]):
            raise ValueError(f"indices are not those of {num_features} units")
        _check_regression(few, (num_rows, len(few["indices"])), name="neurons")
    if not _is_index(values["sentiment_neuron"], num_features):
        raise ValueError(f"sentiment_neuron is none of {num_features} units")
    if scale is not None:
        _require_tensor(scale, (num_features,), name="scale")
        if scale.min() <= 0:
            raise ValueError("scale is not above zero everywhere")


def _check_network(values: dict[str, Any], num_features: int) -> int:
    """Check the hidden layers, where there are some; return the width that the regression stands on."""
    if values.get("network") is None:
        return num_features
    if not math.isfinite(values["network"]["slope"]):
        raise ValueError("network.slope is not finite")
    for number, (weight, bias) in enumerate(layers_of(values)):
        _require_tensor(weight, (len(weight), num_features), name=f"network.layers.{number}.weight")
        num_features = len(weight)
        _require_tensor(bias, (num_features,), name=f"network.layers.{number}.bias")
    return num_features


def _check_regression(values: dict[str, Any], shape: tuple[int, int], *, name: str) -> None:
    """Check a regression's weight of this shape, its bias and its C."""
    _require_tensor(values["weight"], shape, name=f"{name}.weight")
    _require_tensor(values["bias"], shape[:1], name=f"{name}.bias")
    if values["C"] is not None and not math.isfinite(values["C"]):
        raise ValueError(f"{name}.C is not finite")


def _check_training(values: Any, config: ModelConfig) -> None:
    """Check what is read of a training record again; raises TypeError or ValueError."""
    if not isinstance(values, dict) or not isinstance(values.get("imported", {}), dict):
        raise TypeError("training is no record")
    neuron = values.get("sentiment_neuron")
    if neuron is not None and not _is_index(neuron, config.nhid):
        raise ValueError(f"sentiment_neuron is none of {config.nhid} units")


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


def told(value: object) -> str:
    """Return what a file says, or an error about it, fit for a line on a terminal."""
    return printable(" ".join(str(value).split())[:MAX_TOLD])
