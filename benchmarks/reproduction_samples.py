"""Texts of the reproduction: the most extreme ones as heatmaps, and what the shipped model writes with neurons pinned.

The extreme texts are SST test sentences, by the value of the largest model's heaviest neuron, in the run of `transfer`
with the better pooling. Steering is `steering.py`'s, on fewer texts and settings: the shipped classifier judges what
the shipped model wrote.
"""

import csv
from pathlib import Path
from typing import Any

import steering
from reproduction_stages import Work

import sentneuron
from sentneuron.core.generation.heatmap import CharacterValues, ColourScale, colour_scale
from sentneuron.core.generation.neurons import choose_neuron
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.fingerprint import weights_fingerprint
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.classifier import Classifier

AT_EITHER_END = 3
PINNED = ("+1", "lasting 100")
"""Of the settings of `steering.py`: the one neuron, and many, which steered further there."""
LENGTH = 200
SHOWN = 1
"""Samples of each side on the page."""


def extreme_texts(transfer: Path) -> tuple[list[CharacterValues], ColourScale]:
    """Return the test sentences at either end of the sentiment neuron, the most positive first, with its values."""
    saved = load_model(transfer / "classifier.pt")
    neuron = choose_neuron(saved.classifier, saved.model.config.nhid, requested=None)
    assert neuron is not None, "a classifier has a sentiment neuron"
    with open(transfer / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    rows.sort(key=lambda row: -neuron.sign * float(row["neuron"]))
    model = sentneuron.load(transfer / "classifier.pt")
    samples = [
        CharacterValues(text=row["text"], values=model.trace(row["text"]).tolist(), neuron=neuron.index)
        for row in (*rows[:AT_EITHER_END], *rows[-AT_EITHER_END:])
    ]
    return samples, colour_scale(neuron, negate=False)


def steer(work: Work, *, num_texts: int) -> dict[str, Any]:
    """Return for each setting how many of `num_texts` continuations a side are called positive, with samples."""
    saved = load_model(PRETRAINED)
    settings = {
        "model": weights_fingerprint(saved.model),
        "texts": num_texts,
        "length": LENGTH,
        "openings": steering.OPENINGS,
        "pinned": PINNED,
    }

    def compute() -> dict[str, Any]:
        runner = Runner(saved.model, all_layers=saved.all_layers)
        classifier = Classifier(saved, name="the pretrained model", runner=runner)
        chosen = steering.settings(saved, steering.own_statistics(runner), steering.differences(saved, runner))

        def measured(overwrite: str | None) -> dict[str, Any]:
            texts = steering.continuations(saved, runner, overwrite, num_texts=num_texts, length=LENGTH)
            judged = steering.judge(classifier, texts, lambda some: steering.bits_per_byte(saved, runner, some))
            return judged | {"texts": len(texts), "samples": judged["samples"][:SHOWN]}

        runs = {}
        for name in PINNED:
            up, down = chosen[name]
            run = {"positive": measured(up), "negative": measured(down)}
            points = 100 * (run["positive"]["called_positive"] - run["negative"]["called_positive"])
            runs[name] = run | {"points": points}
        return {"free": measured(None), "runs": runs, "length": LENGTH}

    return work.result("steering", settings, compute)
