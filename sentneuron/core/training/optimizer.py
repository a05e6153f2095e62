"""One optimizer for fp32, bf16 and fp16, for one rank and many.

In half precision the model's weights are rounded copies of fp32 master weights, which the optimizer changes; norm,
clipping and Adam's moments are in fp32. In fp32 the weights are the masters. An fp16 loss is scaled before the backward
pass and its gradients are unscaled before they are clipped.

Ranks add up their gradients once a step, in the weights' type, in one exchange of one buffer. What else all of them
must know at the same step travels behind the gradients: whether a loss was not finite, and the notes of the caller.
Each rank's share is divided by the number of shares before the backward pass, so that the sum is the mean, and the loss
scale means the same for any number of ranks. A number that is not finite on one rank is so in the sum, so that all
ranks skip the same steps.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sentneuron.core.config import TrainConfig
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.training.flat import FlatParameters
from sentneuron.core.training.loss_scale import LossScale
from sentneuron.core.values import parse_loss_scale

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Outcome:
    """What a step came to; the same on all ranks."""

    is_finite: bool
    """Loss and gradients were finite on all ranks; otherwise nothing was changed but the loss scale."""
    loss_is_finite: bool
    """The losses were."""
    grad_norm: float
    """Of the mean gradient, unscaled, before clipping."""
    notes: list[float]
    """The callers' notes, added up over the ranks."""


