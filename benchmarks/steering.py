"""Does pinning neurons steer? The shipped classifier judges what the shipped model wrote with them pinned either way.

    SENTNEURON_DATA=… python benchmarks/steering.py --picture steering.png

100 continuations of neutral openings with neurons pinned to the positive side and 100 to the negative side, with equal
seeds: how many of each does the classifier call positive? It reads the finished texts, openings included, with nothing
pinned. With this many texts the difference has a standard error of about 7 points where it is small.

What is pinned, each as `generate --overwrite` takes it:

    +1                  the sentiment neuron at +1 and -1
    N times its size    the same at N times the neuron's typical size (the classifier's scale)
    heaviest K          the K neurons of the largest weight, each at its typical size, in the direction of its weight
    lasting K           the K neurons with the largest product of weight, spread and memory, each at the 95th or 5th
                        percentile of its own values, whichever side its weight makes positive
    telling K           the K neurons with the largest product of difference and memory, pinned in the same way, but to
                        the side of the difference

Spread is the standard deviation, over texts, of what the classifier sees of a neuron (the mean of tanh(cell) over the
text); difference how far apart that is on the average for positive and for negative sentences, in spreads, on 600
training sentences of SST; memory the autocorrelation of the cell value at 20 bytes. Percentiles, spread and memory are
those of 64 texts of 256 bytes that the model writes by itself from a fixed seed.

`bits per byte` is what the free model needs for some of these texts: a pin that only breaks the language shows there.
"""

import argparse
import csv
import itertools
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from measuring import RESULTS, write_result
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from sentneuron.core.config import GenerateConfig
from sentneuron.core.data.datasets import dataset_files
from sentneuron.core.generation.generate import generate, prompt_bytes
from sentneuron.core.generation.neurons import choose_neuron
from sentneuron.core.generation.sampling import sample
from sentneuron.core.model.checkpoint import SavedModel, load_model
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.classifier import Classifier
from sentneuron.core.transfer.features import featurize

OPENINGS = ("I watched this film", "This movie is about", "The director of this picture", "The acting", "In the story")
MEMORY_BYTES = 20
NUM_LABELLED = 600
NUM_JUDGED = 20
"""Texts whose bits per byte are taken."""


class Own(NamedTuple):
    """Statistics of every unit over text that the model writes by itself."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    spread: NDArray[np.float32]
    memory: NDArray[np.float32]


def differences(saved: SavedModel, runner: Runner) -> NDArray[np.float32]:
    """Return how many standard deviations a unit lies higher on positive sentences than on negative ones [H]."""
    with open(dataset_files("sst", splits=("train",))["train"], encoding="utf-8", newline="") as file:
        rows = random.Random(0).sample(list(csv.DictReader(file)), NUM_LABELLED)
    features = featurize(runner, saved.rule.clean_all([row["sentence"] for row in rows]), pooling="mean")
    is_positive = np.array([row["label"] == "1" for row in rows])
    apart = features[is_positive].mean(axis=0) - features[~is_positive].mean(axis=0)
    return apart / (features.std(axis=0) + 1e-6)


@torch.inference_mode()
def own_statistics(runner: Runner, *, num_texts: int = 64, length: int = 256) -> Own:
    """Let the model write, and look at every unit's cell values."""
    texts = sample(runner, b"\n ", length=length, num_samples=num_texts, seed=0).samples
    ids = torch.tensor([list(text) for text in texts]).t()
    state = runner.initial_state(num_texts)
    cells = np.empty((length, num_texts, runner.num_units), np.float32)
    for place, row in enumerate(ids):
        state = runner.step(row, state)
        cells[place] = runner.cells(state).numpy()
    low, high = np.percentile(cells.reshape(-1, runner.num_units), (5, 95), axis=0).astype(np.float32)
    spread = np.tanh(cells).mean(axis=0).std(axis=0)
    around = cells - cells.mean(axis=(0, 1))
    memory = (around[MEMORY_BYTES:] * around[:-MEMORY_BYTES]).mean(axis=(0, 1)) / around.var(axis=(0, 1))
    return Own(low, high, spread, memory)


def settings(saved: SavedModel, own: Own, difference: NDArray[np.float32]) -> dict[str, tuple[str, str]]:
    """Return what is pinned: by name, what `--overwrite` gets for the positive side and for the negative one."""
    assert saved.classifier is not None
    neuron = choose_neuron(saved.classifier, saved.model.config.nhid, requested=None)
    assert neuron is not None
    assert neuron.scale is not None
    weight = saved.classifier["all"]["weight"][0].float().numpy()
    scale = saved.classifier["scale"].numpy()
    sign = np.where(weight < 0, -1, 1)

    def pins(units: NDArray[np.intp], values: NDArray[np.floating]) -> str:
        return ",".join(f"{unit}={values[unit]:.4g}" for unit in units)

    found = {"+1": ("1", "-1")}
    for factor in (1, 2, 3):
        found[f"{factor} times its size"] = (f"{factor * neuron.scale:.4g}", f"{-factor * neuron.scale:.4g}")
    heaviest = np.argsort(-np.abs(weight), kind="stable")
    for count in (5, 20, 200):
        found[f"heaviest {count}"] = (pins(heaviest[:count], sign * scale), pins(heaviest[:count], -sign * scale))
    for name, size, towards, counts in (
        ("lasting", np.abs(weight) * own.spread, weight, (20, 50, 100, 200)),
        ("telling", np.abs(difference), difference, (200, 100)),
    ):
        order = np.argsort(-size * own.memory.clip(0), kind="stable")
        up, down = np.where(towards > 0, own.high, own.low), np.where(towards > 0, own.low, own.high)
        for count in counts:
            found[f"{name} {count}"] = (pins(order[:count], up), pins(order[:count], down))
    return found


