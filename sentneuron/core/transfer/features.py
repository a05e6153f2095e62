"""A text's features: the top layer's cell state after its last byte, or the mean of its tanh over all bytes.

Texts run together, longest first, so that the ones still running are always the first rows: the batch shrinks as
texts end and no step is spent on padding. Nothing of a text is kept but one row of state (and one of sums), whatever
its length; bytes reach the device a window at a time. How texts share a batch changes a feature by rounding only
(below 1e-5).

Texts are cleaned bytes, padding included. The state is zero before the first byte.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sentneuron.core.config import Pooling

BATCH_SIZE = 256
WINDOW = 512

State = list[tuple[Tensor, ...]]
Progress = Callable[[int, int | None], None]


class ByteRunner(Protocol):
    """What is needed of a model: `core.model.runner.Runner` is one."""

    num_units: int
    device: torch.device

    def initial_state(self, num_streams: int) -> State:
        """Return the state before the first byte."""

    def step(self, ids: Tensor, state: State) -> State:
        """Return the state after one more byte a stream."""

    def cells(self, state: State) -> Tensor:
        """Return the values [B, H] that are features."""


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

    An empty text's features are zero.
    """
    features = np.zeros((len(texts), runner.num_units), np.float32)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
    num_bytes = sum(map(len, texts))
    done = 0
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = [texts[i] for i in rows]
        pooled = torch.zeros(len(batch), runner.num_units, device=runner.device)
        squashed = torch.empty_like(pooled)
        for active, staying, cells in sweep(runner, batch):
            if pooling == "mean":
                pooled[:active] += torch.tanh(cells, out=squashed[:active])
            elif staying < active:
                pooled[staying:active] = cells[staying:]
            done += active
            progress(done, num_bytes)
        if pooling == "mean":
            pooled /= torch.tensor([[max(len(text), 1)] for text in batch], device=pooled.device)
        features[rows] = pooled.cpu().numpy()
    return features


@torch.inference_mode()
def trace(runner: ByteRunner, text: bytes, neurons: Sequence[int]) -> NDArray[np.float32]:
    """Return the cell values [len(text), len(neurons)] after every byte."""
    columns = torch.tensor(list(neurons), device=runner.device)
    values = [cells[0, columns] for _, _, cells in sweep(runner, [text])]
    return torch.stack(values).cpu().numpy() if values else np.zeros((0, len(neurons)), np.float32)


@torch.inference_mode()
def typical_range(
    runner: ByteRunner, texts: Sequence[bytes], neurons: Sequence[int], *, percentile: float = 99
) -> list[float]:
    """Return for each neuron the percentile of the cell value's size over all bytes of the texts.

    One value a byte and neuron is kept: give tens of kilobytes, not a corpus.
    """
    columns = torch.tensor(list(neurons), device=runner.device)
    batch = sorted(texts, key=len, reverse=True)
    values = [cells[:, columns].abs() for _, _, cells in sweep(runner, batch)]
    if not values:
        return [1.0] * len(neurons)
    sizes = np.percentile(torch.cat(values).cpu().numpy(), percentile, axis=0)
    return [float(size) or 1.0 for size in sizes]


def sweep(runner: ByteRunner, texts: Sequence[bytes]) -> Iterator[tuple[int, int, Tensor]]:
    """Run texts, sorted longest first, side by side; yield `(active, staying, cells)` after each byte.

    `cells` [active, H] belong to the first `active` texts, of which the first `staying` have another byte. They are
    valid until the next step.
    """
    lengths = np.array([len(text) for text in texts], np.int64)
    assert (np.diff(lengths) <= 0).all(), "texts are not sorted by length"
    longest = int(lengths.max(initial=0))
    # active[t]: texts longer than t bytes.
    active = len(texts) - np.searchsorted(lengths[::-1], np.arange(longest + 1), side="right")
    counts = active.tolist()
    state = runner.initial_state(len(texts))
    for start in range(0, longest, WINDOW):
        ids = _window(texts[: counts[start]], start, min(WINDOW, longest - start)).to(runner.device)
        for t, row in enumerate(ids, start):
            num_active = counts[t]
            if len(state[0][0]) > num_active:
                state = [tuple(part[:num_active] for part in layer) for layer in state]
            state = runner.step(row[:num_active], state)
            yield num_active, counts[t + 1], runner.cells(state)


def _window(texts: Sequence[bytes], start: int, size: int) -> Tensor:
    """Return bytes `start` to `start + size` of the texts as [T, B]; what lies behind a text's end is never read."""
    ids = np.zeros((size, len(texts)), np.uint8)
    for column, text in enumerate(texts):
        part = np.frombuffer(text, np.uint8, count=min(size, len(text) - start), offset=start)
        ids[: len(part), column] = part
    return torch.from_numpy(ids)
