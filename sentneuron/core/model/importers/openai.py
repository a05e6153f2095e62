"""OpenAI's model: 15 arrays, `0.npy` to `14.npy`; matrices (in, out), gates i, f, o, u, weight norm on all four.

Their weight norm divides a column by max(its length, 1e-6), ours by its length. The two differ only for a column
shorter than that, whose gain is scaled here to give the same; and one of zeros gets a direction, and the gain 0.

Source: `mlstm` and `load_params` in encoder.py of github.com/openai/generating-reviews-discovering-sentiment;
`tf.nn.l2_normalize`, x / sqrt(max(sum(x**2), 1e-12)).
"""

import torch
from torch import Tensor

from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import UsageError
from sentneuron.core.model.assembly import ModelParts, unusable
from sentneuron.core.model.importers.array_files import ArrayFiles, Described, Sizes

ORIGIN = "OpenAI's model"
LAYOUT = {
    "0": Described("embedding", ("256", "E")),
    "1": Described("wx", ("E", "4H")),
    "2": Described("wh, columns of gate i", ("H", "H")),
    "3": Described("wh, columns of gate f", ("H", "H")),
    "4": Described("wh, columns of gate o", ("H", "H")),
    "5": Described("wh, columns of gate u", ("H", "H")),
    "6": Described("wmx", ("E", "H")),
    "7": Described("wmh", ("H", "H")),
    "8": Described("b", ("4H",)),
    "9": Described("gx", ("4H",)),
    "10": Described("gh", ("4H",)),
    "11": Described("gmx", ("H",)),
    "12": Described("gmh", ("H",)),
    "13": Described("output w", ("H", "256")),
    "14": Described("output b", ("256",)),
}
MATRICES = {
    "weight_ih": (("1",), "9"),
    "weight_hh": (("2", "3", "4", "5"), "10"),
    "weight_mih": (("6",), "11"),
    "weight_mhh": (("7",), "12"),
}
"""Our matrices, the arrays of their columns, and that of their gains."""
EPSILON = 1e-6
PUBLISHED = {"E": 64, "H": 4096}
SENTIMENT_NEURON = 2388
"""Of the published model. Source: Radford et al. 2017, "Learning to generate reviews and discovering sentiment",
arXiv:1704.01444, counted from 0 as in `sst_binary_demo.py`."""


def import_openai(files: ArrayFiles) -> ModelParts:
    """Read the model.

    Raises:
        DataError: an array is missing, misshapen, or damaged; names the first.
    """
    sizes = files.check(LAYOUT, origin=ORIGIN)
    weights = {
        "embedding.weight": read_rows(files, "0"),
        "layers.0.bias": in_our_order(read_rows(files, "8")),
        "decoder.weight": read_columns(files, "13"),
        "decoder.bias": read_rows(files, "14"),
    }
    for name, (blocks, gains) in MATRICES.items():
        direction, length = read_columns(files, *blocks), read_rows(files, gains)
        if name in ("weight_ih", "weight_hh"):
            direction, length = in_our_order(direction), in_our_order(length)
        _lengthen(direction, length)
        weights |= {f"layers.0.{name}_v": direction, f"layers.0.{name}_g": length}
    return parts_of(weights, sizes, name=files.name, layout="OpenAI", weight_norm=True)


def parts_of(weights: dict[str, Tensor], sizes: Sizes, *, name: str, layout: str, weight_norm: bool) -> ModelParts:
    """Return the parts of a model of theirs called `name`; the neuron is named where the sizes are those published.

    Raises:
        DataError: no model has such sizes.
    """
    try:
        config = ModelConfig(nhid=sizes["H"], emsize=sizes["E"], weight_norm=weight_norm)
    except UsageError as error:
        raise unusable(error, name=name) from error
    training: dict[str, object] = {"imported": {"layout": layout, "id_offset": 0}}
    if sizes == PUBLISHED:
        training["sentiment_neuron"] = SENTIMENT_NEURON
    return ModelParts(
        kind="language-model",
        config=config,
        weights=weights,
        rule=TextRule(name="openai"),
        training=training,
    )


def read_rows(files: ArrayFiles, key: str) -> Tensor:
    """Return an array in fp32 as it is."""
    tensor = torch.empty(files.shape(key))
    files.read(key, tensor.numpy())
    return tensor


def read_columns(files: ArrayFiles, *keys: str) -> Tensor:
    """Return the columns of these matrices (in, out), one matrix after another, as rows in fp32."""
    num_inputs, num_outputs = files.shape(keys[0])
    tensor = torch.empty(len(keys), num_outputs, num_inputs)
    for key, rows in zip(keys, tensor, strict=True):
        files.read(key, rows.numpy().T)
    return tensor.flatten(0, 1)


def in_our_order(rows: Tensor) -> Tensor:
    """Exchange the last two of four blocks in place: i, f, o, u become i, f, g, o."""
    _, _, output, new = rows.chunk(4)
    kept = output.clone()
    output.copy_(new)
    new.copy_(kept)
    return rows


def _lengthen(direction: Tensor, length: Tensor) -> None:
    """Change rows shorter than EPSILON, and their gains, so that they mean to us what they mean to l2_normalize."""
    found = direction.norm(dim=1)
    length *= torch.where(found < EPSILON, found / EPSILON, 1)
    direction[found == 0] = 1
