"""The engine of `transfer`: features of labelled texts, a probe on all neurons, one on the heaviest few, their files.

Writes into one folder: `classifier.pt`, `results.json`, `features_<part>.npz`, `predictions.csv`, the figures and
`report.html` (see drawing.py). Features are raw, as in the paper. Several ranks compute features
together (see feature_pool.py); rank 0 does all the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from sentneuron.core.atomic import require_place
from sentneuron.core.config import TransferConfig
from sentneuron.core.data.labelled import LabelledTexts, load_labelled
from sentneuron.core.errors import OutputError, UsageError
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.checkpoint import SavedModel, load_model, save_model
from sentneuron.core.model.device import pick_device
from sentneuron.core.model.locate import find_language_model
from sentneuron.core.transfer.drawing import draw_report
from sentneuron.core.transfer.feature_pool import FeaturePool
from sentneuron.core.transfer.features import Progress, no_progress
from sentneuron.core.transfer.fitting import fit, make_runner
from sentneuron.core.transfer.part_features import Features
from sentneuron.core.transfer.probe import Probe
from sentneuron.core.transfer.results import write_predictions, write_results
from sentneuron.core.transfer.unit_scale import sample, typical_range


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
        UsageError: more neurons than the model has, options that do not go together, or fine-tuning on several ranks.
        DataError: a model or data that cannot be used.
        InputNotFoundError: no such model or data.
        OutputError, StorageError: a file cannot be written.
        LostRankError: another rank is gone, or hangs.
    """
    ranks = ranks or Ranks()
    if config.finetune is not None and ranks.size > 1:
        raise UsageError(f"--finetune on {ranks.size} devices", hint="leave --gpus out: it works on one")
    with FeaturePool(ranks) as pool:
        path, name = find_language_model(config.model)
        saved = load_model(path, device=device or pick_device(config.device))
        if ranks.is_first:
            return _transfer(config, saved, name, pool, progress, announce)
        pool.serve(make_runner(config, saved), pooling=config.pooling)
        return None


def _transfer(
    config: TransferConfig,
    saved: SavedModel,
    name: str,
    pool: FeaturePool,
    progress: Progress,
    announce: Callable[[str], None],
) -> TransferReport:
    """Do what `transfer` does on rank 0."""
    num_features = saved.model.config.num_features(all_layers=config.all_layers)
    if config.neurons > num_features - config.drop_neurons:
        what = "--drop-neurons leaves none" if config.neurons == num_features else f"the model has {num_features}"
        raise UsageError(f"--neurons {config.neurons}: {what}", hint="ask for fewer")
    data = load_labelled(config, saved.rule, announce=announce)
    output = _make_folder(config)
    fitted = fit(config, saved, data, pool=pool, output=output, progress=progress, announce=announce)
    probes = fitted.probes
    neurons = probes.heaviest
    results = {
        "model": name,
        "data": data.name,
        "classes": data.classes,
        "multi_label": data.multi_label,
        "pooling": config.pooling,
        "all_layers": config.all_layers,
        "precision": config.precision,
        "folds": config.folds,
        "rows": {part: len(examples) for part, examples in data.parts.items()},
        "skipped": data.skipped,
        "sentiment_neuron": neurons[0],
        "heaviest_neurons": neurons,
        "drop_neurons": config.drop_neurons,
        **fitted.described,
    }
    scale = typical_range(
        fitted.runner, sample([example.clean for example in data.parts.get("valid", data.parts["train"])])
    )
    classifier = {
        "classes": data.classes,
        "multi_label": data.multi_label,
        "pooling": config.pooling,
        "all_layers": config.all_layers,
        "all": probes.every.to_dict(),
        "neurons": probes.second.to_dict() | {"indices": probes.indices},
        "sentiment_neuron": neurons[0],
        "scale": torch.from_numpy(scale),
    }
    training = saved.training
    if config.finetune is not None:  # what the record says of the encoder is no longer all
        settings = {key: value for key, value in results["finetuning"].items() if key != "curve"}
        before = training.get("finetuned", [])
        training = training | {"finetuned": [*before, {"data": data.name} | settings]}
    files = [output / "classifier.pt"]
    save_model(files[0], replace(saved, kind="classifier", classifier=classifier, training=training))
    files += _write_tables(output, config, data, probes.every, fitted.features, results)
    files += draw_report(
        output,
        results=results,
        classifier=classifier,
        data=data,
        features=fitted.features,
        probes=probes,
        runner=fitted.runner,
        rule=saved.rule,
    )
    return TransferReport(output=output, results=results, files=files)


def _make_folder(config: TransferConfig) -> Path:
    """Make the folder to write into, MODEL_transfer here where none is named, and check that files can be made there.

    Raises:
        OutputError, StorageError: they cannot.
    """
    if config.write_results is not None:
        require_place(config.write_results)
    output = config.output or Path(f"{Path(config.model or 'model').stem}_transfer")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {output}: {error.strerror}", hint="choose another with -o") from error
    require_place(output / "classifier.pt")
    return output


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
