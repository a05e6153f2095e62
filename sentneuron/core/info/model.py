"""What a model file says of itself, and what a run that can be resumed does.

A model is read as every command reads it, checksums and numbers included: what is described here can be used. It takes
the file's size in memory, and about a second for a gigabyte. Of a run's file the numbers, three times a model's, are
passed over.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sentneuron.core.config import Pooling
from sentneuron.core.errors import DataError
from sentneuron.core.model.assembly import SavedModel, assemble
from sentneuron.core.model.checkpoint import is_ours, read_parts
from sentneuron.core.model.classifier_parts import asked_neurons, feature_weights, few_indices, layers_of
from sentneuron.core.model.envelope import read_outline
from sentneuron.core.model.places import TensorPlace
from sentneuron.core.training.resume import GLOBAL_BATCH, unusable
from sentneuron.core.transfer.probe import heaviest_neurons

PRECISIONS = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
MAX_WEIGHTS = 10
"""Neurons that are named with their weights."""


@dataclass(frozen=True)
class NeuronInfo:
    """A neuron in a regression."""

    neuron: int
    weight: list[float]
    """One a row of the regression."""


@dataclass(frozen=True, kw_only=True)
class RegressionInfo:
    """One of a classifier's two regressions."""

    C: float | None
    """Inverse strength of the penalty; None where whoever made it does not say."""
    neurons: int
    """Those with a weight that is not zero."""
    heaviest: list[NeuronInfo]
    """At most MAX_WEIGHTS of them, heaviest first."""


@dataclass(frozen=True, kw_only=True)
class ClassifierInfo:
    """What a classifier tells apart, and by which neurons."""

    classes: list[str]
    multi_label: bool
    pooling: Pooling
    all_layers: bool
    features: int
    """Neurons to choose from."""
    hidden_layers: list[int]
    """Widths of the layers between the features and the regression; mostly none."""
    all_neurons: RegressionInfo
    """With hidden layers their weights are multiplied in."""
    few_neurons: RegressionInfo | None
    """None with hidden layers."""
    few: int
    """Neurons that the second regression was asked for."""
    is_dropped: bool
    """The second regression stands on all but these."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A model file, folder or archive."""

    path: str
    bytes: int
    """On the disk."""
    kind: str
    config: dict[str, Any]
    parameters: int
    precision: str
    """Of the weights as they are stored; of `.npy` arrays, which are widened as they are read, always fp32."""
    text: dict[str, Any]
    """The text rule."""
    imported: dict[str, Any]
    """Whose layout it is, where it is not ours."""
    training: dict[str, Any]
    """The record of how it was made, without `imported`."""
    sentiment_neuron: int | None
    classifier: ClassifierInfo | None


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """A resume file: a run of `train` that can go on."""

    path: str
    bytes: int
    """On the disk."""
    step: int
    is_finished: bool
    parameters: int
    seconds: float | None
    bits_per_byte: float | None
    valid_bits_per_byte: float | None
    """The best so far."""
    streams: int
    """The global batch."""
    settings: dict[str, Any]
    """All that decides the result, the data's fingerprints included."""


def is_run(path: Path) -> bool:
    """Tell whether a file is a resume file; it is not where it cannot be read, which `describe_model` explains."""
    try:
        values = read_outline(path)
    except DataError:
        return False
    return is_ours(values) and values.get("kind") == "resume"


def describe_model(path: Path) -> ModelInfo:
    """Describe a model, ours or one that `importers` knows.

    Raises:
        InputNotFoundError, DataError, StorageError: as `load_model`.
    """
    parts = read_parts(path)
    dtypes = [weight.dtype for weight in parts.weights.values() if isinstance(weight, torch.Tensor)]
    saved = assemble(parts, name=str(path))
    return ModelInfo(
        path=str(path),
        bytes=_bytes_on_disk(path),
        kind=saved.kind,
        config=saved.model.config.to_dict(),
        parameters=sum(parameter.numel() for parameter in saved.model.parameters()),
        precision=" and ".join(PRECISIONS[dtype] for dtype, _ in Counter(dtypes).most_common()),
        text=saved.rule.to_dict(),
        imported=saved.imported,
        training={name: value for name, value in saved.training.items() if name != "imported"},
        sentiment_neuron=saved.sentiment_neuron,
        classifier=None if saved.classifier is None else _classifier(saved, saved.classifier),
    )


def describe_run(path: Path) -> RunInfo:
    """Describe a resume file; its numbers are not read.

    Raises:
        InputNotFoundError, DataError, StorageError: as `read_outline`.
    """
    values = read_outline(path)
    state = values.get("state")
    identity = state.get("identity") if isinstance(state, dict) else None
    weights = state.get("model") if isinstance(state, dict) else None
    if not isinstance(state, dict) or not isinstance(identity, dict) or not isinstance(weights, dict):
        raise unusable(path, "it is no resume file")
    step, streams = state.get("step"), identity.get(GLOBAL_BATCH)
    if type(step) is not int or type(streams) is not int:
        raise unusable(path, "it does not say where the run stands")
    return RunInfo(
        path=str(path),
        bytes=path.stat().st_size,
        step=step,
        is_finished=state.get("is_finished") is True,
        parameters=sum(place.count for place in weights.values() if isinstance(place, TensorPlace)),
        seconds=_number(state.get("seconds")),
        bits_per_byte=_number(state.get("bits_per_byte")),
        valid_bits_per_byte=_number(state.get("best_valid")),
        streams=streams,
        settings=identity,
    )


def _classifier(saved: SavedModel, values: dict[str, Any]) -> ClassifierInfo:
    """Describe a classifier whose shapes were checked."""
    num_features = saved.model.config.num_features(all_layers=saved.all_layers)
    indices = few_indices(values)
    few, is_dropped = asked_neurons(values, num_features)
    return ClassifierInfo(
        classes=values["classes"],
        multi_label=values["multi_label"],
        pooling=values["pooling"],
        all_layers=saved.all_layers,
        features=num_features,
        hidden_layers=[len(bias) for _, bias in layers_of(values)],
        all_neurons=_regression(values["all"] | {"weight": feature_weights(values)}, list(range(num_features))),
        few_neurons=_regression(values["neurons"], indices) if indices else None,
        few=few,
        is_dropped=is_dropped,
    )


def _regression(values: dict[str, Any], neurons: list[int]) -> RegressionInfo:
    """Describe a regression on these neurons."""
    weight = values["weight"].float().numpy()
    num_used = int((weight != 0).any(axis=0).sum())
    heaviest = heaviest_neurons(weight, min(num_used, MAX_WEIGHTS))
    return RegressionInfo(
        C=_number(values["C"]),
        neurons=num_used,
        heaviest=[NeuronInfo(neurons[column], weight[:, column].tolist()) for column in heaviest],
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _bytes_on_disk(path: Path) -> int:
    """Return the size of a file, or of the files right inside a folder."""
    files = [entry for entry in path.iterdir() if entry.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
