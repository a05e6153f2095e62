"""What the language models know about sentiment: SST and IMDB, with all neurons and one, both poolings, and baselines.

`transfer` is run as the command runs it, on SST as published, and on IMDB's labelled training texts: a fifth is held
out from the classifier, an eighth of the rest chooses C. Nothing here reads IMDB's test texts. Each run has its folder
in the work folder, with report and figures. The states of both poolings are computed once, and kept there for
`--use-cached`.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from baselines import baselines, take
from probing import POOLINGS, featurize_parts, probe_scores
from reproduction_models import largest_path, mark_paths, model_path
from reproduction_scales import Scale
from reproduction_stages import Work

from sentneuron.core.atomic import atomic_open
from sentneuron.core.config import FinetuneConfig, ModelConfig, Pooling, Precision, ReadConfig, TransferConfig
from sentneuron.core.data.datasets import dataset_files
from sentneuron.core.data.examples import read_examples
from sentneuron.core.data.labelled import LabelledTexts, load_labelled
from sentneuron.core.data.parts import split_by_hash
from sentneuron.core.data.text import TextRule
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.device import pick_device
from sentneuron.core.model.fingerprint import weights_fingerprint
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.cache import features_key, save_features
from sentneuron.core.transfer.transfer import transfer

SHARES = {"test": 2, "valid": 1, "train": 7}
"""Of IMDB's labelled training texts, in tenths."""


def make_imdb(work: Work, scale: Scale, *, count: int) -> str:
    """Return a folder with the parts of `count` labelled IMDB training texts, made where it is not there."""
    folder = work.folder / f"imdb_{count}"
    if not (folder / "train.ndjson").exists():
        folder.mkdir(exist_ok=True)
        path = str(dataset_files("imdb", splits=("train",))["train"])
        examples, _ = read_examples([path], ReadConfig(), TextRule(), skipped=Counter())
        parts = split_by_hash(take(examples, count), SHARES, seed=scale.seed)
        for part in SHARES:  # the training part last: where it is, all are
            with atomic_open(folder / f"{part}.ndjson") as file:
                file.writelines(json.dumps({"text": one.text, "label": int(one.label)}) + "\n" for one in parts[part])
    return str(folder)


def score_sizes(work: Work, scale: Scale, *, imdb: str, device: str) -> list[dict[str, Any]]:
    """Transfer every size to SST and IMDB; return the scores, smallest size first.

    The shipped model is not among them: it has seen labels of both.
    """
    paths = [model_path(work, ModelConfig(nhid=nhid), num_bytes) for nhid, num_bytes in sorted(scale.bytes.items())]
    return [
        {
            "nhid": load_model(path).model.config.nhid,
            **{
                name: transfer_model(work, scale, path, name, data, device=device)
                for name, data in (("sst", "sst"), ("imdb", imdb))
            },
        }
        for path in paths
    ]


def score_marks(work: Work, scale: Scale, *, device: str) -> list[dict[str, Any]]:
    """Return SST's scores of the largest model along its training."""
    paths = mark_paths(work, scale)
    sst = load_labelled(TransferConfig(model="", data="sst"), TextRule())
    rows = []
    for step, path in paths.items():
        saved = load_model(path, device=pick_device(device))

        def compute(saved: Any = saved) -> dict[str, Any]:
            runner = Runner(saved.model, precision=scale.model_precision)
            return probe_scores(featurize_parts(runner, sst.parts), sst.parts, sst.classes)

        settings = {"model": weights_fingerprint(saved.model), "data": "sst", "precision": scale.model_precision}
        scores = work.result(f"sst_along_{path.stem}", settings, compute)
        rows.append({"steps": step, "bytes": saved.training["bytes"], "scores": scores})
    return rows


def score_baselines(work: Work, *, imdb: str) -> dict[str, dict[str, float]]:
    """Return what TF-IDF with logistic regression and VADER get on the same parts."""
    found = {}
    for name, data in (("sst", "sst"), ("imdb", imdb)):

        def compute(data: str = data) -> dict[str, float]:
            labelled = load_labelled(TransferConfig(model="", data=data), TextRule())
            return baselines(labelled.parts, labelled.classes)

        found[name] = work.result(f"baselines_{name}", {"data": name if data == "sst" else Path(data).name}, compute)
    return found


