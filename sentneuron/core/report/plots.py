"""Figures of neurons: every neuron's weight, and one neuron's values by label."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sentneuron.core.config import POOLINGS, Pooling
from sentneuron.core.generation.neurons import spoken
from sentneuron.core.report.figure import BLUE, HEIGHT, RED, class_style, commonest, escaped, figure, percentages

MAX_NAMED = 5
NUM_BINS = 60

Shares = Sequence[NDArray[np.floating]]
"""For each class the share of its texts in each bin."""


def plot_weights(path: Path, weight: NDArray[np.floating], neurons: Sequence[int], classes: Sequence[str]) -> None:
    """Draw every neuron's weight [K, F], with `neurons`, heaviest first, marked.

    Of several rows, one a class, the sum of the absolute weights is drawn.
    """
    summed = weight[0] if len(weight) == 1 else np.abs(weight).sum(axis=0)
    numbers = np.arange(len(summed))
    used = summed != 0
    with figure(path) as axes:
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.vlines(numbers[used], 0, summed[used], color="0.7", linewidth=0.6 if used.sum() > 200 else 1.2)
        axes.plot(numbers[used], summed[used], "o", color="0.5", markersize=2)
        for place, neuron in reversed(list(enumerate(neurons))):
            colour, name = (RED, f"sentiment neuron {neuron}") if place == 0 else (BLUE, "the next heaviest")
            axes.vlines(neuron, 0, summed[neuron], color=colour, linewidth=2)
            axes.plot(neuron, summed[neuron], "o", color=colour, markersize=6, label=name if place < 2 else None)
        _name_points(axes, neurons[1:MAX_NAMED], summed)
        handles, names = axes.get_legend_handles_labels()
        axes.legend(
            handles[::-1], names[::-1], loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False,
            fontsize="small", borderaxespad=0, handletextpad=0.1,
        )  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(-0.02 * len(summed), 1.02 * len(summed))
        axes.margins(y=0.12)
        axes.set_xlabel(f"neuron ({int(used.sum()):,} of {len(summed):,} have a weight)")
        is_summed = len(weight) > 1
        axes.set_ylabel("sum of absolute weights" if is_summed else f"weight towards {escaped(spoken(classes[-1]))}")


def plot_neuron(
    path: Path,
    values: NDArray[np.floating],
    has_class: NDArray[np.bool_],
    classes: Sequence[str],
    neuron: int,
    *,
    pooling: Pooling,
) -> None:
    """Draw how one neuron's values [N] are distributed in each class; `has_class` [N, K] says who belongs to which.

    Up to three classes lie over each other; more, of which the commonest twelve are drawn, stand in a row of their own
    each. A class's shares sum to 1, whatever its size. The outermost bars hold what lies beyond the 0.1 % and the
    99.9 % quantile.
    """
    low, high = np.quantile(values, [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1, NUM_BINS + 1)
    inside = np.clip(values, edges[0], edges[-1])
    drawn = commonest(has_class)
    counts = has_class.sum(axis=0)
    names = [f"{escaped(spoken(classes[number]))} ({counts[number]:,})" for number in drawn]
    shares = [np.histogram(inside[has_class[:, number]], edges)[0] / max(counts[number], 1) for number in drawn]
    in_rows = len(drawn) > 3
    with figure(path, height=1.2 + 0.42 * len(drawn) if in_rows else HEIGHT) as axes:
        if in_rows:
            _draw_in_rows(axes, shares, edges, names)
        else:
            _draw_over_each_other(axes, shares, edges, names)
        axes.set_xlim(edges[0], edges[-1])
        values_are = POOLINGS[pooling]
        axes.set_xlabel(f"neuron {neuron}, {values_are}")


def _draw_over_each_other(axes: Axes, shares: Shares, edges: NDArray[np.floating], names: Sequence[str]) -> None:
    for number, (heights, name) in enumerate(zip(shares, names, strict=True)):
        style = class_style(number)
        axes.stairs(heights, edges, linewidth=1.6, label=name, **style)
        axes.stairs(heights, edges, color=style["color"], alpha=0.22, fill=True)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(percentages())
    axes.set_ylabel("share of the class's texts")
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=len(names), frameon=False, fontsize="small", borderaxespad=0
    )


def _draw_in_rows(axes: Axes, shares: Shares, edges: NDArray[np.floating], names: Sequence[str]) -> None:
    """Draw each class above its own line, the first on top; all to the same scale, peaks reach into the row above."""
    tallest = max(float(heights.max()) for heights in shares) or 1.0
    lines = np.arange(len(shares))[::-1]
    for line, heights in zip(lines, shares, strict=True):
        outline = line + 1.3 * heights / tallest
        axes.stairs(outline, edges, baseline=line, color=BLUE, alpha=0.35, fill=True, zorder=9 - line / len(shares))
        axes.stairs(outline, edges, baseline=None, color=BLUE, linewidth=1.1, zorder=9 - line / len(shares))
    axes.set_yticks(lines, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_ylim(-0.05, len(shares) + 0.4)


def _name_points(axes: Axes, neurons: Sequence[int], weight: NDArray[np.floating]) -> None:
    """Write each neuron's number beyond its point; close neighbours on one side turn away from each other."""
    for neuron in neurons:
        is_up = weight[neuron] >= 0
        near = [
            other for other in neurons if 0 < abs(other - neuron) < 0.06 * len(weight) and (weight[other] >= 0) == is_up
        ]
        axes.annotate(
            str(neuron),
            (neuron, weight[neuron]),
            xytext=(0, 5 if is_up else -5),
            textcoords="offset points",
            ha="center" if not near else "right" if neuron < min(near) else "left",
            va="bottom" if is_up else "top",
            fontsize="small",
        )
