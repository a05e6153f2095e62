"""One training step on random bytes, as bare as it gets: window, loss, backward pass, clipping, Adam.

No data and no logging: what a trainer's rate is held against. The optimizer is the trainer's: in half precision the
weights are rounded copies of fp32 master weights, and the loss is scaled by a fixed number.

Floating-point operations a byte, forward and backward, a product counted as 2 a multiply-add and thrice for the pass
back: 3 * 2 * 5 H^2 = 30 H^2 for an mLSTM over byte tables, 3 * 2 * 4 H (H + E) for an LSTM that is given embeddings of
E numbers, and 3 * 2 * 256 H for the decoder of either.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from sentneuron.core.config import ModelConfig, TrainConfig, TrainPrecision
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.language_model import NUM_BYTES, LanguageModel, State
from sentneuron.core.model.recurrent import LayerState
from sentneuron.core.training.captured import CapturedWindow
from sentneuron.core.training.optimizer import Optimizer

PRECISIONS: dict[torch.dtype, TrainPrecision] = {
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
}
LOSS_SCALE = "4096"
"""Gradients of a mean over 65,536 bytes are below fp16's smallest normal number."""

Kernel = Callable[..., tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is timed, and where."""

    nhid: int
    num_streams: int
    seq_length: int
    dtype: torch.dtype = torch.float32
    device: str = "cpu"

    @property
    def num_bytes(self) -> int:
        """Bytes a step."""
        return self.num_streams * self.seq_length

    @property
    def cell_dtype(self) -> torch.dtype:
        """Of c, which is never narrower than fp32."""
        return torch.promote_types(self.dtype, torch.float32)

    @property
    def name(self) -> str:
        """For file names and tables."""
        kind = str(self.dtype).removeprefix("torch.")
        return f"{self.nhid}x{self.num_streams}x{self.seq_length}_{kind}_{self.device.partition(':')[0]}"

    def state(self) -> State:
        """Return zeros for h and c of one layer."""
        zeros = torch.zeros(self.num_streams, self.nhid, device=self.device)
        return [(zeros.to(self.dtype), zeros.to(self.cell_dtype))]


class Lstm(nn.Module):
    """The language model of equal size around torch's own LSTM: cuDNN's on a GPU, oneDNN's or torch's on a CPU."""

    def __init__(self, nhid: int, *, emsize: int = ModelConfig.emsize) -> None:
        super().__init__()
        self.embedding = nn.Embedding(NUM_BYTES, emsize)
        self.lstm = nn.LSTM(emsize, nhid)
        self.decoder = nn.Linear(nhid, NUM_BYTES)


class Trainee:
    """A model with its optimizer, which rounds it to `dtype`; several steps may share one."""

    def __init__(self, model: nn.Module, *, dtype: torch.dtype) -> None:
        precision = PRECISIONS[dtype]
        self.model = model
        self.parameters = list(model.parameters())
        scale = LOSS_SCALE if precision == "fp16" else "dynamic"
        self.optimizer = Optimizer(model, TrainConfig(precision=precision, loss_scale=scale), Ranks())


class Step(ABC):
    """A training step on the same random bytes each time; the state is carried from call to call.

    `captured` replays window and backward pass from a CUDA graph, as the trainer does, where there is a GPU.
    """

    def __init__(self, trainee: Trainee, shape: Shape, *, captured: bool = False) -> None:
        self.trainee = trainee
        self.shape = shape
        draw = torch.Generator().manual_seed(0)
        ids = torch.randint(0, NUM_BYTES, (shape.seq_length + 1, shape.num_streams), generator=draw)
        self.ids = ids.to(shape.device)
        self.state = shape.state()
        self.window = CapturedWindow(self.loss, trainee.parameters, refusal=None if captured else "not asked for")

    @abstractmethod
    def hidden(self, ids: Tensor, state: LayerState, resets: Tensor | None) -> tuple[Tensor, LayerState]:
        """Run a window; return the hidden states [T, B, H] and the state after it. `ids` and `resets` are [T, B]."""

    def loss(self, ids: Tensor, targets: Tensor, state: State, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """Return the mean negative log-likelihood of `targets` in nats, and the state after them."""
        decoder = self.trainee.model.get_submodule("decoder")
        assert isinstance(decoder, nn.Linear)
        hidden, new_state = self.hidden(ids, state[0], resets)
        logits = linear(hidden, decoder.weight, decoder.bias)
        return cross_entropy(logits.float().flatten(0, 1), targets.flatten()), [new_state]

    def backward(self) -> Tensor:
        """Run the window and its backward pass; return the loss."""
        optimizer = self.trainee.optimizer
        optimizer.begin()
        ids, targets = self.ids[:-1], self.ids[1:]
        loss, self.state = self.window(ids, targets, self.state, None, optimizer.loss_weight)
        return loss

    def __call__(self) -> None:
        self.trainee.optimizer.step(self.backward(), learning_rate=1e-4)


class MlstmStep(Step):
    """The step with one kernel; `trainee` holds a LanguageModel of one mLSTM layer."""

    def __init__(
        self, trainee: Trainee, shape: Shape, kernel: Kernel, *, recompute: bool = False, captured: bool = False
    ) -> None:
        super().__init__(trainee, shape, captured=captured)
        self.kernel = kernel
        self.options = {"recompute": True} if recompute else {}

    def hidden(self, ids: Tensor, state: LayerState, resets: Tensor | None) -> tuple[Tensor, LayerState]:
        model = self.trainee.model
        assert isinstance(model, LanguageModel)
        layer = model.recurrent_layers[0]
        weights = layer.weights()
        tables = layer.project(weights, model.embedding.weight)
        matrices = weights["weight_mhh"], weights["weight_hh"]
        hidden, h, c = self.kernel(ids, *tables, *matrices, *state, resets, **self.options)
        return hidden, (h, c)


class LstmStep(Step):
    """The step with torch's LSTM; `trainee` holds an Lstm of the shape's size."""

    def hidden(self, ids: Tensor, state: LayerState, resets: Tensor | None) -> tuple[Tensor, LayerState]:
        model, dtype = self.trainee.model, self.shape.dtype
        assert isinstance(model, Lstm)
        first = tuple(part.to(dtype).unsqueeze(0) for part in state)
        hidden, (h, c) = model.lstm(model.embedding(ids), first)
        return hidden, (h.squeeze(0), c.squeeze(0))


def mlstm_trainee(shape: Shape) -> Trainee:
    """Return a model of one mLSTM layer with its optimizer."""
    torch.manual_seed(0)
    return Trainee(LanguageModel(ModelConfig(nhid=shape.nhid)).to(shape.device), dtype=shape.dtype)


def lstm_step(shape: Shape) -> LstmStep:
    """Return the step of an LSTM that takes as many floating-point operations as the mLSTM of `shape`."""
    torch.manual_seed(0)
    size = equal_lstm_size(shape.nhid)
    equal = Shape(
        nhid=size,
        num_streams=shape.num_streams,
        seq_length=shape.seq_length,
        dtype=shape.dtype,
        device=shape.device,
    )
    return LstmStep(Trainee(Lstm(size).to(shape.device), dtype=shape.dtype), equal)


def mlstm_flops(nhid: int) -> int:
    """Floating-point operations a byte of an mLSTM's recurrence, forward and backward, without the decoder."""
    return 30 * nhid**2


def decoder_flops(nhid: int) -> int:
    """The same of the decoder."""
    return 6 * NUM_BYTES * nhid


def lstm_flops(nhid: int, *, emsize: int = ModelConfig.emsize) -> int:
    """The same of an LSTM's layer on embeddings."""
    return 24 * nhid * (nhid + emsize)


def equal_lstm_size(nhid: int, *, emsize: int = ModelConfig.emsize) -> int:
    """Return the units of the LSTM whose step, decoder included, costs what an mLSTM's of `nhid` costs: a multiple of
    8, as half-precision products want it.

    Solves 24 x (x + E) + 1536 x = 30 H^2 + 1536 H.
    """
    linear_term = 24 * emsize + decoder_flops(1)
    work = mlstm_flops(nhid) + decoder_flops(nhid)
    exact = (math.sqrt(linear_term**2 + 4 * 24 * work) - linear_term) / (2 * 24)
    return max(8, round(exact / 8) * 8)
