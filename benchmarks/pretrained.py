"""Make the classifier that ships of a fine-tuned one, and measure it: every figure of its card.

    python benchmarks/pretrained.py LEG... --language-model reproduction_full/mLSTM_….pt \\
        --shards reproduction_full/imdb-….shards --fields fields/ --work work/

A LEG is the folder of a `transfer --finetune`; the last one's classifier ships, calibrated on validation texts that are
read whole, in half precision. `--shards` is what the language model was trained on: no training has read its valid and
test parts, and bits per byte are those of its test part. `--fields` is a folder with the sentences of Kotzias et al.
2015, "From group to individual labels using deep features": NAME.txt with a sentence, a tab, and 0 or 1 on a line; what
is there is measured. Data sets are read as the commands read them (SENTNEURON_DATA).

Each stage is kept in the work folder and not run again. Writes benchmarks/results/pretrained.json, and its figures
into the card and the README (`pretrained_card.py`).
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines import Parts, baselines, truth_of
from compressors import bits_without_networks
from measuring import write_result
from numpy.typing import NDArray
from pretrained_card import main as write_card
from pretrained_data import held_out_lines, split_imdb
from pretrained_fields import score_fields
from probing import featurize_parts, probe_scores
from reproduction_compression import text_of, training_bytes
from reproduction_scales import STREAMS, WINDOW
from reproduction_stages import Work

from sentneuron.core.config import TrainConfig, TransferConfig
from sentneuron.core.data.labelled import load_labelled
from sentneuron.core.data.shards import open_shards
from sentneuron.core.data.text import TextRule
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.checkpoint import load_model, save_model
from sentneuron.core.model.fingerprint import weights_fingerprint
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.model.runner import Runner
from sentneuron.core.training.evaluate import bits_per_byte
from sentneuron.core.transfer.calibration import calibrated
from sentneuron.core.transfer.features import featurize, no_progress
from sentneuron.core.transfer.probe import Probe

PROTOCOL_TEXTS = 2000
"""Labelled IMDB texts for the probes on the language model: 4/6 to fit, 1/6 to choose C, 1/6 to score."""
NGRAM_ORDER = 5
SEED = 0
"""Of the language model's training."""


def ship(classifier: Path, films: Parts, sentences: Parts) -> None:
    """Calibrate a classifier on the validation texts of both, and write it to the package in half precision."""
    saved = load_model(classifier)
    assert saved.classifier is not None, f"{classifier} is no classifier"
    valid = sentences["valid"] + films["valid"]
    truth = truth_of(valid, saved.classifier["classes"])
    features = featurize(
        Runner(saved.model),
        [example.clean for example in valid],
        pooling=saved.classifier["pooling"],
        progress=no_progress,
    )
    few = saved.classifier["neurons"]
    every = calibrated(Probe.from_dict(saved.classifier["all"]), features, truth)
    second = calibrated(Probe.from_dict(few), features[:, few["indices"]], truth)
    parts = {"all": every.to_dict(), "neurons": second.to_dict() | {"indices": few["indices"]}}
    shipped = replace(saved, classifier=saved.classifier | parts)
    save_model(PRETRAINED, shipped, dtype=torch.float16)


def brief(leg: dict[str, Any]) -> dict[str, Any]:
    """Return a leg's figures, without the regressions' weights, which a classifier's file holds."""

    def without_weights(scored: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in scored.items() if key not in ("weights", "bias")}

    return {
        **{key: leg[key] for key in ("data", "rows", "finetuning", "seconds")},
        "all_neurons": without_weights(leg["all_neurons"]),
        "frozen": {"all_neurons": without_weights(leg["frozen"]["all_neurons"])},
    }


