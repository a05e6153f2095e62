"""The classifiers in NVIDIA's files: regressions, or networks, on the final cell state or hidden state.

The earlier generation fits a logistic regression: `weight` [K, F], `bias` [K], at times the `neurons` that it is
restricted to, and `thresholds`. The later one trains a network, whose settings stand beside it: layers under `model`,
with one PReLU for all of them (`nonlinearity`); the last layer is also `final_layer`, and alone it is a regression.

Probabilities above a row's threshold t say yes: the bias is lowered by logit(t), so that 0.5 decides the same.

Source: github.com/NVIDIA/sentiment-discovery, model/sentiment_classifier.py, transfer.py, finetune_classifier.py.
"""

import math
import re
from typing import Any

import torch
from torch import Tensor

from sentneuron.core.config import ModelConfig
from sentneuron.core.config.reading import LABEL_KEYS
from sentneuron.core.errors import DataError
from sentneuron.core.model.assembly import told
from sentneuron.core.model.classifier_parts import feature_weights, make_network

ALWAYS = 1e4
"""Added to a score it decides alone: for thresholds of 0 and 1."""

_MATRIX = re.compile(r"model\.(\d+)\.weight")


class _LeftOut(Exception):
    """The classifier is something else; says what."""


def read_classifier(
    head: dict[str, Any], settings: dict[str, Any], config: ModelConfig, *, name: str
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return the `classifier` of a model file of ours, and what is to be noted of the import.

    `head` is what the file `name` has under `classifier`, by dotted names; `settings` are the training's, where it has
    them. None where there is no classifier, or one that our regressions cannot express: `left_out` says what it is.

    Raises:
        DataError: an array is missing or misshapen.
    """
    head = {key.removeprefix("sd.").removeprefix("dense0."): part for key, part in head.items()}
    if not head:
        return None, {}
    try:
        _require_plain_features(settings)
        return _regressions(head, settings, config, name=name)
    except _LeftOut as reason:
        return None, {"left_out": str(reason)}
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise _wrong(name, f"its classifier cannot be read ({told(error)})") from error


def _regressions(
    head: dict[str, Any], settings: dict[str, Any], config: ModelConfig, *, name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the classifier and the notes; raises _LeftOut and DataError."""
    is_network = any(key.startswith(("final_layer.", "model.")) for key in head)
    hidden, weight, bias = _network(head, name=name) if is_network else ([], *_arrays(head, "", name=name))
    if bias.shape != (len(weight),):
        raise _wrong(name, f"classifier.bias is {list(bias.shape)}, not {[len(weight)]}")
    if is_network:
        weight, bias = _joined(weight, bias, settings)
    thresholds = _thresholds(head, len(weight))
    entry = hidden[0][0] if hidden else weight
    entry, neurons, all_layers = _on_all_features(entry, None if hidden else head.get("neurons"), config, name=name)
    bias = bias - torch.tensor([_logit(threshold) for threshold in thresholds])
    classes, multi_label = _classes(settings, len(weight), is_network=is_network)
    every = {"weight": weight if hidden else entry, "bias": bias, "C": None}
    network = make_network(hidden, _slope(head)) if hidden else None
    heaviest = int(feature_weights({"all": every, "network": network}).abs().sum(dim=0).argmax())
    neurons = neurons or [heaviest]
    few = {"indices": neurons, "weight": entry[:, neurons].contiguous(), "bias": bias.clone(), "C": None}
    classifier = {
        "classes": classes,
        "multi_label": multi_label,
        "pooling": "hidden" if settings.get("get_hidden") else "last",
        "all_layers": all_layers,
        "network": network,
        "all": every,
        "neurons": None if hidden else few,
        "sentiment_neuron": heaviest,
        "scale": None,
    }
    return classifier, {"thresholds": thresholds} if any(threshold != 0.5 for threshold in thresholds) else {}


def _require_plain_features(settings: dict[str, Any]) -> None:
    """Check that the classifier stands on a final state; raises _LeftOut."""
    pools = [key for key in ("concat_max", "concat_min", "concat_mean") if settings.get(key)]
    if pools:
        raise _LeftOut(f"one on pooled states ({', '.join(pools)})")
    if settings.get("num_hidden_warmup"):
        raise _LeftOut("one on texts that are read more than once")


def _network(head: dict[str, Any], *, name: str) -> tuple[list[tuple[Tensor, Tensor]], Tensor, Tensor]:
    """Return weight and bias of each hidden layer, and those of the last layer, which stands among `model`, too.

    Raises:
        DataError: one is missing, or does not fit the one below.
    """
    matches = {_MATRIX.fullmatch(key): part for key, part in head.items() if isinstance(part, Tensor)}
    numbers = sorted(int(match[1]) for match, part in matches.items() if match and part.dim() == 2)
    places = [*(f"model.{number}." for number in numbers[:-1]), "final_layer."]
    layers = [_arrays(head, place, name=name) for place in places]
    for place, (below, _), (weight, _) in zip(places[1:], layers, layers[1:], strict=False):
        if weight.shape[1] != len(below):
            raise _wrong(name, f"classifier.{place}weight has {weight.shape[1]} columns, not {len(below)}")
    return layers[:-1], *layers[-1]


def _slope(head: dict[str, Any]) -> float:
    """Return what negative numbers are multiplied by between layers; raises _LeftOut."""
    slope = head.get("nonlinearity.weight")
    if not isinstance(slope, Tensor) or slope.numel() != 1:
        raise _LeftOut("a network with another nonlinearity than PReLU")
    return slope.item()


def _joined(weight: Tensor, bias: Tensor, settings: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Return a network's rows, a softmax over two classes as one; raises _LeftOut."""
    heads = settings.get("heads_per_class", 1)
    if heads != 1:
        raise _LeftOut(f"one of {heads} heads a class")
    if not settings.get("use_softmax"):
        return weight, bias
    if len(weight) != 2:
        raise _LeftOut(f"a softmax over {len(weight)} classes")
    return weight[1:] - weight[:1], bias[1:] - bias[:1]


def _arrays(head: dict[str, Any], prefix: str, *, name: str) -> tuple[Tensor, Tensor]:
    """Return weight and bias in fp32; raises DataError."""
    weight, bias = head.get(f"{prefix}weight"), head.get(f"{prefix}bias")
    if not isinstance(weight, Tensor) or weight.dim() != 2:
        raise _wrong(name, f"classifier.{prefix}weight is missing, or no matrix of classes and features")
    if not isinstance(bias, Tensor):
        raise _wrong(name, f"classifier.{prefix}bias is missing, which is {[len(weight)]}")
    return weight.float().contiguous(), bias.float()


def _thresholds(head: dict[str, Any], num_rows: int) -> list[float]:
    """Return a threshold a row; raises _LeftOut where a text has two, and what lies between is neutral."""
    if head.get("dual_threshold") or head.get("double_threshold"):
        raise _LeftOut("one with a neutral class between two thresholds")
    given = head.get("thresholds")
    if given is None:
        return [0.5] * num_rows
    found = torch.as_tensor(given, dtype=torch.float32).flatten().tolist()
    if len(found) != num_rows or not all(0 <= threshold <= 1 for threshold in found):
        raise _LeftOut(f"one with {len(found)} thresholds for {num_rows} rows")
    return [round(threshold, 6) for threshold in found]


def _logit(threshold: float) -> float:
    if threshold in (0, 1):
        return math.copysign(ALWAYS, threshold - 0.5)
    return math.log(threshold / (1 - threshold))


def _on_all_features(weight: Tensor, neurons: Any, config: ModelConfig, *, name: str) -> tuple[Tensor, list[int], bool]:
    """Return the weights on all features, zero but on the `neurons` of the file; those; whether of all layers."""
    indices = [] if neurons is None else [int(index) for index in torch.as_tensor(neurons).flatten()]
    width, units = weight.shape[1], config.nhid
    if indices and width == len(indices):
        all_layers, size = max(indices) >= units, units * config.nlayers
    else:
        all_layers, size = width != units, width
    if size not in (units, units * config.nlayers) or not all(0 <= index < size for index in indices):
        wanted = " or ".join(str(number * units) for number in sorted({1, config.nlayers}))
        raise _wrong(name, f"classifier.weight stands on {width} features, not {wanted}")
    if not indices:
        return weight, [], all_layers
    size = config.num_features(all_layers=all_layers)
    spread = torch.zeros(len(weight), size)
    spread[:, indices] = weight if width == len(indices) else weight[:, indices]
    return spread, indices, all_layers


def _classes(settings: dict[str, Any], num_rows: int, *, is_network: bool) -> tuple[list[str], bool]:
    """Return the classes' names, and whether several may hold."""
    given = settings.get("classes") or settings.get("non_binary_cols")
    names = [str(name) for name in given] if isinstance(given, list | tuple) else []
    if num_rows == 1:
        if len(names) == 1 and names[0].lower() not in (*LABEL_KEYS, ""):
            return names, True
        return names if len(names) == 2 else ["negative", "positive"], False
    if num_rows == 2 and not is_network:
        raise _LeftOut("a regression of two rows")
    if len(names) != num_rows:
        names = [str(number) for number in range(num_rows)]
    return names, is_network


def _wrong(name: str, what: str) -> DataError:
    return DataError(f"{name} is no whole NVIDIA model: {what}", hint="fetch or save it again")
