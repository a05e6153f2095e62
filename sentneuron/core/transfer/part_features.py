"""The features of each part of labelled data: kept beside the results, and taken from there where that is asked for."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.config import TransferConfig
from sentneuron.core.model.fingerprint import weights_fingerprint
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.cache import cached_features, features_key, save_features
from sentneuron.core.transfer.feature_pool import FeaturePool
from sentneuron.core.transfer.features import Progress, part_of

Features = Mapping[str, NDArray[np.float32]]
"""A part's features [N, F] by its name."""


def featurize_parts(
    texts: Mapping[str, Sequence[bytes]],
    config: TransferConfig,
    *,
    pool: FeaturePool,
    runner: Runner,
    progress: Progress,
    output: Path | None = None,
    announce: Callable[[str], None] = lambda line: None,
) -> Features:
    """Return each part's features; with `output` what was computed is kept there, and taken from there again where that
    is asked for and still right.

    `progress` counts the bytes of all parts.

    Raises:
        OutputError, StorageError: they cannot be kept.
        DataError, LostRankError: as `FeaturePool.featurize`.
    """
    fingerprint = "" if output is None else weights_fingerprint(runner.model)
    features: dict[str, NDArray[np.float32]] = {}
    total = sum(len(text) for part in texts.values() for text in part)
    done = 0
    for part, batch in texts.items():
        stop = done + sum(map(len, batch))
        compute = partial(
            pool.featurize,
            runner,
            list(batch),
            pooling=config.pooling,
            progress=part_of(progress, done, stop, total),
        )
        if output is None:
            features[part] = compute()
        else:
            path = output / f"features_{part}.npz"
            features[part] = _kept(path, fingerprint, batch, config, compute, announce)
        done = stop
    return features


def _kept(
    path: Path,
    fingerprint: str,
    texts: Sequence[bytes],
    config: TransferConfig,
    compute: Callable[[], NDArray[np.float32]],
    announce: Callable[[str], None],
) -> NDArray[np.float32]:
    """Return the features in a file where they are asked for and right; else compute them and write the file."""
    key = features_key(
        fingerprint, texts, pooling=config.pooling, all_layers=config.all_layers, precision=config.precision
    )
    kept = cached_features(path, key) if config.use_cached else None
    if kept is not None:
        announce(f"features of {path.stem.removeprefix('features_')} taken from {path}")
        return kept
    found = compute()
    save_features(path, key, found)
    return found
