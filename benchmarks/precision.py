"""What each precision costs and gains: bits per byte of IMDB reviews, and SST test by the shipped model.

    SENTNEURON_DATA=… python benchmarks/precision.py --texts 600

The reviews are the first kilobyte of some training texts: the shipped model has read about half of these texts, so
the figure is of use against that of another precision only. Accuracy is of a seeded sample of SST test; `answers
changed` are those that differ from the first precision's, fp32's by default.
"""

import argparse
import csv
import itertools
import math
import random
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.parquet as pq
import torch
from measuring import RESULTS, write_result
from torch.nn.functional import cross_entropy

from sentneuron.core.config import Precision
from sentneuron.core.data.datasets import dataset_files
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.classifier import Classifier

REVIEW = 1000
"""Bytes of a review; shorter ones are left out."""


@torch.inference_mode()
def bits_per_byte(runner: Runner, texts: list[bytes]) -> float:
    """Return the bits per byte of texts of one length, but for the first byte of each."""
    ids = torch.tensor([list(text) for text in texts]).t()
    state = runner.initial_state(len(texts))
    total = 0.0
    for row, target in itertools.pairwise(ids):
        state = runner.step(row, state)
        total += float(cross_entropy(runner.logits(state), target, reduction="sum"))
    return total / ids[1:].numel() / math.log(2)


def main() -> None:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1821, help="SST test sentences")
    parser.add_argument("--reviews", type=int, default=32)
    parser.add_argument("--precisions", nargs="+", choices=get_args(Precision), default=list(get_args(Precision)))
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON")
    args = parser.parse_args()

    saved = load_model(PRETRAINED)
    reviews = pq.read_table(dataset_files("imdb", splits=("train",))["train"], columns=["text"])["text"].to_pylist()
    random.Random(1).shuffle(reviews)
    long_ones = (text[:REVIEW] for text in map(saved.rule.clean, reviews) if len(text) >= REVIEW)
    beginnings = [text for text, _ in zip(long_ones, range(args.reviews), strict=False)]
    with open(dataset_files("sst")["test"], encoding="utf-8", newline="") as file:
        rows = random.Random(0).sample(list(csv.DictReader(file)), args.texts)
    labels = np.array([row["label"] for row in rows])

    figures: dict[str, dict[str, Any]] = {}
    answers: dict[str, np.ndarray] = {}
    for precision in args.precisions:
        classifier = Classifier(saved, name="the pretrained model", precision=precision)
        bits = bits_per_byte(Runner(saved.model, precision=precision), beginnings)
        start = time.perf_counter()
        probabilities = classifier.score([row["sentence"] for row in rows]).probabilities
        seconds = time.perf_counter() - start
        answers[precision] = np.array(classifier.classes)[probabilities.argmax(axis=1)]
        changed = (answers[precision] != answers[args.precisions[0]]).mean()
        figures[precision] = {
            "bits_per_byte": bits,
            "accuracy": float((answers[precision] == labels).mean()),
            "answers_changed": float(changed),
            "documents_per_second": len(rows) / seconds,
        }
        print(
            f"{precision}: {bits:.4f} bits per byte, accuracy {figures[precision]['accuracy']:.2%}, "
            f"{changed:.2%} of answers changed, {len(rows) / seconds:.1f} documents/s"
        )
    bytes_read = len(beginnings) * REVIEW
    print(write_result("precision", {"texts": len(rows), "bytes": bytes_read, "rows": figures}, folder=args.output))


if __name__ == "__main__":
    main()
