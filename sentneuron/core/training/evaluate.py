"""Bits per byte of a model on held-out shards."""

import math
from collections.abc import Sequence

import torch

from sentneuron.core.config import TrainConfig
from sentneuron.core.data.shards import Shard
from sentneuron.core.data.stream import EpochStream, rank_streams
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.language_model import LanguageModel

MIN_STREAM_BYTES = 16_384
"""Streams are at least so long where the text allows, so that few bytes are predicted without a past."""


@torch.no_grad()
def bits_per_byte(model: LanguageModel, shards: Sequence[Shard], *, config: TrainConfig, ranks: Ranks) -> float:
    """Return the mean over all bytes but the tail, every stream starting from the zero state; deterministic, and the
    same on all ranks, which share the streams.

    `config` says how many streams there are at most, how long a window is, and where the state is reset.

    Raises:
        DataError: the shards hold less than two bytes, or are damaged.
        LostRankError: another rank is gone.
    """
    num_bytes = sum(shard.num_bytes for shard in shards)
    num_streams = max(1, min(config.batch_size, num_bytes // MIN_STREAM_BYTES))
    seq_length = max(1, min(config.seq_length, (num_bytes - 1) // num_streams))
    mine = rank_streams(num_streams, rank=ranks.rank, num_ranks=ranks.size)
    stream = EpochStream(
        shards, num_streams=num_streams, seq_length=seq_length, persist_state=config.persist_state, streams=mine
    )
    device = model.decoder.weight.device
    was_training = model.training
    model.eval()
    state = model.initial_state(len(mine))
    total = torch.zeros((), dtype=torch.float64, device=device)
    for step in range(stream.num_steps if mine else 0):
        window = stream.window(step)
        ids, targets = torch.from_numpy(window.ids).to(device), torch.from_numpy(window.targets).to(device)
        resets = None if window.resets is None else torch.from_numpy(window.resets).to(device)
        loss, state = model.loss(ids, targets, state, resets)
        total += loss * (len(mine) / num_streams)
    model.train(was_training)
    return ranks.sum_(total).item() / stream.num_steps / math.log(2)
