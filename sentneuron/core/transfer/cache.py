"""Features kept beside a transfer's results, so that another regression on them takes seconds.

`features_<part>.npz` holds the features and a key: a hash of the model's weights, of how features are taken, and of the
clean texts. Another key is another computation, and the file is ignored.
"""

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.atomic import atomic_open
from sentneuron.core.config import Pooling, Precision


def features_key(
    fingerprint: str, texts: Sequence[bytes], *, pooling: Pooling, all_layers: bool, precision: Precision
) -> str:
    """Return what features depend on, as one hash."""
    digest = hashlib.sha256(f"{fingerprint} {pooling} {all_layers} {precision}\n".encode())
    for text in texts:
        digest.update(f"{len(text)} ".encode() + text)
    return digest.hexdigest()


def save_features(path: Path, key: str, features: NDArray[np.float32]) -> None:
    """Write features with their key.

    Raises:
        OutputError, StorageError: as `atomic_open`.
    """
    with atomic_open(path, "wb") as file:
        np.savez(file, key=np.array(key), features=features)


def cached_features(path: Path, key: str) -> NDArray[np.float32] | None:
    """Return the features at `path` where they have this key; None where not, or where the file cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return stored["features"] if str(stored["key"]) == key else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
