"""Make the model that ships and measure it: from a trained model.pt to `sentneuron/pretrained/` and its card's figures.

    python benchmarks/pretrained.py model.pt --imdb 6000

Takes the features of SST and of labelled IMDB training texts with each pooling; fits the probe of `transfer` on
each; ships the pooling that is better on SST's validation part, in half precision. TF-IDF with logistic regression, and
VADER where it is installed, are run on the same texts. Reads the data sets as the commands do (SENTNEURON_DATA).
"""

import argparse
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import write_result
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from sentneuron.core.config import Pooling, TransferConfig
from sentneuron.core.data.examples import Example
from sentneuron.core.data.labelled import load_labelled
from sentneuron.core.model.checkpoint import load_model, save_model
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.features import featurize
from sentneuron.core.transfer.probe import fit_probe, heaviest_neurons
from sentneuron.core.transfer.transfer import TransferReport, transfer

POOLINGS: tuple[Pooling, ...] = ("last", "mean")
Parts = dict[str, list[Example]]


def take(examples: list[Example], count: int) -> list[Example]:
    """Return `count` examples, chosen by a hash of their text."""
    return sorted(examples, key=lambda example: hashlib.sha256(example.clean).digest())[:count]


def truth_of(examples: list[Example], classes: list[str]) -> NDArray[np.int64]:
    """Return the examples' class numbers."""
    return np.array([classes.index(example.label) for example in examples])


def probe_scores(runner: Runner, parts: Parts, classes: list[str]) -> dict[str, Any]:
    """Fit on train, choose C on valid, score on test: all neurons and one, both poolings."""
    texts = {part: [example.clean for example in examples] for part, examples in parts.items()}
    truth = {part: truth_of(examples, classes) for part, examples in parts.items()}
    scores: dict[str, Any] = {}
    for pooling in POOLINGS:
        x = {part: featurize(runner, texts[part], pooling=pooling) for part in parts}
        everything = fit_probe(x["train"], truth["train"], x["valid"], truth["valid"])
        neurons = heaviest_neurons(everything.weight, 1)
        single = fit_probe(x["train"][:, neurons], truth["train"], x["valid"][:, neurons], truth["valid"])
        scores[pooling] = {
            "valid": everything.valid_accuracy,
            "test": accuracy(everything.probabilities(x["test"]), truth["test"]),
            "test_one_neuron": accuracy(single.probabilities(x["test"][:, neurons]), truth["test"]),
            "neuron": neurons[0],
            "C": everything.C,
        }
    return scores


def accuracy(probabilities: NDArray[Any], truth: NDArray[np.int64]) -> float:
    """Share of texts whose likeliest class is the true one."""
    return float((probabilities.argmax(axis=1) == truth).mean())


def baselines(parts: Parts, classes: list[str]) -> dict[str, float]:
    """Test accuracy of what users would take instead, on the same texts."""
    texts = {part: [example.text for example in examples] for part, examples in parts.items()}
    truth = {part: truth_of(examples, classes) for part, examples in parts.items()}
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    x = {part: (vectors.fit_transform if part == "train" else vectors.transform)(texts[part]) for part in parts}
    best: tuple[float, float] = (-1.0, 0.0)
    for strength in (1.0, 4.0, 16.0, 64.0):
        model = LogisticRegression(C=strength, max_iter=1000).fit(x["train"], truth["train"])
        best = max(best, (model.score(x["valid"], truth["valid"]), model.score(x["test"], truth["test"])))
    scores = {"tfidf_logistic_regression": best[1]}
    rule = vader()
    if rule is not None:
        called = np.array([rule(text) >= 0 for text in texts["test"]])
        scores["vader"] = float((called == (truth["test"] == 1)).mean())
    return scores


def vader() -> Callable[[str], float] | None:
    """VADER's compound score, where the package is installed."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        return None
    analyzer = SentimentIntensityAnalyzer()
    return lambda text: analyzer.polarity_scores(text)["compound"]


def ship(model: Path, pooling: Pooling, folder: Path) -> TransferReport:
    """Run `transfer` with the chosen pooling, and write its classifier in half precision."""
    report = transfer(TransferConfig(model=str(model), pooling=pooling, neurons=5, output=folder))
    assert report is not None  # this process stands alone
    save_model(PRETRAINED, load_model(folder / "classifier.pt"), dtype=torch.float16)
    return report


def main() -> None:
    """Measure, ship, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--imdb", type=int, default=6000, help="labelled IMDB training texts to use: 4/6, 1/6, 1/6")
    args = parser.parse_args()

    started = time.monotonic()
    saved = load_model(args.model)
    runner = Runner(saved.model)
    figures: dict[str, Any] = {"training": saved.training}
    sst = load_labelled(TransferConfig(model="", data="sst"), saved.rule)
    figures["sst"] = probe_scores(runner, sst.parts, sst.classes) | baselines(sst.parts, sst.classes)
    print("SST", figures["sst"], flush=True)
    pooling = max(POOLINGS, key=lambda name: figures["sst"][name]["valid"])
    report = ship(args.model, pooling, args.model.parent / "pretrained_transfer")
    for probe in ("all_neurons", "neurons"):
        del report.results[probe]["weights"]  # they are in the file itself
    figures["shipped"] = {"pooling": pooling, "file_bytes": PRETRAINED.stat().st_size, "results": report.results}
    imdb = load_labelled(TransferConfig(model="", data="imdb"), saved.rule)
    picked = take(imdb.parts["train"], args.imdb)
    sixth = args.imdb // 6
    parts = {"train": picked[2 * sixth :], "valid": picked[:sixth], "test": picked[sixth : 2 * sixth]}
    figures["imdb"] = probe_scores(runner, parts, imdb.classes) | baselines(parts, imdb.classes)
    figures["imdb"]["texts"] = {part: len(examples) for part, examples in parts.items()}
    print("IMDB", figures["imdb"], flush=True)
    figures["seconds"] = time.monotonic() - started
    print(write_result("pretrained", figures))


if __name__ == "__main__":
    main()
