"""The engine of `transfer`: features of labelled texts, a probe on all neurons, one on the heaviest few, their files.

Writes into one folder: `classifier.pt`, `results.json`, `features_<part>.npz`, `predictions.csv`, `weights.png` and a
`neuron_<i>.png` for each neuron of the second probe. Features are raw, as in the paper. Several ranks compute features
together (see feature_pool.py); rank 0 does all the rest.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sentneuron.core.config import Pooling, TransferConfig
from sentneuron.core.data.labelled import LabelledTexts, load_labelled
from sentneuron.core.errors import OutputError, UsageError
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.checkpoint import SavedModel, load_model, save_model
from sentneuron.core.model.device import pick_device
from sentneuron.core.model.runner import Runner
from sentneuron.core.report.plots import plot_neuron, plot_weights
from sentneuron.core.transfer.cache import cached_features, features_key, save_features, weights_fingerprint
from sentneuron.core.transfer.feature_pool import FeaturePool
from sentneuron.core.transfer.features import Progress, no_progress, part_of, typical_range
from sentneuron.core.transfer.probe import Probe, fit_probe, heaviest_neurons
from sentneuron.core.transfer.results import describe_probe, score_parts, write_predictions, write_results

SCALE_BYTES = 32_768
"""Validation text that the colour scale of heatmaps is taken from."""

Features = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class TransferReport:
    """What a transfer made."""

    output: Path
    """The folder."""
    results: dict[str, Any] = field(repr=False)
    """As in results.json."""
    files: list[Path] = field(repr=False)
    """What was written into the folder."""


def transfer(
    config: TransferConfig,
    *,
    ranks: Ranks | None = None,
    device: torch.device | None = None,
    progress: Progress = no_progress,
    announce: Callable[[str], None] = lambda line: None,
) -> TransferReport | None:
    """Fit a classifier on a model's features and write it with its results; `progress` counts bytes of text.

    All `ranks` call this together; None stands alone. Rank 0 alone reads data, writes and returns a report. `device` is
    this rank's; None: `config.device`.

    Raises:
        UsageError: more neurons than the model has, or data options that do not go together.
        DataError: a model or data that cannot be used.
        InputNotFoundError: no such model or data.
        OutputError, StorageError: a file cannot be written.
        LostRankError: another rank is gone, or hangs.
    """
    ranks = ranks or Ranks()
    with FeaturePool(ranks) as pool:
        started = time.monotonic()
        saved = load_model(Path(config.model), device=device or pick_device(config.device))
        if ranks.is_first:
            return _transfer(config, saved, pool, started, progress, announce)
        pool.serve(Runner(saved.model), pooling=config.pooling)
        return None


def _transfer(
    config: TransferConfig,
    saved: SavedModel,
    pool: FeaturePool,
    started: float,
    progress: Progress,
    announce: Callable[[str], None],
) -> TransferReport:
    """Do what `transfer` does on rank 0."""
    num_units = saved.model.config.nhid
    if config.neurons > num_units:
        raise UsageError(f"--neurons {config.neurons}: the model has {num_units}", hint="ask for fewer")
    data = load_labelled(config, saved.rule, announce=announce)
    output = _make_folder(config)
    runner = Runner(saved.model)
    features = _featurize_parts(config, pool, runner, data, output, progress, announce)
    featurized = time.monotonic()

    announce(f"fitting regressions on {num_units:,} neurons, and on the heaviest {config.neurons}")
    everything = list(range(num_units))
    all_probe = _fit(features, everything, data, config.seed)
    neurons = heaviest_neurons(all_probe.weight, config.neurons)
    few_probe = _fit(features, neurons, data, config.seed)

    results = {
        "model": config.model,
        "data": data.name,
        "classes": data.classes,
        "pooling": config.pooling,
        "rows": {part: len(examples) for part, examples in data.parts.items()},
        "skipped": data.skipped,
        "sentiment_neuron": neurons[0],
        "all_neurons": describe_probe(all_probe, everything) | score_parts(all_probe, everything, features, data),
        "neurons": describe_probe(few_probe, neurons) | score_parts(few_probe, neurons, features, data),
        "seconds": {"features": featurized - started, "regressions": time.monotonic() - featurized},
    }
    classifier = {
        "classes": data.classes,
        "pooling": config.pooling,
        "all": all_probe.to_dict(),
        "neurons": few_probe.to_dict()
        | {
            "indices": neurons,
            "scale": typical_range(runner, _sample([e.clean for e in data.parts["valid"]]), neurons),
        },
    }
    files = [output / "classifier.pt"]
    save_model(files[0], replace(saved, kind="classifier", classifier=classifier))
    files += _write_tables(output, config, data, all_probe, features, results)
    files += _draw(output, data, all_probe, features, neurons, config.pooling)
    return TransferReport(output=output, results=results, files=files)


def _make_folder(config: TransferConfig) -> Path:
    """Make the folder to write into, MODEL_transfer here where none is named.

    Raises:
        OutputError: it cannot be made.
    """
    output = config.output or Path(f"{Path(config.model).stem}_transfer")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {output}: {error.strerror}", hint="choose another with -o") from error
    return output


def _featurize_parts(
    config: TransferConfig,
    pool: FeaturePool,
    runner: Runner,
    data: LabelledTexts,
    output: Path,
    progress: Progress,
    announce: Callable[[str], None],
) -> Features:
    """Return each part's features, kept ones where asked for and still right; what was computed is kept."""
    texts = {part: [example.clean for example in examples] for part, examples in data.parts.items()}
    fingerprint = weights_fingerprint(runner.model)
    features: Features = {}
    total = sum(len(text) for part in texts.values() for text in part)
    done = 0
    for part, batch in texts.items():
        path, key = output / f"features_{part}.npz", features_key(fingerprint, config.pooling, batch)
        stop = done + sum(map(len, batch))
        kept = cached_features(path, key) if config.use_cached else None
        if kept is None:
            share = part_of(progress, done, stop, total)
            kept = pool.featurize(runner, batch, pooling=config.pooling, progress=share)
            save_features(path, key, kept)
        else:
            announce(f"features of {part} taken from {path}")
        features[part] = kept
        done = stop
    return features


