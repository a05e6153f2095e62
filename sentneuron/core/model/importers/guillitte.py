"""guillitte's port of OpenAI's model: eight arrays, or the plain state dicts of its two modules.

Matrices are effective ones, their weight norm already computed; gates i, f, o, u. The arrays are (in, out), the state
dicts' matrices (out, in). The published `mlstm_ns.pt` pickles the modules themselves, which is code, and is refused
before it comes here. The program adds the layers' outputs up, ours feeds one to the next: a single layer is read. It
cleans no text; the weights are OpenAI's, and so is the text rule.

Source: load_from_numpy.py and models.py in github.com/guillitte/pytorch-sentiment-neuron.
"""

from typing import Any

import torch
from torch import Tensor

from sentneuron.core.errors import DataError
from sentneuron.core.model.assembly import ModelParts, told, unusable
from sentneuron.core.model.importers.array_files import ArrayFiles, Described
from sentneuron.core.model.importers.openai import in_our_order, parts_of, read_columns, read_rows

ORIGIN = "guillitte's port"
LAYOUT = {
    "embd": Described("embedding", ("256", "E")),
    "wx": Described("input to gates", ("E", "4H")),
    "wh": Described("m to gates", ("H", "4H")),
    "b0": Described("bias of the gates", ("4H",)),
    "wmx": Described("input to m", ("E", "H")),
    "wmh": Described("state to m", ("H", "H")),
    "w": Described("output weights", ("H", "256")),
    "b": Described("output bias", ("256",)),
}
MARKS = {"embd", "wmx", "wmh"}
"""Names that no other arrays are likely to have."""
STATE_DICTS = {
    "embed": {"weight": "embedding.weight"},
    "rnn": {
        "layer_0.wx.weight": "layers.0.weight_ih",
        "layer_0.wh.weight": "layers.0.weight_hh",
        "layer_0.wh.bias": "layers.0.bias",
        "layer_0.wmx.weight": "layers.0.weight_mih",
        "layer_0.wmh.weight": "layers.0.weight_mhh",
        "h2o.weight": "decoder.weight",
        "h2o.bias": "decoder.bias",
    },
}
"""Its modules' names for our weights."""


def import_arrays(files: ArrayFiles) -> ModelParts:
    """Read the model from its arrays.

    Raises:
        DataError: one is missing, misshapen, or damaged; names the first.
    """
    sizes = files.check(LAYOUT, origin=ORIGIN)
    weights = {
        "embedding.weight": read_rows(files, "embd"),
        "layers.0.weight_ih": in_our_order(read_columns(files, "wx")),
        "layers.0.weight_hh": in_our_order(read_columns(files, "wh")),
        "layers.0.bias": in_our_order(read_rows(files, "b0")),
        "layers.0.weight_mih": read_columns(files, "wmx"),
        "layers.0.weight_mhh": read_columns(files, "wmh"),
        "decoder.weight": read_columns(files, "w"),
        "decoder.bias": read_rows(files, "b"),
    }
    return parts_of(weights, sizes, name=files.name, layout="guillitte", weight_norm=False)


def import_state_dicts(values: Any, *, name: str) -> ModelParts | None:
    """Read the model from `{"rnn": rnn.state_dict(), "embed": embed.state_dict()}`; None where it is none of these.

    What else stands beside them (`opt`, `epoch`) is left alone; weights are taken out of `values`.

    Raises:
        DataError: a weight is missing, or not one of a single layer of its mLSTM; names the first.
    """
    is_own = isinstance(values, dict) and isinstance(values.get("rnn"), dict) and isinstance(values.get("embed"), dict)
    if not is_own or "h2o.weight" not in values["rnn"]:
        return None
    weights: dict[str, Tensor] = {}
    for part, names in STATE_DICTS.items():
        found = values[part]
        for theirs in sorted(found.keys() - names.keys(), key=str):
            raise DataError(
                f"{name}: {part} holds {told(theirs)}; of {ORIGIN} a single mLSTM layer is read",
                hint="give a model of one mLSTM layer",
            )
        for theirs, ours in names.items():
            if not isinstance(found.get(theirs), Tensor):
                raise DataError(f"{name}: {part} has no {theirs}", hint=f"give both state dicts of {ORIGIN}, whole")
            weights[ours] = _wide(found.pop(theirs))
    try:
        for ours in ("layers.0.weight_ih", "layers.0.weight_hh", "layers.0.bias"):
            weights[ours] = in_our_order(weights[ours].clone())  # in the file it may share its numbers
        sizes = {"H": weights["layers.0.weight_mhh"].shape[0], "E": weights["embedding.weight"].shape[1]}
    except (RuntimeError, ValueError, IndexError) as error:  # not of four blocks, or of too few dimensions
        raise unusable(error, name=name) from error
    return parts_of(weights, sizes, name=name, layout="guillitte", weight_norm=False)


def _wide(tensor: Tensor) -> Tensor:
    """Return a tensor of doubles in fp32, any other as it is."""
    return tensor.float() if tensor.dtype == torch.float64 else tensor
