"""The features of each part of labelled data: kept beside the results, and taken from there where that is asked for."""

from collections.abc import Callable, Mapping, Sequence
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
    output: Path,
    progress: Progress,
    announce: Callable[[str], None],
) -> Features:
    """Return each part's features, kept ones where asked for and still right; what was computed is kept in `output`.

    `progress` counts the bytes of all parts.

    Raises:
        OutputError, StorageError: they cannot be kept.
        DataError, LostRankError: as `FeaturePool.featurize`.
    """
    fingerprint = weights_fingerprint(runner.model)
    features: dict[str, NDArray[np.float32]] = {}
    total = sum(len(text) for part in texts.values() for text in part)
    done = 0
    for part, batch in texts.items():
        path = output / f"features_{part}.npz"
        key = features_key(
            fingerprint,
            batch,
            pooling=config.pooling,
            all_layers=config.all_layers,
            precision=config.precision,
        )
        stop = done + sum(map(len, batch))
        kept = cached_features(path, key) if config.use_cached else None
        if kept is None:
            share = part_of(progress, done, stop, total)
            kept = pool.featurize(runner, list(batch), pooling=config.pooling, progress=share)
            save_features(path, key, kept)
        else:
            announce(f"features of {part} taken from {path}")
        features[part] = kept
        done = stop
    return features
