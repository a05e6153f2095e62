"""Inference one byte at a time: effective weights and byte tables are computed once, no gradients are kept."""

import torch
from torch import Tensor
from torch.nn.functional import linear

from sentneuron.core.model.language_model import LanguageModel, State
from sentneuron.core.model.recurrent import LayerState


class Runner:
    """A language model's weights, prepared; the caller owns the state, may slice it along B and edit it between
    steps."""

    @torch.no_grad()
    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.num_units = model.config.nhid
        self.num_layers = model.config.nlayers
        self.device = model.decoder.weight.device
        self._layers = [(layer, layer.weights()) for layer in model.recurrent_layers]
        first, weights = self._layers[0]
        self._tables = first.project(weights, model.embedding.weight)

    def initial_state(self, num_streams: int) -> State:
        """Return the state before the first byte."""
        return self.model.initial_state(num_streams)

    @torch.no_grad()
    def step(self, ids: Tensor, state: State) -> State:
        """Return the state after one more byte a stream; `ids` [B] are bytes of any integer type."""
        index = ids.long()
        projected = tuple(table[index] for table in self._tables)
        new_state: list[LayerState] = []
        for (layer, weights), layer_state in zip(self._layers, state, strict=True):
            if new_state:
                projected = layer.project(weights, new_state[-1][0])
            new_state.append(layer.step(weights, projected, layer_state))
        return new_state

    @torch.no_grad()
    def logits(self, state: State) -> Tensor:
        """Return the next byte's logits [B, 256] in fp32."""
        decoder = self.model.decoder
        return linear(state[-1][0], decoder.weight, decoder.bias).float()

    def cells(self, state: State) -> Tensor:
        """Return the top layer's cell state [B, H] in fp32; the hidden state for cells that have none."""
        return state[-1][-1].float()
