"""Labelled texts for the classifier that ships: SST's sentences, excerpts and short sentences of IMDB's training texts.

    python benchmarks/pretrained_data.py --shards reproduction_full/imdb-….shards --output data/

A fifth of IMDB's labelled texts, chosen by a hash, is left out, and so are those of the valid and test parts of
`--shards`, which the language model was not trained on, so that its bits per byte stay held out. The rest is cut to
runs of whole sentences of at most EXCERPT bytes: the last one of every other text, where the verdict often stands, and
of the others one from anywhere. A short sentence seldom says what its review's stars say: of those of at most SHORT
bytes the SHORT_TEXTS are taken of which TF-IDF with logistic regression, fitted to the same labels, is the surest that
they do, as many of each class. Writes train.csv, valid.csv, and SST's test.csv.
"""

import argparse
import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from baselines import fit_tfidf, take
from numpy.typing import NDArray
from reproduction_models import held_out_texts

from sentneuron.core.config import TransferConfig
from sentneuron.core.data.examples import Example
from sentneuron.core.data.labelled import load_labelled
from sentneuron.core.data.text import TextRule

EXCERPT = 300
SHORT = 80
SHORT_TEXTS = {"train": 24_000, "valid": 600}
VALID_TEXTS = 600
FIFTH = 5000
SENTENCE = re.compile(r"(?<=[.!?]) +")


def split_imdb(examples: list[Example], held_out: set[str]) -> dict[str, list[Example]]:
    """Return the examples to train on, to validate on and to score, which no other part has."""
    order = take(examples, len(examples))
    rest = [example for example in order[FIFTH:] if plain(example) not in held_out]
    return {"test": order[:FIFTH], "valid": rest[:VALID_TEXTS], "train": rest[VALID_TEXTS:]}


def plain(example: Example) -> str:
    """Return an example's clean text without the spaces around it, as a line of a held-out file is."""
    return example.clean.decode().strip()


def excerpt(text: str, *, draw: np.random.Generator | None) -> str:
    """Return whole sentences in a row, at most EXCERPT bytes of them: the last ones, or from a drawn one on.

    A sentence that is longer than that is cut.
    """
    sentences = SENTENCE.split(text)
    if draw is not None:
        first = int(draw.integers(len(sentences)))
        return _run(sentences[first:])
    return _run(sentences[::-1], backwards=True)


def _run(sentences: list[str], *, backwards: bool = False) -> str:
    chosen: list[str] = []
    room = EXCERPT
    for sentence in sentences:
        if len(sentence) + 1 > room:
            break
        chosen.append(sentence)
        room -= len(sentence) + 1
    if not chosen:
        return sentences[0][-EXCERPT:] if backwards else sentences[0][:EXCERPT]
    return " ".join(chosen[::-1] if backwards else chosen)


def short_sentences(
    examples: list[Example], sure: Callable[[list[str]], NDArray[np.floating]]
) -> list[tuple[str, str]]:
    """Return a review's label and a short sentence of it, of at least two words, each once, those first of which
    `sure` says the greatest probability of that label.

    `sure` tells sentences' probabilities [N, 2] of the two labels, in their order.
    """
    found = {
        sentence: example.label
        for example in examples
        for sentence in SENTENCE.split(plain(example))
        if len(sentence) <= SHORT and " " in sentence
    }
    columns = {label: column for column, label in enumerate(sorted(set(found.values())))}
    probability = sure(list(found))[np.arange(len(found)), [columns[label] for label in found.values()]]
    rows = [(label, sentence) for sentence, label in found.items()]
    return [rows[place] for place in np.argsort(-probability, kind="stable")]


def balanced(rows: list[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """Return the first rows of each label, `count` of them together at most."""
    labels = sorted({label for label, _ in rows})
    return [row for label in labels for row in [one for one in rows if one[0] == label][: count // len(labels)]]


def held_out_lines(shards: str) -> set[str]:
    """Return the texts of the valid and test parts, without the spaces around them."""
    return {text.decode().strip() for part in ("valid", "test") for text in held_out_texts(shards, part)}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", required=True, help="what the language model was trained on")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="another one gives other excerpts of the same texts")
    args = parser.parse_args()

    rule = TextRule()
    sst = load_labelled(TransferConfig(model="", data="sst"), rule)
    imdb = load_labelled(TransferConfig(model="", data="imdb"), rule)
    films = split_imdb(imdb.parts["train"], held_out_lines(args.shards))
    words = fit_tfidf({part: sst.parts[part] + films[part] for part in ("train", "valid")}, sst.classes)
    draw = np.random.default_rng(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    for part in ("train", "valid", "test"):
        rows = [(example.label, plain(example)) for example in sst.parts[part]]
        if part != "test":
            rows += [
                (example.label, excerpt(plain(example), draw=draw if (place + args.seed) % 2 else None))
                for place, example in enumerate(films[part])
            ]
            rows += balanced(short_sentences(films[part], words.predict_proba), SHORT_TEXTS[part])
        with (args.output / f"{part}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("label", "sentence"), *rows])
        print(f"{part}: {len(rows):,} texts, {sum(len(text) for _, text in rows):,} bytes")


if __name__ == "__main__":
    main()
