"""The layout of NVIDIA's sentiment-discovery, its first generation: embedding, recurrent layers and decoder as state
dicts within a dict, beside them a classifier's.

It holds mLSTMs, LSTMs and GRUs of any number of layers, and a classifier of two exclusive classes on the final cell
state, by all its neurons. A tied weight is written twice, as they do. Their models have biases twice or not at all;
ours, where it is not zero, becomes the first of the two.

Source: model/model.py and model/sentiment_classifier_old.py in github.com/NVIDIA/sentiment-discovery.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sentneuron.core.errors import DataError
from sentneuron.core.model.assembly import SavedModel
from sentneuron.core.model.checkpoint import save_contents
from sentneuron.core.model.importers.nvidia import MATRICES
from sentneuron.core.model.recurrent import RecurrentLayer

THEIR_NAMES = {ours: theirs for theirs, ours in MATRICES.items()}
"""Of the matrices; both are (out, in) with gates i, f, g, o."""
UNNAMED = ["negative", "positive"]
"""What the two classes of such a file are called."""


def export_nvidia(path: Path, saved: SavedModel) -> list[str]:
    """Write the file; return what it has no place for.

    Raises:
        DataError: the layout cannot hold such a model.
        OutputError, StorageError: it cannot be written.
    """
    _check_holds(saved)
    model, classifier = saved.model, saved.classifier
    rnn: dict[str, Tensor] = {}
    for number, layer in enumerate(model.recurrent_layers):
        rnn |= {f"rnns.{number}.{name}": tensor for name, tensor in _layer(layer).items()}
    contents: dict[str, Any] = {"encoder": {"encoder": {"weight": _own(model.embedding.weight)}, "rnn": rnn}}
    if saved.has_decoder:
        contents["decoder"] = {"weight": _own(model.decoder.weight), "bias": _own(model.decoder.bias)}
    left_out = [] if saved.rule.name == "nvidia" else [f"the text rule ({saved.rule.name})"]
    if classifier is not None:
        every = classifier["all"]
        contents["classifier"] = {"weight": _own(every["weight"]), "bias": _own(every["bias"]), "neurons": None}
        left_out += ["the classes' names"] if classifier["classes"] != UNNAMED else []
        left_out += ["the second regression"]
        left_out += ["the neurons' scale"] if classifier["scale"] is not None else []
    save_contents(path, contents)
    return left_out + (["the training record"] if saved.training else [])


def _check_holds(saved: SavedModel) -> None:
    """Check that the layout can hold the model; raises DataError."""
    values, cell = saved.classifier or {}, saved.model.config.model
    reasons = {
        f"has {cell} cells, which the layout does not tell from others": cell in ("RNNTanh", "RNNReLU"),
        "has a classifier with hidden layers": values.get("network"),
        "has a classifier of several labels": values.get("multi_label"),
        "has a classifier of more than two classes": len(values.get("classes", ())) > 2,
        "has a classifier on mean or hidden states, and the layout one on final cell states": values.get(
            "pooling", "last"
        )
        != "last",
    }
    for reason, holds in reasons.items():
        if holds:
            raise DataError(f"NVIDIA's layout cannot hold the model: it {reason}", hint="give --format safetensors")


def _layer(layer: RecurrentLayer) -> dict[str, Tensor]:
    """Return a layer's tensors under their names; lengths are a column."""
    found = {}
    for name, tensor in layer.named_parameters():
        matrix, ending = (name[:-2], name[-2:]) if layer.weight_norm and name != "bias" else (name, "")
        if matrix in THEIR_NAMES:
            found[THEIR_NAMES[matrix] + ending] = _own(tensor.unsqueeze(1) if ending == "_g" else tensor)
    if layer.bias.any():
        found |= {"b_ih": _own(layer.bias), "b_hh": torch.zeros(len(layer.bias))}
    return found


def _own(tensor: Tensor) -> Tensor:
    """Return numbers in fp32 that share no memory with another tensor's, as the file must."""
    return tensor.detach().float().cpu().clone(memory_format=torch.contiguous_format)