class Optimizer:
    """Adam or SGD on a model's parameters, which it moves into one buffer and rounds to the run's precision."""

    def __init__(
        self, model: nn.Module, config: TrainConfig, ranks: Ranks, *, num_shares: int = 1, num_notes: int = 0
    ) -> None:
        """Take over a model in fp32; a step has `num_shares` backward passes, on all ranks together."""
        self.clip = config.clip
        self.ranks = ranks
        self.num_updates = 0
        """Steps that changed the weights."""
        self.loss_scale = LossScale(parse_loss_scale(config.loss_scale) if config.precision == "fp16" else 1.0)
        self._num_shares = num_shares
        dtype = DTYPES[config.precision]
        self._flat = FlatParameters(model, torch.float32, num_notes=1 + num_notes)
        self._masters = nn.Parameter(self._flat.weights)
        if dtype != torch.float32:
            self._flat = FlatParameters(model, dtype, num_notes=1 + num_notes)
        kind = torch.optim.Adam if config.optim == "Adam" else torch.optim.SGD
        self._arithmetic = kind([self._masters], lr=config.lr, fused=True)
        self.loss_weight = torch.empty((), device=self._masters.device)
        """What a loss is multiplied by before its backward pass: the loss scale over the number of shares."""
        self.begin()

    def begin(self) -> None:
        """Forget the gradients; the backward passes of a step follow, each of a loss times `loss_weight`."""
        self._flat.exchanged.zero_()
        self.loss_weight.fill_(self.loss_scale.value / self._num_shares)

    @torch.no_grad()
    def step(self, loss: Tensor, *, learning_rate: float, notes: list[float] | None = None) -> Outcome:
        """Exchange the gradients and change the weights, unless something is not finite; `loss` is this rank's.

        Raises:
            LostRankError: another rank is gone.
        """
        flat, scale = self._flat, self.loss_scale.value
        flat.notes[0] = loss * 0  # zero, or NaN
        flat.notes[1:] = torch.tensor(notes or [], dtype=flat.notes.dtype)
        self.ranks.sum_(flat.exchanged)
        gradients = flat.gradients.float()
        norm = torch.linalg.vector_norm(gradients)
        # The one time in a step that a GPU is waited for.
        scaled_norm, poison, *summed = torch.cat([norm.view(1), flat.notes.float()]).tolist()
        grad_norm = scaled_norm / scale
        loss_is_finite = poison == 0
        is_finite = loss_is_finite and math.isfinite(grad_norm)
        self.loss_scale.update(is_finite=is_finite)
        if is_finite:
            gradients.mul_(min(1.0, self.clip / (grad_norm + 1e-6)) / scale)
            self._masters.grad = gradients
            self._arithmetic.param_groups[0]["lr"] = learning_rate
            self._arithmetic.step()
            self._masters.grad = None
            self._round()
            self.num_updates += 1
        return Outcome(is_finite, loss_is_finite, grad_norm, summed)

    def weights(self) -> dict[str, Tensor]:
        """Return the fp32 weights by name, as views that later steps change."""
        return self._flat.split(self._masters.detach())

    def state_dict(self) -> dict[str, Any]:
        """Return all but the weights, as plain numbers and tensors, which later steps change."""
        moments = self._arithmetic.state_dict()["state"].get(0, {})
        return {
            "num_updates": self.num_updates,
            "loss_scale": self.loss_scale.value,
            "good_steps": self.loss_scale.good_steps,
            "moments": {name: part for name, part in moments.items() if part is not None},
        }

    def load(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take weights by name, and what `state_dict` returned.

        Raises:
            KeyError, ValueError: they are another model's, or another optimizer's.
        """
        for name, part in self.weights().items():
            if weights[name].shape != part.shape:
                raise ValueError(f"{name} is {list(weights[name].shape)}, not {list(part.shape)}")
        self._check(state)
        with torch.no_grad():
            for name, part in self.weights().items():
                part.copy_(weights[name])
        self.num_updates = state["num_updates"]
        self.loss_scale.value = state["loss_scale"]
        self.loss_scale.good_steps = state["good_steps"]
        groups = self._arithmetic.state_dict()["param_groups"]
        moments = {0: state["moments"]} if state["moments"] else {}
        self._arithmetic.load_state_dict({"state": moments, "param_groups": groups})
        self._round()
        self.begin()

    def _check(self, state: dict[str, Any]) -> None:
        """Check that a state is one that this optimizer could have returned.

        Raises:
            KeyError, ValueError: it is not.
        """
        for name, kind in {"num_updates": int, "loss_scale": float, "good_steps": int, "moments": dict}.items():
            if type(state[name]) is not kind:
                raise ValueError(f"{name} is {type(state[name]).__name__}")
        sizes = {}
        if isinstance(self._arithmetic, torch.optim.Adam) and state["num_updates"]:
            sizes = {"step": torch.Size(), "exp_avg": self._masters.shape, "exp_avg_sq": self._masters.shape}
        found = {name: getattr(part, "shape", None) for name, part in state["moments"].items()}
        if found != sizes:
            raise ValueError(f"moments are {found}, not {sizes}")

    @torch.no_grad()
    def end_with(self, weights: dict[str, Tensor]) -> None:
        """Give the model rank 0's `weights` on all ranks, to be measured at the end of a run, which cannot go on then.

        Raises:
            KeyError, RuntimeError: on rank 0, they are another model's.
        """
        if self.ranks.is_first:
            for name, part in self._flat.split(self._flat.weights).items():
                part.copy_(weights[name])
        self.ranks.broadcast_(self._flat.weights)

    def broadcast(self) -> None:
        """Overwrite every rank's weights and state with rank 0's."""
        ranks = self.ranks
        if ranks.size == 1:
            return
        with torch.no_grad():
            ranks.broadcast_(self._masters)
        state = self.state_dict()
        moments = state.pop("moments")
        told = ranks.share(state)
        if told["num_updates"] and not moments and isinstance(self._arithmetic, torch.optim.Adam):
            zeros = torch.zeros_like(self._masters.detach())
            moments = {"step": torch.zeros((), device=zeros.device), "exp_avg": zeros, "exp_avg_sq": zeros.clone()}
        for name in sorted(moments):
            moments[name] = ranks.broadcast_(moments[name])
        self.load(self.weights(), told | {"moments": moments})

    @torch.no_grad()
    def _round(self) -> None:
        """Give the model the masters' values."""
        if self._masters.data_ptr() != self._flat.weights.data_ptr():
            self._flat.weights.copy_(self._masters)
