"""Bits per byte on held-out text: the language models against gzip, xz and a byte 5-gram model.

All get the same text, test shards of the program's own split. The 5-gram model counts the very bytes that the largest
language model was trained on, the windows of its streams. gzip and xz know nothing but the text itself, as a user would
call them; so a third figure lets xz read training text first, as much as its window holds (64 MB): the bytes that the
held-out text adds to the archive.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from compressors import bits_without_networks
from numpy.typing import NDArray
from reproduction_models import largest_path
from reproduction_scales import STREAMS, WINDOW, Scale
from reproduction_stages import Work

from sentneuron.core.config import TrainConfig
from sentneuron.core.data.shards import Shard, open_shards
from sentneuron.core.data.stream import EpochStream
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.device import pick_device
from sentneuron.core.model.fingerprint import weights_fingerprint
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.training.evaluate import bits_per_byte


def compare(work: Work, scale: Scale, shards: str, *, device: str) -> dict[str, Any]:
    """Return bits per byte by method, and what was compared."""
    where = pick_device(device)
    ours, shipped = load_model(largest_path(work, scale)), load_model(PRETRAINED, device=where)
    test = open_shards(shards).split("test")[: scale.test_shards]
    settings = {
        "largest": weights_fingerprint(ours.model),
        "shipped": weights_fingerprint(shipped.model),
        "test_shards": scale.test_shards,
        "order": scale.ngram_order,
        "shards": open_shards(shards).fingerprint,
    }

    def compute() -> dict[str, Any]:
        config = TrainConfig(batch_size=STREAMS, seq_length=WINDOW)
        text = text_of(test)
        trained_on = training_bytes(shards, num_bytes=ours.training["bytes"], seed=scale.seed)
        return {
            "bytes": len(text),
            "trained_bytes": trained_on.size,
            "largest": {
                "nhid": ours.model.config.nhid,
                "bits_per_byte": bits_per_byte(
                    load_model(largest_path(work, scale), device=where).model, test, config=config, ranks=Ranks()
                ),
            },
            "shipped": {
                "nhid": shipped.model.config.nhid,
                "trained_bytes": shipped.training.get("bytes"),
                "same_split": shipped.training.get("data_fingerprint") == settings["shards"],
                "bits_per_byte": bits_per_byte(shipped.model, test, config=config, ranks=Ranks()),
            },
            **bits_without_networks(text, trained_on=trained_on, order=scale.ngram_order),
        }

    return work.result("compression", settings, compute)


def text_of(shards: Sequence[Shard]) -> NDArray[np.uint8]:
    """Return all bytes of shards."""
    return np.concatenate([shard.read_row_group(i)[0] for shard in shards for i in range(len(shard.row_group_bytes))])


def training_bytes(shards: str, *, num_bytes: int, seed: int) -> NDArray[np.uint8]:
    """Return the bytes that a run has read [STREAMS, T]: the first epoch's windows, until it ended or to `num_bytes`.

    Of a run over several epochs that is all of the training text.
    """
    stream = EpochStream(
        open_shards(shards).split("train"), num_streams=STREAMS, seq_length=WINDOW, seed=seed, prefetch=True
    )
    num_steps = min(num_bytes // (STREAMS * WINDOW), stream.num_steps)
    text = np.empty((STREAMS, num_steps * WINDOW), np.uint8)
    for step in range(num_steps):
        text[:, step * WINDOW : (step + 1) * WINDOW] = stream.window(step).ids
    return text
