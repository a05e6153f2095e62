"""The shards of a run: what it trains on, validates on and is measured on at the end."""

import socket
from collections.abc import Callable
from dataclasses import dataclass

from sentneuron.core.config import TrainConfig
from sentneuron.core.data.corpus import open_corpus
from sentneuron.core.data.shards import Shard, ShardSet
from sentneuron.core.errors import DataError
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.training.report import Progress

CACHE = ".sentneuron"
"""Folder beside the model file for shards made on the way."""


@dataclass(kw_only=True)
class Parts:
    """The shards of a run."""

    corpus: ShardSet
    """Where DATA itself lies; its text rule becomes the model's."""
    train: list[Shard]
    valid: list[Shard]
    test: list[Shard]
    fingerprints: dict[str, str]
    """Of what decides the weights that are kept: the training data, and validation data of its own."""


def open_parts(
    config: TrainConfig, data: str, *, ranks: Ranks, progress: Progress, announce: Callable[[str], None]
) -> Parts:
    """Open DATA and, where they are named, validation and test data of their own; text is sharded on the way.

    With `config.check` full every shard is read and compared with its manifest before this returns, each rank's share
    of them by that rank.

    Raises:
        SentneuronError: one of them cannot be used.
        DataError: on rank 0, another machine has other data under that name.
    """

    def opened(name: str, split: tuple[int, ...]) -> ShardSet:
        cache = config.save.parent / CACHE
        shards = open_corpus(name, split=split, cache=cache, seed=config.seed, progress=progress, announce=announce)
        if config.check == "full":
            announce(f"checking every shard of {name}")
            share = slice(ranks.rank, None, ranks.size)
            shards.check(part=share, progress=lambda done, total: progress(done, total, "checking shards"))
        return shards

    corpus = opened(data, config.split)
    parts = Parts(
        corpus=corpus,
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        test=corpus.split("test"),
        fingerprints={"data_fingerprint": corpus.fingerprint},
    )
    if config.valid is not None:
        valid = opened(config.valid, (1,))
        parts.valid = valid.split("train")
        parts.fingerprints["valid_fingerprint"] = valid.fingerprint
    if config.test is not None:
        parts.test = opened(config.test, (1,)).split("train")
    _require_same(parts.fingerprints, data, ranks)
    return parts


def _require_same(fingerprints: dict[str, str], data: str, ranks: Ranks) -> None:
    """Check that all ranks have the same data.

    Raises:
        DataError: on rank 0, one has others; names its machine.
    """
    mine = " ".join(fingerprints.values())
    for rank, said in enumerate(ranks.gather_text(f"{socket.gethostname()} {mine}")):
        host, _, theirs = said.partition(" ")
        if theirs != mine:
            raise DataError(
                f"{data} on {host} (rank {rank}) is not what it is on {socket.gethostname()} (rank 0)",
                hint="copy the same shards to every machine",
            )
