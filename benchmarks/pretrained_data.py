"""Labelled texts for the classifier that ships: SST's sentences and excerpts of IMDB's labelled training texts.

    python benchmarks/pretrained_data.py --held-out held_out.txt --output data/

A fifth of IMDB's labelled texts, chosen by a hash, is left out, and so are those of `--held-out`: files with a text
a line, which the language model was not trained on, so that its bits per byte stay held out. Of the rest, TEXTS are cut
to a run of whole sentences of at most EXCERPT bytes: the last one of every other text, where the verdict often stands,
and of the others one from anywhere. `--short` adds the first and the last sentences that are at most SHORT bytes long:
short texts, which are seldom anything but an opinion there. Writes train.csv and valid.csv.
"""

import argparse
import csv
import re
from pathlib import Path

import numpy as np
from baselines import take

from sentneuron.core.config import TransferConfig
from sentneuron.core.data.examples import Example
from sentneuron.core.data.labelled import load_labelled
from sentneuron.core.data.text import TextRule

EXCERPT = 300
SHORT = 80
TEXTS, VALID_TEXTS = 16_000, 600
FIFTH = 5000
SENTENCE = re.compile(r"(?<=[.!?]) +")


def split_imdb(examples: list[Example], held_out: set[str]) -> dict[str, list[Example]]:
    """Return the examples to train on, to validate on and to score, which no other part has."""
    order = take(examples, len(examples))
    rest = [example for example in order[FIFTH:] if plain(example) not in held_out]
    return {"test": order[:FIFTH], "valid": rest[:VALID_TEXTS], "train": rest[VALID_TEXTS:][:TEXTS]}


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


def short_sentences(text: str) -> list[str]:
    """Return those of a review's first and last sentence that are short, and more than a word."""
    sentences = SENTENCE.split(text)
    ends = dict.fromkeys((sentences[0], sentences[-1]))
    return [sentence for sentence in ends if len(sentence) <= SHORT and " " in sentence]


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", type=Path, nargs="*", default=[])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="another one gives other excerpts of the same texts")
    parser.add_argument("--short", action="store_true", help="short sentences, too")
    args = parser.parse_args()

    held_out = {line.strip() for path in args.held_out for line in path.read_text().splitlines()}
    rule = TextRule()
    sst = load_labelled(TransferConfig(model="", data="sst"), rule)
    imdb = load_labelled(TransferConfig(model="", data="imdb"), rule)
    films = split_imdb(imdb.parts["train"], held_out)
    draw = np.random.default_rng(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    for part in ("train", "valid"):
        rows = [(example.label, plain(example)) for example in sst.parts[part]]
        rows += [
            (example.label, excerpt(plain(example), draw=draw if (place + args.seed) % 2 else None))
            for place, example in enumerate(films[part])
        ]
        if args.short:
            rows += [(example.label, short) for example in films[part] for short in short_sentences(plain(example))]
        with (args.output / f"{part}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("label", "sentence"), *rows])
        print(f"{part}: {len(rows):,} texts, {sum(len(text) for _, text in rows):,} bytes")


if __name__ == "__main__":
    main()
