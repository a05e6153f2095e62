"""A text's features: the top layer's cell state after its last byte, the mean of its tanh over all bytes, or the
hidden state after the last byte.

Texts run side by side, packed end to end in streams of nearly equal length (`packing`), so that a row of the batch is
never spent on padding and hardly ever missing. Nothing of a text is kept but one row of state (and one of sums),
whatever its length; bytes reach the device a window at a time. How texts share a batch changes a feature by rounding
only: below 1e-5, and a millionth of its size for a cell far from zero.

Texts are cleaned bytes, padding included. The state is zero before the first byte.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sentneuron.core.config import Pooling
from sentneuron.core.errors import DataError
from sentneuron.core.transfer.packing import pack, windows

BATCH_SIZE = 256
FETCH = 1024
"""Finished rows that stay on the device until they are fetched together."""

State = list[tuple[Tensor, ...]]
Progress = Callable[[int, int | None], None]


class ByteRunner(Protocol):
    """What is needed of a model: `core.model.runner.Runner` is one."""

    num_units: int
    device: torch.device

    def initial_state(self, num_streams: int) -> State:
        """Return the state before the first byte."""

    def step(self, ids: Tensor, state: State) -> State:
        """Return the state after one more byte a stream; the one given is used up."""

    def cells(self, state: State) -> Tensor:
        """Return the cell states [B, H] that are features, valid until the next step."""

    def hidden(self, state: State) -> Tensor:
        """Return the hidden states [B, H] of the same units."""


class Step(NamedTuple):
    """What a byte of every running stream has led to."""

    values: Tensor
    """The streams' cell states or hidden states [B, H], valid until the next step."""
    ended: list[int]
    """Texts that end with this byte."""
    slots: Tensor | None
    """Their rows of `values`; None where no text ends."""


def no_progress(done: int, total: int | None) -> None:
    """Report nothing."""


def part_of(progress: Progress, start: int, stop: int, total: int | None) -> Progress:
    """Return a callback for a part of the work that moves `progress` from `start` to `stop`."""
    return lambda done, whole: progress(start + (stop - start) * done // max(whole or 1, 1), total)


@torch.inference_mode()
def featurize(
    runner: ByteRunner,
    texts: Sequence[bytes],
    *,
    pooling: Pooling = "last",
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> NDArray[np.float32]:
    """Return a row of features [N, H] for each text, in the order given; `progress` counts bytes.

    An empty text's features are zero. Whether they are finite is looked at by `require_finite`.
    """
    features = np.zeros((len(texts), runner.num_units), np.float32)
    lengths = [len(text) for text in texts]
    num_bytes = sum(lengths)
    streams = pack(lengths, num_streams=batch_size)
    sums = torch.zeros(len(streams), runner.num_units, device=runner.device)
    squashed = torch.empty_like(sums)
    finished: list[Tensor] = []
    places: list[int] = []
    done = 0
    for step in sweep(runner, texts, streams, read=runner.hidden if pooling == "hidden" else runner.cells):
        active = len(step.values)
        if pooling == "mean":
            sums[:active] += torch.tanh(step.values, out=squashed[:active])
        if step.slots is not None:
            finished.append((sums if pooling == "mean" else step.values).index_select(0, step.slots))
            places += step.ended
            sums.index_fill_(0, step.slots, 0)
        done += active
        if places and (len(places) >= FETCH or done == num_bytes):
            features[places] = torch.cat(finished).cpu().numpy()
            finished, places = [], []
        progress(done, num_bytes)
    if pooling == "mean":
        features /= np.maximum(lengths, 1, dtype=np.float32)[:, None]
    return features


def require_finite(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return features [N, F] as they are: NaN is what stands for a text that is not there.

    Raises:
        DataError: one is not finite.
    """
    with np.errstate(invalid="ignore"):
        total = features.sum(dtype=np.float64)  # of float32, it cannot overflow
    if not np.isfinite(total):
        raise DataError(
            "the model's features are not finite", hint="its weights are damaged or it diverged: use another model"
        )
    return features


@torch.inference_mode()
def traces(runner: ByteRunner, texts: Sequence[bytes], watch: Callable[[State], Tensor]) -> list[list[float]]:
    """Return what `watch` reads from the state (B streams, B values) after every byte of each text; the texts run side
    by side."""
    streams = pack([len(text) for text in texts], num_streams=len(texts))
    seen: list[list[float]] = [[] for _ in streams]
    for step in sweep(runner, texts, streams, read=watch):
        for own, value in zip(seen, step.values.tolist(), strict=False):
            own.append(value)
    found: list[list[float]] = [[] for _ in texts]
    for stream, own in zip(streams, seen, strict=True):
        start = 0
        for place in stream:
            found[place] = own[start : start + len(texts[place])]
            start += len(texts[place])
    return found


def sweep(
    runner: ByteRunner,
    texts: Sequence[bytes],
    streams: Sequence[Sequence[int]],
    *,
    read: Callable[[State], Tensor] | None = None,
) -> Iterator[Step]:
    """Run the streams that `pack` made of the texts side by side, a byte of each at a time; only texts start at zero.

    A step's values are what `read` takes from the state, the cell states by default. The batch shrinks as streams end.
    """
    read = read or runner.cells
    state = runner.initial_state(len(streams))
    for window in windows(texts, streams):
        ids = window.ids.to(runner.device)
        slots = torch.tensor([slot for texts_at in window.ended.values() for _, slot in texts_at], dtype=torch.long)
        at_steps = slots.to(runner.device).split([len(texts_at) for texts_at in window.ended.values()])
        slots_at = dict(zip(window.ended, at_steps, strict=True))
        for t, row in enumerate(ids):
            active = window.active[t]
            if len(state[0][0]) > active:
                state = [tuple(part[:active] for part in layer) for layer in state]
            state = runner.step(row[:active], state)
            values, ended = read(state), window.ended.get(t)
            if ended is None:
                yield Step(values, [], None)
                continue
            yield Step(values, [place for place, _ in ended], slots_at[t])
            for layer in state:
                for part in layer:
                    part.index_fill_(0, slots_at[t], 0)