def score_finetuned(work: Work, scale: Scale, *, imdb: str, device: str) -> dict[str, Any]:
    """Fine-tune the largest model on SST and on some of IMDB, by the mean over the text; return frozen and tuned."""
    found = {}
    for name, data in (("sst", "sst"), ("imdb", imdb)):
        path = largest_path(work, scale)
        saved = load_model(path)
        output = work.folder / f"finetuned_{path.stem}_{name}"
        config = TransferConfig(
            model=str(path),
            data=data,
            pooling="mean",
            finetune=FinetuneConfig(epochs=scale.finetune_epochs),
            output=output,
            precision=scale.model_precision,
            seed=scale.seed,
            device=device,
        )
        settings = {
            "model": weights_fingerprint(saved.model),
            "data": Path(data).name,
            "epochs": scale.finetune_epochs,
            "precision": scale.model_precision,
            "seed": scale.seed,
        }

        def compute(config: TransferConfig = config, data: str = data) -> dict[str, Any]:
            report = transfer(config, announce=work.announce)
            assert report is not None  # this process stands alone
            results = report.results
            labelled = load_labelled(TransferConfig(model="", data=data), TextRule())
            return {
                "rows": results["rows"],
                "frozen": {kind: results["frozen"][kind]["test"]["accuracy"] for kind in ("all_neurons", "neurons")},
                "finetuned": {kind: results[kind]["test"]["accuracy"] for kind in ("all_neurons", "neurons")},
                "baselines": baselines(labelled.parts, labelled.classes),
                "epochs": results["finetuning"]["epochs"],
                "best_epoch": results["finetuning"]["best_epoch"],
                "seconds": results["seconds"],
            }

        found[name] = work.result(f"finetuned_{name}", settings, compute)
    return found


def transfer_model(work: Work, scale: Scale, model: Path, name: str, data: str, *, device: str) -> dict[str, Any]:
    """Run `transfer` with both poolings; return the scores of each."""
    saved = load_model(model, device=pick_device(device))
    precision = scale.model_precision
    settings = {
        "model": weights_fingerprint(saved.model),
        "data": Path(data).name,
        "precision": precision,
        "seed": scale.seed,
    }
    outputs = {pooling: transfer_folder(work, model, name, pooling) for pooling in POOLINGS}

    def compute() -> dict[str, Any]:
        labelled = load_labelled(TransferConfig(model="", data=data), saved.rule)
        keep_features(Runner(saved.model, precision=precision), labelled, outputs, precision=precision)
        scores: dict[str, Any] = {"rows": {part: len(examples) for part, examples in labelled.parts.items()}}
        for pooling, output in outputs.items():
            config = TransferConfig(
                model=str(model),
                data=data,
                pooling=pooling,
                use_cached=True,
                output=output,
                precision=precision,
                seed=scale.seed,
                device=device,
            )
            report = transfer(config)
            assert report is not None  # this process stands alone
            scores[pooling] = brief(report.results)
            for part in labelled.parts:
                (output / f"features_{part}.npz").unlink()
        return scores

    return work.result(f"{name}_{model.stem}", settings, compute)


def transfer_folder(work: Work, model: Path, name: str, pooling: str) -> Path:
    """Return where a run of `transfer` leaves its files."""
    return work.folder / f"transfer_{model.stem}_{name}_{pooling}"


def keep_features(
    runner: Runner, labelled: LabelledTexts, outputs: dict[Pooling, Path], *, precision: Precision
) -> None:
    """Write the features of both poolings where `transfer` finds them."""
    fingerprint = weights_fingerprint(runner.model)
    for pooling, features in featurize_parts(runner, labelled.parts).items():
        outputs[pooling].mkdir(exist_ok=True)
        for part, examples in labelled.parts.items():
            texts = [example.clean for example in examples]
            key = features_key(fingerprint, texts, pooling=pooling, all_layers=False, precision=precision)
            save_features(outputs[pooling] / f"features_{part}.npz", key, features[part])


def brief(results: dict[str, Any]) -> dict[str, Any]:
    """Return what the page needs of results.json."""
    return {
        "valid": results["all_neurons"]["valid"]["accuracy"],
        "test": results["all_neurons"]["test"]["accuracy"],
        "test_one_neuron": results["neurons"]["test"]["accuracy"],
        "neuron": results["sentiment_neuron"],
        "nonzero_weights": results["all_neurons"]["nonzero_weights"],
        "C": results["all_neurons"]["C"],
        "label_efficiency": results["label_efficiency"],
    }
