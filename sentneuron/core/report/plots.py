"""Figures of a transfer, as PNG: every neuron's weight, and one neuron's values by label.

Colours are Okabe and Ito's, which colour-blind readers can tell apart. Names from data are never read as mathematics.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sentneuron.core.atomic import atomic_open
from sentneuron.core.config import Pooling

DPI = 150
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000",
)  # fmt: skip
CLASS_COLOURS = (RED, BLUE, GREEN, PURPLE, ORANGE, SKY, BLACK)
MAX_NAMED = 5


@contextmanager
def figure(path: Path, *, width: float = 8.0, height: float = 4.0) -> Iterator[Axes]:
    """Yield axes to draw on, in inches; written to `path` as PNG at the end.

    Raises:
        OutputError, StorageError: as `atomic_open`.
    """
    drawn = Figure(figsize=(width, height), layout="constrained")
    axes = drawn.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    yield axes
    with atomic_open(path, "wb") as file:
        FigureCanvasAgg(drawn).print_figure(file, dpi=DPI, format="png")


def escaped(name: str) -> str:
    """Return a name from data as matplotlib must be given it, on one line and of a length that fits."""
    line = " ".join("".join(character if character.isprintable() else " " for character in name).split())
    return (line if len(line) <= 24 else line[:23] + "…").replace("$", r"\$")


def plot_weights(path: Path, weight: NDArray[np.floating], neurons: Sequence[int], classes: Sequence[str]) -> None:
    """Draw every neuron's weight [K, H], with `neurons`, heaviest first, marked."""
    summed = weight[0] if len(weight) == 1 else np.abs(weight).sum(axis=0)
    numbers = np.arange(len(summed))
    used = summed != 0
    with figure(path) as axes:
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.vlines(numbers[used], 0, summed[used], color="0.55", linewidth=1.2)
        axes.plot(numbers[used], summed[used], "o", color="0.45", markersize=3)
        for place, neuron in reversed(list(enumerate(neurons))):
            colour, name = (RED, f"sentiment neuron {neuron}") if place == 0 else (BLUE, "the next heaviest")
            axes.vlines(neuron, 0, summed[neuron], color=colour, linewidth=2)
            axes.plot(neuron, summed[neuron], "o", color=colour, markersize=7, label=name if place < 2 else None)
        _name_points(axes, neurons[:MAX_NAMED], summed)
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0.2, handletextpad=0.1
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(-0.02 * len(summed), 1.02 * len(summed))
        axes.margins(y=0.15)
        axes.set_xlabel("neuron")
        if len(weight) == 1:
            axes.set_ylabel(f"weight towards {escaped(classes[1])}")
        else:
            axes.set_ylabel("sum of absolute weights over classes")
        axes.set_title(f"Weights: {int(used.sum()):,} of {len(summed):,} neurons used", loc="left")


def plot_neuron(
    path: Path,
    values: NDArray[np.floating],
    truth: NDArray[np.integer],
    classes: Sequence[str],
    neuron: int,
    *,
    pooling: Pooling,
) -> None:
    """Draw how one neuron's values [N] are distributed in each class; `truth` holds class numbers."""
    low, high = np.quantile(values, [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1, 61)
    inside = np.clip(values, edges[0], edges[-1])
    with figure(path) as axes:
        for number, name in enumerate(classes):
            own = inside[truth == number]
            colour = CLASS_COLOURS[number % len(CLASS_COLOURS)]
            dash = ("-", "--", ":", "-.")[number // len(CLASS_COLOURS) % 4]
            label = f"{escaped(name)} ({len(own):,})"
            heights = np.histogram(own, edges)[0] / max(len(own), 1)
            axes.stairs(heights, edges, color=colour, linewidth=1.8, linestyle=dash, label=label)
            if len(classes) <= 3:
                axes.stairs(heights, edges, color=colour, alpha=0.25, fill=True)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("final cell value" if pooling == "last" else "mean of tanh(cell value) over the text")
        axes.set_ylabel("share of the class's texts")
        axes.set_title(f"Neuron {neuron} by label", loc="left")
        axes.legend(title="label (texts)", loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize="small")


def _name_points(axes: Axes, neurons: Sequence[int], weight: NDArray[np.floating]) -> None:
    """Write each neuron's number beyond its point; close neighbours on one side turn away from each other."""
    for neuron in neurons:
        is_up = weight[neuron] >= 0
        near = [
            other for other in neurons if 0 < abs(other - neuron) < 0.05 * len(weight) and (weight[other] >= 0) == is_up
        ]
        axes.annotate(
            str(neuron),
            (neuron, weight[neuron]),
            xytext=(0, 6 if is_up else -6),
            textcoords="offset points",
            ha="center" if not near else "right" if neuron < min(near) else "left",
            va="bottom" if is_up else "top",
        )
