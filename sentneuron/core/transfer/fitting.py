"""What a transfer fits: both regressions on the encoder as it is, and with fine-tuning both again on what became of it.

The accuracy against the number of labels is always that of the encoder as it is: a fine-tuned one has seen all labels.
For the same reason the regressions on it are calibrated: it has learnt the texts that they are fitted to.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentneuron.core.config import TransferConfig
from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.model.checkpoint import SavedModel
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.feature_pool import FeaturePool
from sentneuron.core.transfer.features import Progress, part_of
from sentneuron.core.transfer.finetune import finetune, tuning_bytes
from sentneuron.core.transfer.folds import cross_validate
from sentneuron.core.transfer.label_efficiency import label_efficiency
from sentneuron.core.transfer.part_features import Features, featurize_parts
from sentneuron.core.transfer.probes import Probes, fit_probes

Texts = Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Regressions, and what they stand on."""

    runner: Runner
    """The encoder."""
    features: Features
    probes: Probes
    described: dict[str, Any]
    """What results.json says of all this."""


def make_runner(config: TransferConfig, saved: SavedModel) -> Runner:
    """Prepare the model, with the settings that all ranks must share."""
    return Runner(saved.model, precision=config.precision, all_layers=config.all_layers)


def fit(
    config: TransferConfig,
    saved: SavedModel,
    data: LabelledTexts,
    *,
    pool: FeaturePool,
    output: Path,
    progress: Progress,
    announce: Callable[[str], None],
) -> Fitted:
    """Compute features, fit both regressions, and fine-tune where that is asked for, which changes `saved.model`.

    `progress` counts all bytes that the model reads; features are kept in `output`.

    Raises:
        OutputError, StorageError: features cannot be kept.
        DataError: features are not finite, or fine-tuning diverged.
        LostRankError: as `FeaturePool.featurize`.
    """
    texts = {part: [example.clean for example in examples] for part, examples in data.parts.items()}
    num_bytes = sum(len(text) for part in texts.values() for text in part)
    total = num_bytes if config.finetune is None else 2 * num_bytes + tuning_bytes(data, config.finetune)
    share = part_of(progress, 0, num_bytes, total)
    frozen = _fit_frozen(config, make_runner(config, saved), data, texts, pool, output, share, announce)
    if config.finetune is None:
        return frozen
    started = time.monotonic()
    epochs = "one epoch" if config.finetune.epochs == 1 else f"{config.finetune.epochs} epochs at the most"
    announce(f"fine-tuning on {len(texts['train']):,} texts, for {epochs}")
    share = part_of(progress, num_bytes, total - num_bytes, total)
    record = finetune(saved, frozen.probes.every, data, config, progress=share, announce=announce)
    runner = make_runner(config, saved)
    share = part_of(progress, total - num_bytes, total, total)
    features = featurize_parts(texts, config, pool=pool, runner=runner, progress=share)
    probes = fit_probes(features, data, config).calibrated(features["valid"], data.truth("valid"))
    described = frozen.described | probes.describe(features, data)
    described["frozen"] = {name: frozen.described[name] for name in ("all_neurons", "neurons")}
    described["frozen"]["heaviest_neurons"] = frozen.probes.heaviest
    described["finetuning"] = record
    described["seconds"]["finetuning"] = time.monotonic() - started
    return Fitted(runner=runner, features=features, probes=probes, described=described)


def _fit_frozen(
    config: TransferConfig,
    runner: Runner,
    data: LabelledTexts,
    texts: Texts,
    pool: FeaturePool,
    output: Path,
    progress: Progress,
    announce: Callable[[str], None],
) -> Fitted:
    """Fit both regressions on the encoder as it is."""
    started = time.monotonic()
    features = featurize_parts(
        texts, config, pool=pool, runner=runner, output=output, progress=progress, announce=announce
    )
    featurized = time.monotonic()
    but = "all but " if config.drop_neurons else ""
    announce(f"fitting regressions on {runner.num_units:,} neurons, and on {but}the heaviest {config.neurons}")
    if config.folds is None:
        probes = fit_probes(features, data, config)
        described = probes.describe(features, data)
    else:
        probes, folds = cross_validate(features["train"], data, config)
        described = {name: {"folds": folds[name]} | own for name, own in probes.describe(features, data).items()}
    described["label_efficiency"] = label_efficiency(features, data, probes, seed=config.seed)
    described["seconds"] = {"features": featurized - started, "regressions": time.monotonic() - featurized}
    return Fitted(runner=runner, features=features, probes=probes, described=described)