def continuations(
    saved: SavedModel, runner: Runner, overwrite: str | None, *, num_texts: int, length: int
) -> list[str]:
    """Continue each opening, as `generate` does."""
    texts: list[str] = []
    for seed, opening in enumerate(OPENINGS):
        config = GenerateConfig(
            text=opening, gen_length=length, num_samples=num_texts // len(OPENINGS), seed=seed, overwrite=overwrite
        )
        texts += [made.text for made in generate(saved, config, runner=runner).samples]
    return texts


@torch.inference_mode()
def bits_per_byte(saved: SavedModel, runner: Runner, texts: list[str]) -> float:
    """Return what the free model needs for a byte of these texts, all cut to the shortest's length."""
    prompts = [prompt_bytes(saved.rule, text)[0] for text in texts]
    shortest = min(map(len, prompts))
    ids = torch.tensor([list(prompt[:shortest]) for prompt in prompts]).t()
    state = runner.initial_state(len(texts))
    total = 0.0
    for row, target in itertools.pairwise(ids):
        state = runner.step(row, state)
        total += float(cross_entropy(runner.logits(state), target, reduction="sum"))
    return total / ids[1:].numel() / math.log(2)


def judge(classifier: Classifier, texts: list[str], bits: Callable[[list[str]], float]) -> dict[str, Any]:
    """Return what the classifier makes of the texts."""
    probabilities = classifier.score(texts).probabilities[:, 1]
    return {
        "called_positive": float((probabilities > 0.5).mean()),
        "mean_probability": float(probabilities.mean()),
        "bits_per_byte": bits(texts[:: max(1, len(texts) // NUM_JUDGED)]),
        "probabilities": [round(float(value), 4) for value in probabilities],
        "samples": texts[:: max(1, len(texts) // len(OPENINGS))],
    }


def draw(path: Path, runs: dict[str, Any], names: list[str]) -> None:
    """Draw how the probabilities of both sides lie, a panel for each of some settings."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    figure, panels = pyplot.subplots(1, len(names), figsize=(7.5, 3), sharex=True, sharey=True, layout="constrained")
    for axes, name in zip(panels, names, strict=True):
        bins = np.linspace(0, 1, 21)
        for side, colour in (("negative", "#D55E00"), ("positive", "#0072B2")):
            run = runs[name][side]
            label = f"pinned {side}: {run['called_positive']:.0%} called positive"
            axes.hist(run["probabilities"], bins, color=colour, alpha=0.35)
            axes.hist(run["probabilities"], bins, color=colour, histtype="step", linewidth=1.3, label=label)
        axes.axvline(0.5, ymax=0.75, color="0.4", linewidth=0.8, linestyle=":")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(f"{name}: {runs[name]['points']:+.0f} points", fontsize="medium")
        axes.set_xlabel("probability of positive")
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(y=0.35)
        axes.legend(frameon=False, fontsize="small", loc="upper center", handlelength=1)
    panels[0].set_ylabel("texts")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> None:
    """Measure every setting, print the table and write the JSON and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100, help="continuations in each direction")
    parser.add_argument("--length", type=int, default=200, help="bytes of each continuation")
    parser.add_argument("--only", nargs="+", help="settings to measure, by name; the others stay as they were measured")
    parser.add_argument("--picture", type=Path, help="file for the figure")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON")
    args = parser.parse_args()

    saved = load_model(PRETRAINED)
    runner = Runner(saved.model, all_layers=saved.all_layers)
    classifier = Classifier(saved, name="the pretrained model", runner=runner)

    def measured(overwrite: str | None) -> dict[str, Any]:
        texts = continuations(saved, runner, overwrite, num_texts=args.texts, length=args.length)
        return judge(classifier, texts, lambda some: bits_per_byte(saved, runner, some))

    chosen = settings(saved, own_statistics(runner), differences(saved, runner))
    setting = {"openings": list(OPENINGS), "texts": args.texts, "length": args.length, "temperature": 1.0}
    runs: dict[str, Any] = {}
    if args.only:
        earlier = json.loads((args.output / "steering.json").read_text("utf-8"))
        if earlier["setting"] == setting:
            runs = {name: run for name, run in earlier["runs"].items() if name not in args.only}
    free = measured(None)
    print(f"nothing pinned: {free['called_positive']:.0%} called positive, {free['bits_per_byte']:.2f} bits per byte")
    for name, (up, down) in chosen.items():
        if args.only and name not in args.only:
            continue
        run: dict[str, Any] = {"overwrite": {"positive": up, "negative": down}}
        run |= {"positive": measured(up), "negative": measured(down)}
        run["points"] = 100 * (run["positive"]["called_positive"] - run["negative"]["called_positive"])
        runs[name] = run
        print(
            f"{name:>18}: {run['positive']['called_positive']:4.0%} against {run['negative']['called_positive']:4.0%}, "
            f"{run['points']:+4.0f} points; bits per byte {run['positive']['bits_per_byte']:.2f} and "
            f"{run['negative']['bits_per_byte']:.2f}",
            flush=True,
        )
        figures = {"setting": setting, "free": free, "runs": runs}
        path = write_result("steering", figures, folder=args.output)  # at once: the next one takes a minute
    print(path)
    if args.picture:
        draw(args.picture, runs, ["+1", max(runs, key=lambda name: runs[name]["points"])])


if __name__ == "__main__":
    main()