def scores(probability: NDArray[np.floating], truth: NDArray[np.int64]) -> dict[str, float]:
    """Return the accuracy at 0.5, the best that another threshold would have, and how good the probabilities are."""
    thresholds = np.unique(np.concatenate([probability, [0.5, 2.0]]))
    accuracies = [float(((probability >= threshold) == truth).mean()) for threshold in thresholds]
    best = int(np.argmax(accuracies))
    bins = np.clip((probability * 10).astype(int), 0, 9)
    gaps = [abs(probability[bins == b].mean() - truth[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return {
        "texts": len(truth),
        "accuracy": float(((probability >= 0.5) == truth).mean()),
        "best_accuracy": accuracies[best],
        "best_threshold": float(thresholds[best]),
        "brier": float(np.mean((probability - truth) ** 2)),
        "calibration_error": float(sum(gaps)),
    }


def score_parts(parts: Parts) -> dict[str, Any]:
    """Score the shipped classifier on validation and test parts: all neurons, and the few."""
    saved = load_model(PRETRAINED)
    parts_of_it = saved.classifier
    assert parts_of_it is not None, "a classifier ships"
    runner = Runner(saved.model)
    found: dict[str, Any] = {"all_neurons": {}, "five_neurons": {}}
    for part in ("valid", "test"):
        truth = truth_of(parts[part], parts_of_it["classes"])
        texts = [example.clean for example in parts[part]]
        features = featurize(runner, texts, pooling=parts_of_it["pooling"], progress=no_progress)
        every, few = (Probe.from_dict(parts_of_it[name]) for name in ("all", "neurons"))
        found["all_neurons"][part] = scores(every.probabilities(features)[:, 1], truth)
        columns = features[:, parts_of_it["neurons"]["indices"]]
        found["five_neurons"][part] = scores(few.probabilities(columns)[:, 1], truth)
    return found


def score_language_model(path: Path, sentences: Parts, films: Parts, classes: list[str]) -> dict[str, Any]:
    """Return the probes' accuracies on a language model that has seen no label: both poolings, all neurons and one."""
    runner = Runner(load_model(path).model)
    sixth = PROTOCOL_TEXTS // 6
    few = {
        "train": films["train"][: PROTOCOL_TEXTS - 2 * sixth],
        "valid": films["valid"][:sixth],
        "test": films["test"][:sixth],
    }
    return {
        name: probe_scores(featurize_parts(runner, parts), parts, classes)
        | {"texts": {part: len(examples) for part, examples in parts.items()}}
        for name, parts in (("sst", sentences), ("imdb", few))
    }


def compress(language_model: Path, shards: str) -> dict[str, Any]:
    """Return the bits per byte of held-out text, by method."""
    test = open_shards(shards).split("test")
    text = text_of(test)
    before, after = load_model(language_model), load_model(PRETRAINED)
    trained_on = training_bytes(shards, num_bytes=before.training["bytes"], seed=SEED)
    config = TrainConfig(batch_size=STREAMS, seq_length=WINDOW)
    bits = {
        name: bits_per_byte(saved.model, test, config=config, ranks=Ranks())
        for name, saved in (("language_model", before), ("shipped", after))
    }
    counted = bits_without_networks(text, trained_on=trained_on, order=NGRAM_ORDER)
    return {"bytes": len(text), "training_bytes": trained_on.size, **bits, **counted}


def main() -> None:
    """Ship, measure, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("legs", type=Path, nargs="+", metavar="LEG")
    parser.add_argument("--language-model", type=Path, required=True)
    parser.add_argument("--shards", required=True)
    parser.add_argument("--fields", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--imdb", type=int, default=5000, help="held-out IMDB texts to score, 5,000 at most")
    args = parser.parse_args()

    work = Work(args.work, announce=lambda line: print(line, flush=True))
    sst = load_labelled(TransferConfig(model="", data="sst"), TextRule())
    imdb = load_labelled(TransferConfig(model="", data="imdb"), TextRule())
    films = split_imdb(imdb.parts["train"], held_out_lines(args.shards))
    films["test"] = films["test"][: args.imdb]
    counts = {part: len(examples) for part, examples in films.items()}
    before = weights_fingerprint(load_model(args.language_model).model)
    protocol = work.result(
        "protocol",
        {"model": before, "texts": PROTOCOL_TEXTS},
        lambda: score_language_model(args.language_model, sst.parts, films, sst.classes),
    )
    rivals = work.result(
        "rivals",
        {"texts": counts},
        lambda: {"sst": baselines(sst.parts, sst.classes), "imdb": baselines(films, imdb.classes)},
    )
    legs = [json.loads((folder / "results.json").read_text()) for folder in args.legs]
    last = args.legs[-1] / "classifier.pt"
    work.result(
        "ship", {"classifier": weights_fingerprint(load_model(last).model)}, lambda: ship(last, films, sst.parts)
    )
    shipped = {"model": weights_fingerprint(load_model(PRETRAINED).model)}
    scored = {
        "sst": work.result("sst", shipped, lambda: score_parts(sst.parts)),
        "imdb": work.result("imdb", shipped | {"texts": counts}, lambda: score_parts(films)),
    }
    both = {part: sst.parts[part] + films[part] for part in ("train", "valid")}
    fields = work.result("fields", shipped, lambda: score_fields(args.fields, both, sst.classes))
    bits = work.result(
        "bits",
        shipped | {"before": before, "shards": open_shards(args.shards).fingerprint},
        lambda: compress(args.language_model, args.shards),
    )
    figures = {
        "training": load_model(PRETRAINED).training,
        "legs": [brief(leg) for leg in legs],
        "language_model": protocol,
        "rivals": rivals,
        "shipped": {"file_bytes": PRETRAINED.stat().st_size, "texts": counts, **scored, "fields": fields},
        "bits_per_byte": bits,
        "stages": work.records(),
    }
    print(write_result("pretrained", figures))
    write_card()


if __name__ == "__main__":
    main()