def _fit(features: Features, neurons: list[int], data: LabelledTexts, seed: int) -> Probe:
    """Fit the probe on some neurons, its strength chosen on the validation part."""
    train, valid = features["train"][:, neurons], features["valid"][:, neurons]
    return fit_probe(train, data.truth("train"), valid, data.truth("valid"), seed=seed)


def _write_tables(
    output: Path,
    config: TransferConfig,
    data: LabelledTexts,
    probe: Probe,
    features: Features,
    results: dict[str, Any],
) -> list[Path]:
    """Write predictions.csv and results.json."""
    paths = [output / "predictions.csv", output / "results.json"]
    write_predictions(paths[0], data, probe, features, results["sentiment_neuron"])
    write_results(paths[1], results)
    if config.write_results is not None:
        write_results(config.write_results, results)
    return paths


def _draw(
    output: Path, data: LabelledTexts, probe: Probe, features: Features, neurons: list[int], pooling: Pooling
) -> list[Path]:
    """Draw the weights, and each neuron's values on the training part."""
    truth = data.truth("train")
    paths = [output / "weights.png", *(output / f"neuron_{neuron}.png" for neuron in neurons)]
    plot_weights(paths[0], probe.weight, neurons, data.classes)
    for path, neuron in zip(paths[1:], neurons, strict=True):
        plot_neuron(path, features["train"][:, neuron], truth, data.classes, neuron, pooling=pooling)
    return paths


def _sample(texts: list[bytes]) -> list[bytes]:
    """Return some texts from all over the list, SCALE_BYTES long together."""
    picked: list[bytes] = []
    room = SCALE_BYTES
    for text in texts[:: len(texts) // 200 + 1]:
        picked.append(text[:room])
        room -= len(picked[-1])
    return picked
