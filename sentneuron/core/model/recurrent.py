"""The recurrent layers: multiplicative LSTM here, LSTM, GRU and plain RNN through torch's own kernels.

A layer holds parameters and no state: state goes in and comes out as a tuple, (h, c) or (h,), each [B, H]. A layer is
used in three moves, so that what is constant over a window is computed once a window: `weights` (weight norm applied),
`project` (what the input contributes, for each row of a table), then `sequence` over a window; one byte at a time is
`runner.py`'s.

Gate blocks: i, f, g, o (LSTM and mLSTM) and r, z, n (GRU), as in PyTorch.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from sentneuron.core.config import ModelConfig

LayerState = tuple[Tensor, ...]
Weights = dict[str, Tensor]
Kernel = Callable[..., tuple[Tensor, Tensor, Tensor]]


class RecurrentLayer(nn.Module):
    """Parameters of one layer; with weight norm each matrix is `name_v` (rows' directions) and `name_g` (rows'
    lengths).

    Source: Salimans and Kingma 2016, "Weight normalization", arXiv:1602.07868; one length per output unit.
    """

    num_states: ClassVar[int] = 1
    num_gates: ClassVar[int] = 1

    def __init__(self, input_size: int, hidden_size: int, *, weight_norm: bool) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.weight_norm = weight_norm
        self.add_matrix("weight_ih", self.num_gates * hidden_size, input_size)
        self.add_matrix("weight_hh", self.num_gates * hidden_size, hidden_size)
        self.bias = nn.Parameter(torch.zeros(self.num_gates * hidden_size))

    def add_matrix(self, name: str, num_rows: int, num_columns: int) -> None:
        """Register a matrix, uniform within 1 / sqrt(columns)."""
        bound = 1 / math.sqrt(num_columns)
        matrix = torch.empty(num_rows, num_columns).uniform_(-bound, bound)
        if self.weight_norm:
            self.register_parameter(f"{name}_v", nn.Parameter(matrix))
            # A model to be loaded is built on "meta" first, where a norm is all shape and takes seconds of imports.
            length = torch.empty(num_rows) if matrix.is_meta else matrix.norm(dim=1)
            self.register_parameter(f"{name}_g", nn.Parameter(length))
        else:
            self.register_parameter(name, nn.Parameter(matrix))

    def matrix(self, name: str) -> Tensor:
        """Return a matrix in the parameters' dtype; weight norm is applied in fp32 or wider: an fp16 sum of squares
        overflows past a norm of 256."""
        if not self.weight_norm:
            return self.get_parameter(name)
        wide = torch.promote_types(self.bias.dtype, torch.float32)
        direction, length = self.get_parameter(f"{name}_v").to(wide), self.get_parameter(f"{name}_g").to(wide)
        return (direction * (length / direction.norm(dim=1)).unsqueeze(1)).to(self.bias.dtype)

    def weights(self) -> Weights:
        """Return the effective weights; compute them once a window."""
        return {"weight_ih": self.matrix("weight_ih"), "weight_hh": self.matrix("weight_hh"), "bias": self.bias}

    def zero_state(self, num_streams: int) -> LayerState:
        """Return the state before the first byte."""
        return tuple(self.bias.new_zeros(num_streams, self.hidden_size) for _ in range(self.num_states))

    def project(self, weights: Weights, rows: Tensor) -> tuple[Tensor, ...]:
        """Return what each input row [N, E] contributes to a step."""
        raise NotImplementedError

    def sequence(
        self,
        weights: Weights,
        projected: tuple[Tensor, ...],
        ids: Tensor,
        state: LayerState,
        resets: Tensor | None,
    ) -> tuple[Tensor, LayerState]:
        """Run a window: `ids` [T, B] picks rows of `projected`; returns hidden states [T, B, H] and the last state."""
        raise NotImplementedError


class MultiplicativeLSTM(RecurrentLayer):
    """The multiplicative LSTM of Krause et al. 2016; equations in `kernels.mlstm_reference`."""

    num_states = 2
    num_gates = 4

    def __init__(self, input_size: int, hidden_size: int, *, weight_norm: bool, kernel: Kernel) -> None:
        super().__init__(input_size, hidden_size, weight_norm=weight_norm)
        self.add_matrix("weight_mih", hidden_size, input_size)
        self.add_matrix("weight_mhh", hidden_size, hidden_size)
        _open_forget_gate(self.bias, hidden_size)
        self.kernel = kernel

    def weights(self) -> Weights:
        return super().weights() | {"weight_mih": self.matrix("weight_mih"), "weight_mhh": self.matrix("weight_mhh")}

    def zero_state(self, num_streams: int) -> LayerState:
        """Return zeros; the cell state is in fp32 in half precision too, where it would lose what it adds up."""
        h, c = super().zero_state(num_streams)
        return h, c.to(torch.promote_types(c.dtype, torch.float32))

    def project(self, weights: Weights, rows: Tensor) -> tuple[Tensor, ...]:
        return linear(rows, weights["weight_mih"]), linear(rows, weights["weight_ih"], weights["bias"])

    def sequence(
        self,
        weights: Weights,
        projected: tuple[Tensor, ...],
        ids: Tensor,
        state: LayerState,
        resets: Tensor | None,
    ) -> tuple[Tensor, LayerState]:
        hidden, h, c = self.kernel(ids, *projected, weights["weight_mhh"], weights["weight_hh"], *state, resets)
        return hidden, (h, c)


class TorchLayer(RecurrentLayer):
    """A cell that torch has a kernel for; a window is cut where a stream is reset."""

    def project(self, weights: Weights, rows: Tensor) -> tuple[Tensor, ...]:
        return (rows,)

    def run(self, inputs: Tensor, state: LayerState, weights: list[Tensor]) -> tuple[Tensor, LayerState]:
        """Call torch's kernel on [T, B, E]; `weights` are W_ih, W_hh, b_ih, b_hh."""
        raise NotImplementedError

    def sequence(
        self,
        weights: Weights,
        projected: tuple[Tensor, ...],
        ids: Tensor,
        state: LayerState,
        resets: Tensor | None,
    ) -> tuple[Tensor, LayerState]:
        inputs = projected[0][ids]
        flat = [weights["weight_ih"], weights["weight_hh"], weights["bias"], torch.zeros_like(weights["bias"])]
        cuts = [] if resets is None else resets.any(dim=1).nonzero().flatten().tolist()
        hidden = []
        for start, stop in zip([0, *cuts], [*cuts, len(ids)], strict=True):
            if start == stop:
                continue
            if start in cuts:
                assert resets is not None
                keep = (~resets[start]).to(inputs.dtype).unsqueeze(1)
                state = tuple(part * keep for part in state)
            output, state = self.run(inputs[start:stop], tuple(part.unsqueeze(0) for part in state), flat)
            state = tuple(part.squeeze(0) for part in state)
            hidden.append(output)
        return torch.cat(hidden), state

    def step(self, weights: Weights, projected: tuple[Tensor, ...], state: LayerState) -> LayerState:
        """Advance the state by one byte; `projected` holds one row a stream."""
        inputs = projected[0]
        ids = torch.arange(len(inputs), device=inputs.device).unsqueeze(0)
        return self.sequence(weights, projected, ids, state, None)[1]


