"""The figures of docs/reproduction.md, in the style of the program's own; some are the program's own.

Everything is drawn from the figures that reproduction_SCALE.json holds, but for what `transfer` has drawn in the work
folder, which is copied, and the heatmaps, which are drawn from its files there.
"""

import shutil
from pathlib import Path
from typing import Any

import half_precision
import steering
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from reproduction_samples import PINNED, extreme_texts

from sentneuron.core.report.figure import BLACK, BLUE, DASHES, GREEN, ORANGE, PURPLE, RED, SKY, figure, percentages
from sentneuron.core.report.heatmap_image import write_image

COLOURS = (SKY, ORANGE, GREEN, BLUE, PURPLE, RED)
POOLED = {"last": "final state", "mean": "mean"}


def draw_all(folder: Path, figures: dict[str, Any], *, transfers: dict[str, Path], pooling: dict[str, str]) -> None:
    """Draw every figure into `folder`; `transfers` are the largest model's runs on SST and IMDB, with the better
    pooling of each."""
    folder.mkdir(parents=True, exist_ok=True)
    for against in ("bytes", "seconds"):
        draw_curves(folder / f"curves_{against}.png", figures, against=against)
    half_precision.draw(folder / "precision.png", figures["precision"])
    draw_progress(folder / "progress.png", figures)
    shutil.copyfile(transfers["sst"] / "label_efficiency.png", folder / "label_efficiency.png")
    neuron = figures["sizes"][-1]["imdb"][pooling["imdb"]]["neuron"]
    shutil.copyfile(transfers["imdb"] / f"neuron_{neuron}.png", folder / "neuron.png")
    write_image(folder / "extremes.png", *extreme_texts(transfers["sst"]))
    steering.draw(folder / "steering.png", figures["steering"]["runs"], list(PINNED))


def draw_curves(path: Path, figures: dict[str, Any], *, against: str) -> None:
    """Draw bits per byte on held-out text against bytes read or seconds, a curve for each model."""
    unit, name = (1e6, "megabytes read in training") if against == "bytes" else (60, "minutes of training")
    with figure(path) as axes:
        for model, colour in zip(figures["models"], COLOURS, strict=False):
            points = model["valid"]
            axes.plot(
                [point[against] / unit for point in points],
                [point["bits_per_byte"] for point in points],
                color=colour,
                marker="o",
                markersize=3,
                linewidth=1.6,
                label=f"{model['nhid']:,} units",
            )
        lstm = figures["lstm"]
        axes.plot(
            [point[against] / unit for point in lstm["valid"]],
            [point["bits_per_byte"] for point in lstm["valid"]],
            color=BLACK,
            linestyle=DASHES[1],
            linewidth=1.3,
            label=f"LSTM, {lstm['nhid']:,} units",
        )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_xlabel(name)
        axes.set_ylabel("bits per byte, held out")
        axes.legend(frameon=False, fontsize="small")


def draw_progress(path: Path, figures: dict[str, Any]) -> None:
    """Draw the largest model's accuracy on SST along its training: all neurons and one, both poolings."""
    points = figures["marks"]
    with figure(path) as axes:
        for pooling, colour in (("mean", BLUE), ("last", RED)):
            for key, name, dash in (("test", "all neurons", DASHES[0]), ("test_one_neuron", "one neuron", DASHES[1])):
                axes.plot(
                    [point["bytes"] / 1e6 for point in points],
                    [point["scores"][pooling][key] for point in points],
                    color=colour,
                    linestyle=dash,
                    marker="o",
                    markersize=3.5,
                    linewidth=1.5,
                    label=f"{name}, {POOLED[pooling]}",
                )
        axes.set_xlim(left=0)
        axes.yaxis.set_major_formatter(percentages())
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_xlabel("megabytes read in training")
        axes.set_ylabel("accuracy, SST test")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize="small", borderaxespad=0)
