"""OpenAI's layout: a folder of 15 arrays in fp32, `0.npy` to `14.npy`, matrices (in, out), gates i, f, o, u.

It holds one layer of weight-normed mLSTM and nothing else: no text rule, no classifier, no record. A matrix without
weight norm becomes one whose lengths are its rows' own: the quotient of the two is 1 to the bit where the lengths are
computed again as they were here, by this program on a CPU; elsewhere the product is exact to rounding.

Source: encoder.py in github.com/openai/generating-reviews-discovering-sentiment.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sentneuron.core.atomic import require_place
from sentneuron.core.data.building import atomic_folder
from sentneuron.core.early_flush import EarlyFlushing
from sentneuron.core.errors import DataError, OutputError
from sentneuron.core.model.assembly import SavedModel
from sentneuron.core.model.importers.openai import EPSILON, LAYOUT
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.recurrent import RecurrentLayer

NAMES = {f"{number}.npy" for number in LAYOUT}


def export_openai(path: Path, saved: SavedModel) -> list[str]:
    """Write the folder, in the place of one that held such arrays alone; return what it has no place for.

    Raises:
        DataError: the layout cannot hold such a model.
        OutputError: something else stands at `path`, or nothing can be made there.
        StorageError: the disk is full, or writing failed.
    """
    _check_holds(saved)
    _check_replaceable(path)
    with atomic_folder(path) as folder:
        for number, array in enumerate(_arrays(saved.model)):
            with open(folder / f"{number}.npy", "wb") as file, EarlyFlushing(file) as flushing:
                np.save(flushing, array, allow_pickle=False)  # which it writes in pieces, and so names a full disk
    left_out = [] if saved.rule.name == "openai" else [f"the text rule ({saved.rule.name})"]
    left_out += ["the classifier"] if saved.classifier is not None else []
    return left_out + (["the training record"] if saved.training else [])


def _check_holds(saved: SavedModel) -> None:
    """Check that the layout can hold the model; raises DataError."""
    config = saved.model.config
    reasons = {
        f"{config.model} cells": config.model != "mLSTM",
        f"{config.nlayers} layers": config.nlayers != 1,
        "one matrix for embedding and decoder (--tied)": config.tied,
        "no decoder": not saved.has_decoder,
    }
    for reason, holds in reasons.items():
        if holds:
            raise DataError(
                f"OpenAI's layout is one mLSTM layer with a decoder of its own; the model has {reason}",
                hint="give --format safetensors",
            )


def _check_replaceable(path: Path) -> None:
    """Check that nothing but such a folder stands at `path`; raises OutputError, and StorageError for a full disk."""
    if path.is_dir():
        others = sorted({entry.name for entry in path.iterdir()} - NAMES)
        if others:
            raise OutputError(f"{path} is a folder that holds {others[0]}", hint="name another with -o")
    elif path.exists():
        raise OutputError(f"{path} is a file, and OpenAI's layout a folder", hint="name another with -o")
    else:
        require_place(path)


def _arrays(model: LanguageModel) -> Iterator[NDArray[np.float32]]:
    """Yield the arrays in their order, one at a time: a matrix and its transposed copy are all that is in memory."""
    layer = model.recurrent_layers[0]
    lengths: list[Tensor] = []
    yield _array(model.embedding.weight)
    for name in ("weight_ih", "weight_hh", "weight_mih", "weight_mhh"):
        direction, length = _normed(layer, name)
        if name == "weight_hh":
            yield from (_array(block.T) for block in _in_their_order(direction))
        else:
            yield _array((torch.cat(_in_their_order(direction)) if name == "weight_ih" else direction).T)
        lengths.append(torch.cat(_in_their_order(length)) if name in ("weight_ih", "weight_hh") else length)
    yield _array(torch.cat(_in_their_order(layer.bias)))
    yield from map(_array, lengths)
    yield _array(model.decoder.weight.T)
    yield _array(model.decoder.bias)


def _in_their_order(rows: Tensor) -> list[Tensor]:
    """Return blocks i, f, o, u of our i, f, g, o."""
    i, f, g, o = rows.chunk(4)
    return [i, f, o, g]


def _normed(layer: RecurrentLayer, name: str) -> tuple[Tensor, Tensor]:
    """Return a matrix as directions and lengths.

    Their weight norm takes no direction for shorter than EPSILON. One that is gets longer by a power of two, which
    changes no product; one of zeros becomes ones, and its length, which then is zero too or means nothing, 0.
    """
    if layer.weight_norm:
        direction, length = layer.get_parameter(f"{name}_v").detach(), layer.get_parameter(f"{name}_g").detach()
    else:
        direction = layer.get_parameter(name).detach()
        length = direction.norm(dim=1)
    found = direction.norm(dim=1)
    if bool((found < EPSILON).any()):
        _, exponent = found.frexp()
        longer = direction.ldexp(-exponent.unsqueeze(1))
        direction = torch.where((found < EPSILON).unsqueeze(1), longer, direction)
        direction = torch.where((found == 0).unsqueeze(1), 1, direction)
        length = torch.where(found == 0, 0, length)
    return direction, length


def _array(tensor: Tensor) -> NDArray[np.float32]:
    """Return a tensor as an array in fp32, rows first."""
    return np.ascontiguousarray(tensor.detach().float().numpy())