class LSTM(TorchLayer):
    """torch's LSTM."""

    num_states = 2
    num_gates = 4

    def __init__(self, input_size: int, hidden_size: int, *, weight_norm: bool) -> None:
        super().__init__(input_size, hidden_size, weight_norm=weight_norm)
        _open_forget_gate(self.bias, hidden_size)

    def run(self, inputs: Tensor, state: LayerState, weights: list[Tensor]) -> tuple[Tensor, LayerState]:
        output, h, c = torch.lstm(inputs, state, weights, True, 1, 0.0, False, False, False)
        return output, (h, c)


class GRU(TorchLayer):
    """torch's GRU."""

    num_gates = 3

    def run(self, inputs: Tensor, state: LayerState, weights: list[Tensor]) -> tuple[Tensor, LayerState]:
        output, h = torch.gru(inputs, state[0], weights, True, 1, 0.0, False, False, False)
        return output, (h,)


class RNNTanh(TorchLayer):
    """torch's plain RNN with tanh."""

    def run(self, inputs: Tensor, state: LayerState, weights: list[Tensor]) -> tuple[Tensor, LayerState]:
        output, h = torch.rnn_tanh(inputs, state[0], weights, True, 1, 0.0, False, False, False)
        return output, (h,)


class RNNReLU(TorchLayer):
    """torch's plain RNN with a rectifier."""

    def run(self, inputs: Tensor, state: LayerState, weights: list[Tensor]) -> tuple[Tensor, LayerState]:
        output, h = torch.rnn_relu(inputs, state[0], weights, True, 1, 0.0, False, False, False)
        return output, (h,)


def build_layer(config: ModelConfig, input_size: int, kernel: Kernel) -> RecurrentLayer:
    """Return a new layer of the configured cell; `kernel` runs the windows of an mLSTM."""
    if config.model == "mLSTM":
        return MultiplicativeLSTM(input_size, config.nhid, weight_norm=config.weight_norm, kernel=kernel)
    cells = {"LSTM": LSTM, "GRU": GRU, "RNNTanh": RNNTanh, "RNNReLU": RNNReLU}
    return cells[config.model](input_size, config.nhid, weight_norm=config.weight_norm)


def _open_forget_gate(bias: Tensor, hidden_size: int) -> None:
    """Start with forget gates at sigmoid(1), so that gradients reach back from the first step on.

    Source: Jozefowicz et al. 2015, "An empirical exploration of recurrent network architectures", section 5.
    """
    with torch.no_grad():
        bias[hidden_size : 2 * hidden_size] = 1.0
