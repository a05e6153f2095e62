"""The byte-level language model: embedding, recurrent layers, decoder.

The model holds parameters only; state is passed in and out as a list with one tuple a layer. Inference one byte at a
time is `runner.py`'s.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout, linear

from sentneuron.core.config import ModelConfig
from sentneuron.core.kernels.choice import choose_kernel
from sentneuron.core.model.recurrent import LayerState, RecurrentLayer, build_layer

NUM_BYTES = 256

State = list[LayerState]


class LanguageModel(nn.Module):
    """Predicts the next byte of each of B streams from all bytes before it."""

    def __init__(self, config: ModelConfig, *, kernel: str = "auto", recompute: bool = False) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(NUM_BYTES, config.emsize)
        run_window = partial(choose_kernel(kernel), recompute=recompute)
        sizes = [config.emsize] + [config.nhid] * (config.nlayers - 1)
        self.layers = nn.ModuleList(build_layer(config, size, run_window) for size in sizes)
        self.decoder = nn.Linear(config.nhid, NUM_BYTES)
        if config.tied:
            self.decoder.weight = self.embedding.weight

    @property
    def recurrent_layers(self) -> list[RecurrentLayer]:
        """The layers, from the input up."""
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]

    def initial_state(self, num_streams: int) -> State:
        """Return the state before the first byte."""
        return [layer.zero_state(num_streams) for layer in self.recurrent_layers]

    def hidden(self, ids: Tensor, state: State, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """Return the top layer's hidden states [T, B, H] and the state after the window; arguments as `forward`."""
        index = ids.t().long()
        resets = None if resets is None else resets.t()
        rows = self.embedding.weight
        new_state: State = []
        output = rows
        for layer, layer_state in zip(self.recurrent_layers, state, strict=True):
            weights = layer.weights()
            output, layer_state = layer.sequence(weights, layer.project(weights, rows), index, layer_state, resets)
            output = dropout(output, self.config.dropout, self.training)
            new_state.append(layer_state)
            rows = output.reshape(-1, output.shape[2])
            index = torch.arange(len(rows), device=rows.device).view(output.shape[:2])
        return output, new_state

    def forward(self, ids: Tensor, state: State, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """Return the next byte's logits [B, T, 256] and the state after the window.

        `ids` [B, T] are bytes of any integer type; `resets` [B, T] is true where the state is zeroed before that byte.
        """
        hidden, state = self.hidden(ids, state, resets)
        return linear(hidden, self.decoder.weight, self.decoder.bias).transpose(0, 1), state

    def loss(self, ids: Tensor, targets: Tensor, state: State, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """Return the mean negative log-likelihood of `targets` [B, T] in nats, in fp32, and the state after the
        window."""
        hidden, state = self.hidden(ids, state, resets)
        logits = linear(hidden, self.decoder.weight, self.decoder.bias)
        return cross_entropy(logits.float().flatten(0, 1), targets.t().flatten().long()), state


def detach(state: State) -> State:
    """Cut the state off from the window that made it."""
    return [tuple(part.detach() for part in layer) for layer in state]
