"""Features under autograd: what `features` computes for a classifier, for texts that the encoder shall learn from.

All cell states of a batch stay in memory for the backward pass, with 7H numbers a byte beside them: the caller bounds
the texts. The state is zero before the first byte.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sentneuron.core.config import Pooling
from sentneuron.core.kernels.mlstm_sequence import mlstm_cells
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.recurrent import MultiplicativeLSTM, RecurrentLayer, TorchLayer


def side_by_side(texts: Sequence[bytes]) -> tuple[Tensor, Tensor]:
    """Return the texts' bytes [T, B] int64, zero behind a text's end, and their lengths [B]."""
    lengths = torch.tensor([len(text) for text in texts])
    ids = np.zeros((int(lengths.max()), len(texts)), np.int64)
    for column, text in enumerate(texts):
        ids[: len(text), column] = np.frombuffer(text, np.uint8)
    return torch.from_numpy(ids), lengths


def pooled_features(
    model: LanguageModel, ids: Tensor, lengths: Tensor, *, pooling: Pooling, all_layers: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the features [B, F] of texts [T, B], none of them empty, and the top layer's hidden states [T, B, H]."""
    index, rows = ids, model.embedding.weight
    features = []
    hidden = rows
    for layer in model.recurrent_layers:
        hidden, cells = _states(layer, rows, index)
        features.append(_pool(hidden if pooling == "hidden" else cells, lengths, pooling))
        rows = hidden.flatten(0, 1)
        index = torch.arange(len(rows), device=rows.device).view(ids.shape)
    return torch.cat(features if all_layers else features[-1:], dim=1), hidden


def _pool(states: Tensor, lengths: Tensor, pooling: Pooling) -> Tensor:
    """Return [B, H] of cell states, or hidden ones, [T, B, H]."""
    if pooling != "mean":
        return states[lengths - 1, torch.arange(len(lengths), device=states.device)]
    is_text = torch.arange(len(states), device=states.device).unsqueeze(1) < lengths
    return (torch.tanh(states) * is_text.unsqueeze(2)).sum(dim=0) / lengths.unsqueeze(1)


def _states(layer: RecurrentLayer, rows: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return a layer's hidden states and its cell states (for cells without any the hidden ones), [T, B, H] both."""
    weights = layer.weights()
    projected = layer.project(weights, rows)
    state = layer.zero_state(ids.shape[1])
    if isinstance(layer, MultiplicativeLSTM):
        (table_m, table_x), (h, c) = projected, state
        return mlstm_cells(ids, table_m, table_x, weights["weight_mhh"], weights["weight_hh"], h, c)
    assert isinstance(layer, TorchLayer)
    if layer.num_states == 1:
        hidden, _ = layer.sequence(weights, projected, ids, state, None)
        return hidden, hidden
    states = []  # torch's kernel tells the last cell state only
    for row in ids:
        state = layer.step(weights, tuple(table[row] for table in projected), state)
        states.append(state)
    return torch.stack([h for h, _ in states]), torch.stack([c for _, c in states])
