"""Bits per byte of a model on held-out shards."""

import math
from collections.abc import Sequence

import torch

from sentneuron.core.config import PersistState
from sentneuron.core.data.shards import Shard
from sentneuron.core.data.stream import EpochStream
from sentneuron.core.model.language_model import LanguageModel

MIN_STREAM_BYTES = 16_384
"""Streams are at least so long where the text allows, so that few bytes are predicted without a past."""


@torch.no_grad()
def bits_per_byte(
    model: LanguageModel,
    shards: Sequence[Shard],
    *,
    max_streams: int,
    seq_length: int,
    persist_state: PersistState,
) -> float:
    """Return the mean over all bytes but the tail, every stream starting from the zero state; the figure is
    deterministic.

    Raises:
        DataError: the shards hold less than two bytes, or are damaged.
    """
    num_bytes = sum(shard.num_bytes for shard in shards)
    num_streams = max(1, min(max_streams, num_bytes // MIN_STREAM_BYTES))
    seq_length = max(1, min(seq_length, (num_bytes - 1) // num_streams))
    stream = EpochStream(shards, num_streams=num_streams, seq_length=seq_length, persist_state=persist_state)
    device = model.decoder.weight.device
    was_training = model.training
    model.eval()
    state = model.initial_state(num_streams)
    total = 0.0
    for step in range(stream.num_steps):
        window = stream.window(step)
        ids, targets = torch.from_numpy(window.ids).to(device), torch.from_numpy(window.targets).to(device)
        resets = None if window.resets is None else torch.from_numpy(window.resets).to(device)
        loss, state = model.loss(ids, targets, state, resets)
        total += loss.item()
    model.train(was_training)
    return total / stream.num_steps / math.log(2)
