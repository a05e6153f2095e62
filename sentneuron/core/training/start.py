"""What a run starts from where it does not start from random weights."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sentneuron.core.config import ModelConfig, TrainConfig
from sentneuron.core.errors import DataError
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.fingerprint import weights_fingerprint
from sentneuron.core.model.locate import find_start
from sentneuron.core.training.learner import Weights
from sentneuron.core.training.parts import Parts


def begin_with(
    config: TrainConfig, parts: Parts, *, ranks: Ranks, announce: Callable[[str], None]
) -> tuple[TrainConfig, Weights | None]:
    """Return the settings with the architecture of the model that `config.init` names, and on rank 0 its weights.

    Its fingerprint joins those of `parts`. All ranks call this together; rank 0 reads the file.

    Raises:
        InputNotFoundError, DataError, StorageError: as `load_model`.
        DataError: the model holds no decoder.
        LostRankError: another rank is gone.
    """
    if config.init is None:
        return config, None
    weights: Weights | None = None
    told: dict[str, Any] = {}
    if ranks.is_first:
        path, name = find_start(config.init)
        saved = load_model(path)
        if not saved.has_decoder:
            raise DataError(f"{name} holds no decoder to train", hint="start from a language model")
        announce(f"starting from the weights of {name}")
        if saved.rule != parts.corpus.rule:
            announce(f"note: {name} has read text cleaned by another rule than this data")
        told = {"config": saved.model.config.to_dict(), "fingerprint": weights_fingerprint(saved.model)}
        weights = saved.model.state_dict()
    told = ranks.share(told)
    parts.fingerprints["init_fingerprint"] = told["fingerprint"]
    return replace(config, model=replace(ModelConfig.from_dict(told["config"]), dropout=config.model.dropout)), weights
