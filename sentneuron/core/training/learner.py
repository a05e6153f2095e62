"""One training step of one rank: its windows, their gradients, the exchange, and the state that is carried on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sentneuron.core.config import TrainConfig
from sentneuron.core.data.shards import Shard
from sentneuron.core.data.stream import EpochStream
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.language_model import LanguageModel, State
from sentneuron.core.training.batch import Batch
from sentneuron.core.training.captured import window_of
from sentneuron.core.training.optimizer import Optimizer, Outcome
from sentneuron.core.training.randomness import seed_generators
from sentneuron.core.training.resume import RunState
from sentneuron.core.training.schedule import Schedule

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Notes:
    """What a rank tells the others at a step: all of them act on it after the same step."""

    stop: bool = False
    """SIGTERM or SIGUSR1 came."""
    interrupt: bool = False
    """Ctrl-C came."""
    save: bool = False
    """It is time to save."""
    end: bool = False
    """It is time to end."""

    def encode(self) -> list[float]:
        """Return numbers that add up over the ranks."""
        return [float(self.stop), float(self.interrupt), float(self.save), float(self.end)]

    @classmethod
    def decode(cls, numbers: Sequence[float]) -> "Notes":
        """Return what at least one rank said."""
        return cls(*(number > 0 for number in numbers))


class Learner:
    """A model that learns from this rank's streams."""

    def __init__(
        self,
        config: TrainConfig,
        shards: Sequence[Shard],
        batch: Batch,
        ranks: Ranks,
        device: torch.device,
        *,
        start: Weights | None = None,
    ) -> None:
        """Make the model on `device`, from the run's seed or, on rank 0, from the weights to start with.

        Raises:
            DataError: the shards hold less than one batch.
        """
        self.config = config
        self.batch = batch
        self.ranks = ranks
        self.device = device
        self._shards = shards
        self.stream = self._open(0)
        torch.manual_seed(config.seed)
        self.model = LanguageModel(config.model, kernel=config.kernel, recompute=config.recompute).to(device)
        if start is not None:
            self.model.load_state_dict(start)
        self.optimizer = Optimizer(
            self.model, config, ranks, num_shares=ranks.size * batch.num_passes, num_notes=len(Notes().encode())
        )
        self._window = window_of(self.model)
        self._states = self._initial_states()
        """The state after each pass's windows."""
        self._losses = torch.zeros((), dtype=torch.float64, device=device)

    def step(self, step: int, *, schedule: Schedule, notes: Callable[[], Notes]) -> Outcome:
        """Train on the windows of step `step`, counted from 0 over all epochs.

        `notes` is asked when the gradients are there, so that what came up during the backward pass is heard.

        Raises:
            DataError: a shard is damaged.
            LostRankError: another rank is gone.
        """
        epoch, index = divmod(step, self.stream.num_steps)
        if epoch != self._epoch:
            self.stream = self._open(epoch)
        if index == 0:
            self._states = self._initial_states()
        window = self.stream.window(index)
        self.optimizer.begin()
        loss = torch.zeros((), device=self.device)
        states = []
        for part, state in zip(self.batch.passes, self._states, strict=True):
            seed_generators(self.config.seed, step=step, stream=self.batch.streams[part.start])
            ids, targets = self._on_device(window.ids[part]), self._on_device(window.targets[part])
            resets = None if window.resets is None else self._on_device(window.resets[part])
            pass_loss, state = self._window(ids, targets, state, resets, self.optimizer.loss_weight)
            loss += pass_loss
            states.append(state)
        learning_rate = schedule.learning_rate(self.optimizer.num_updates)
        outcome = self.optimizer.step(loss, learning_rate=learning_rate, notes=notes().encode())
        if outcome.loss_is_finite:
            self._states = states
        if outcome.is_finite:
            self._losses += loss / self.batch.num_passes
        return outcome

    @property
    def checkpoint_bytes(self) -> int:
        """About what a resume file and a model file take together on a disk."""
        numbers = sum(parameter.numel() for parameter in self.model.parameters())
        hidden = sum(part.nbytes for layer in self._states[0] for part in layer)
        weights = sum(parameter.nbytes for parameter in self.model.parameters())
        moments = 2 if self.config.optim == "Adam" else 0
        return weights + 4 * (1 + moments) * numbers + hidden * self.batch.num_streams // self.batch.pass_size

    def summed_loss(self) -> float:
        """Return the sum of the steps' mean losses since `start_losses`, in nats, over all ranks; all must call it.

        fp32 losses add up exactly in float64, so that neither the order nor the ranks show.

        Raises:
            LostRankError: another rank is gone.
        """
        return self.ranks.sum_(self._losses.clone()).item() / self.ranks.size

    def restore(self, run: RunState) -> None:
        """Go on from where a run stands; rank 0 has its tensors, the others follow with `optimizer.broadcast`.

        Raises:
            KeyError, ValueError: on rank 0, they are those of another run.
            LostRankError: another rank is gone.
        """
        if self.ranks.is_first:
            self.optimizer.load(run.model, run.optimizer)
        self.take_hidden(run.hidden)
        self.start_losses(run.interval_loss)

    def start_losses(self, value: float = 0.0) -> None:
        """Go on from a sum."""
        self._losses.fill_(value * self.ranks.size if self.ranks.is_first else 0.0)

    def hidden(self) -> State:
        """Return the hidden state of all ranks' streams, on rank 0; all must call it.

        Raises:
            LostRankError: another rank is gone.
        """
        mine = [
            tuple(torch.cat(parts) for parts in zip(*layers, strict=True)) for layers in zip(*self._states, strict=True)
        ]
        gathered = [tuple(self.ranks.gather(part) for part in layer) for layer in mine]
        return [tuple(torch.cat(parts) for parts in layer) for layer in gathered] if self.ranks.is_first else []

    def take_hidden(self, hidden: State) -> None:
        """Go on from a hidden state of all ranks' streams, which rank 0 has; all must call it.

        Raises:
            LostRankError: another rank is gone.
            ValueError: on rank 0, it is not of this model and these streams.
        """
        whole = self.model.initial_state(self.batch.num_streams)
        if self.ranks.is_first:
            found, wanted = ([[list(part.shape) for part in layer] for layer in state] for state in (hidden, whole))
            if found != wanted:
                raise ValueError(f"hidden is {found}, not {wanted}")
            whole = [tuple(part.to(self.device) for part in layer) for layer in hidden]
        mine = slice(self.batch.streams.start, self.batch.streams.stop)
        share = [tuple(self.ranks.broadcast_(part)[mine] for part in layer) for layer in whole]
        self._states = [[tuple(part[rows].clone() for part in layer) for layer in share] for rows in self.batch.passes]

    def _initial_states(self) -> list[State]:
        return [self.model.initial_state(self.batch.pass_size) for _ in self.batch.passes]

    def _open(self, epoch: int) -> EpochStream:
        config = self.config
        self._epoch = epoch
        return EpochStream(
            self._shards,
            num_streams=self.batch.num_streams,
            seq_length=config.seq_length,
            epoch=epoch,
            seed=config.seed,
            persist_state=config.persist_state,
            streams=self.batch.streams,
            prefetch=True,
        )

    def _on_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def introduction(learner: Learner, *, num_steps: int) -> str:
    """Say in a line what is trained, on what, and for how long."""
    config, stream, batch = learner.config, learner.stream, learner.batch
    numbers = sum(parameter.numel() for parameter in learner.model.parameters())
    how = "" if config.precision == "fp32" else f" in {config.precision} with fp32 master weights"
    where = f"{learner.device}" if learner.ranks.size == 1 else f"{learner.ranks.size} ranks"
    passes = "" if batch.num_passes == 1 else f" ({batch.num_passes} passes a rank)"
    return (
        f"model: {config.model.model}, {config.model.nhid:,} units, {numbers:,} parameters{how}, on {where}; "
        f"{stream.num_bytes:,} bytes an epoch in {batch.num_streams} streams{passes}, {num_steps:,} steps of "
        f"{batch.num_streams * config.seq_length:,} bytes, {stream.tail_bytes:,} left over"
    )
