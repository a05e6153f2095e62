"""Inference one byte at a time: effective weights and byte tables are computed once, no gradients are kept.

An mLSTM is stepped here, in place, on buffers that stay, with its weights transposed and laid out once; its equations
are `kernels.mlstm_reference`'s. The other cells are stepped by torch's own kernels.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear

from sentneuron.core.config import Precision
from sentneuron.core.errors import UsageError
from sentneuron.core.model.language_model import LanguageModel, State
from sentneuron.core.model.precision import make_product
from sentneuron.core.model.recurrent import LayerState, MultiplicativeLSTM, TorchLayer

Stepper = Callable[[Tensor, LayerState], LayerState]
"""One layer: the first takes bytes [B] int64, the others the hidden state [B, H] of the layer below."""


class Runner:
    """A language model's weights, prepared; the caller owns the state, may slice it along B and edit it between
    steps."""

    @torch.no_grad()
    def __init__(self, model: LanguageModel, *, precision: Precision = "fp32", all_layers: bool = False) -> None:
        """Prepare a model. `precision` is that of the recurrent layers' products. The decoder, a small part of the
        work, stays as it is: at 1,024 units it was no faster in bf16 or int8. `all_layers` makes every layer's cells
        features, not those of the top layer alone.

        Raises:
            UsageError: a precision that this model or this machine cannot have.
        """
        if precision != "fp32" and model.config.model != "mLSTM":
            raise UsageError(f"--precision {precision} on a {model.config.model} model", hint="only an mLSTM has it")
        self.model = model
        self.num_layers = model.config.nlayers
        self.all_layers = all_layers
        self.num_units = model.config.num_features(all_layers=all_layers)
        """Features: the width of `cells`."""
        self.device = model.decoder.weight.device
        rows: Tensor | None = model.embedding.weight
        self._steppers: list[Stepper] = []
        for layer in model.recurrent_layers:
            if isinstance(layer, MultiplicativeLSTM):
                self._steppers.append(MlstmStepper(layer, rows, precision))
            elif isinstance(layer, TorchLayer):
                self._steppers.append(LayerStepper(layer, rows))
            rows = None

    def initial_state(self, num_streams: int) -> State:
        """Return the state before the first byte."""
        return self.model.initial_state(num_streams)

    @torch.inference_mode()
    def step(self, ids: Tensor, state: State) -> State:
        """Return the state after one more byte a stream; `ids` [B] are bytes of any integer type.

        The state given is used up: its memory may hold the one returned.
        """
        inputs = ids.long()
        new_state: State = []
        for stepper, layer_state in zip(self._steppers, state, strict=True):
            new_state.append(stepper(inputs, layer_state))
            inputs = new_state[-1][0]
        return new_state

    @torch.inference_mode()
    def logits(self, state: State) -> Tensor:
        """Return the next byte's logits [B, 256] in fp32."""
        decoder = self.model.decoder
        return linear(state[-1][0], decoder.weight, decoder.bias).float()

    def cells(self, state: State) -> Tensor:
        """Return the features' cell state [B, num_units] in fp32, valid until the next step; the hidden state for cells
        that have none. Of all layers, the bottom one comes first."""
        return self._part(state, -1)

    def hidden(self, state: State) -> Tensor:
        """Return the features' hidden state [B, num_units] as `cells` does the cell state."""
        return self._part(state, 0)

    def _part(self, state: State, part: int) -> Tensor:
        if self.all_layers and self.num_layers > 1:
            return torch.cat([layer[part].float() for layer in state], dim=1)
        return state[-1][part].float()


class MlstmStepper:
    """A multiplicative LSTM layer's step, in place: the state returned is the one given, overwritten.

    Gate blocks lie in the order i, f, o, g, which are three neighbours for one sigmoid.
    """

    def __init__(self, layer: MultiplicativeLSTM, rows: Tensor | None, precision: Precision) -> None:
        """Prepare a layer; `rows` [256, E] are what its inputs point to, None where they are rows themselves."""
        weights = layer.weights()
        self._size = layer.hidden_size
        order = torch.cat([torch.arange(4 * self._size).view(4, -1)[block] for block in (0, 1, 3, 2)])
        weights |= {name: weights[name][order] for name in ("weight_ih", "weight_hh", "bias")}
        self._tables = None if rows is None else layer.project(weights, rows)
        if rows is None:
            self._input_m = make_product(weights["weight_mih"], precision)
            self._input_x = make_product(weights["weight_ih"], precision)
        self._bias = weights["bias"]
        self._recurrent_m = make_product(weights["weight_mhh"], precision)
        self._recurrent_x = make_product(weights["weight_hh"], precision)
        self._buffer = self._bias.new_empty(0)
        self._lay_out(0)

    def __call__(self, inputs: Tensor, state: LayerState) -> LayerState:
        h, c = state
        if len(h) != len(self._m):
            self._lay_out(len(h))
        m, z, scratch = self._m, self._z, self._scratch
        if self._tables is not None:
            torch.index_select(self._tables[0], 0, inputs, out=scratch)
            torch.index_select(self._tables[1], 0, inputs, out=z)
        else:
            self._input_m(inputs, scratch)
            self._input_x(inputs, z.copy_(self._bias), add=True)
        self._recurrent_m(h, m)
        m.mul_(scratch)
        self._recurrent_x(m, z, add=True)
        self._sigmoids.sigmoid_()
        i, f, o, g = self._gates
        g.tanh_()
        c.mul_(f).addcmul_(i, g)
        torch.tanh(c, out=h)
        h.mul_(o)
        return h, c

    def _lay_out(self, num_streams: int) -> None:
        """Lay m, the gates and a scratch out, contiguous each, in a buffer that only grows."""
        size = num_streams * self._size
        if len(self._buffer) < 6 * size:
            self._buffer = self._buffer.new_empty(6 * size)
        self._m, self._scratch = self._buffer[: 2 * size].view(2, num_streams, self._size)
        self._z = self._buffer[2 * size : 6 * size].view(num_streams, 4 * self._size)
        self._sigmoids = self._z[:, : 3 * self._size]
        self._gates = self._z.chunk(4, dim=1)


class LayerStepper:
    """A step of another cell, by torch's own kernel."""

    def __init__(self, layer: TorchLayer, rows: Tensor | None) -> None:
        """Prepare a layer; `rows` as `MlstmStepper`."""
        self._layer = layer
        self._weights = layer.weights()
        self._tables = None if rows is None else layer.project(self._weights, rows)

    def __call__(self, inputs: Tensor, state: LayerState) -> LayerState:
        if self._tables is None:
            projected = self._layer.project(self._weights, inputs)
        else:
            projected = tuple(embedding(inputs, table) for table in self._tables)
        return self._layer.step(self._weights, projected, state)
