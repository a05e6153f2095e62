"""Figures of scores: accuracy against the number of labels, the confusion matrix, the ROC curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from sentneuron.core.generation.neurons import spoken
from sentneuron.core.report.figure import BLUE, RED, class_style, commonest, escaped, figure, percentages

MAX_INSIDE = 4
"""Curves that leave room for their names inside the axes."""
MAX_NUMBERED = 12
"""Classes up to which a confusion matrix has numbers in it."""
MAX_TICKED = 40
"""Classes up to which each row of it has its name."""


def plot_label_efficiency(
    path: Path, points: Sequence[Mapping[str, Any]], *, part: str, majority_share: float, second: str
) -> None:
    """Draw the accuracy on a part against the number of training labels, on a logarithmic scale.

    `points` are as `label_efficiency` returns them, `second` names what their `neurons` are. Where there are several
    draws, a band is one standard deviation on either side of their mean.
    """
    labels = [point["labels"] for point in points]
    with figure(path) as axes:
        for key, name, colour, mark in (("all_neurons", "all neurons", BLUE, "o"), ("neurons", second, RED, "s")):
            mean = np.array([point[key]["mean"] for point in points])
            std = np.array([point[key]["std"] for point in points])
            drawn = [point["draws"] > 1 for point in points]
            axes.fill_between(labels, mean - std, mean + std, where=drawn, color=colour, alpha=0.18, linewidth=0)
            axes.plot(labels, mean, marker=mark, color=colour, markersize=4.5, linewidth=1.6, label=name)
        axes.axhline(majority_share, color="0.45", linewidth=1, linestyle="--", label="the commonest answer")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(labels))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(labels, [f"{number:,}" for number in labels])
        axes.yaxis.set_major_formatter(percentages())
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_xlabel("training labels")
        axes.set_ylabel(f"accuracy, {part} part")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize="small", borderaxespad=0)


def plot_confusion(path: Path, confusion: NDArray[np.integer], classes: Sequence[str]) -> None:
    """Draw how often texts of each class (rows) were given each class (columns): shares of the row, and counts.

    `confusion` [K, K]; a class without texts has an empty row. Beyond twelve classes there are colours alone.
    """
    totals = confusion.sum(axis=1, keepdims=True)
    shares = confusion / np.maximum(totals, 1)
    size = len(classes)
    side = min(0.8 + 0.55 * max(size, 3), 9.0)
    with figure(path, width=side + 1.6, height=side + 0.5) as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.7)  # light enough for dark writing, and turned round for light
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        names = [escaped(spoken(name), length=20) for name in classes]
        places = list(range(size)) if size <= MAX_TICKED else []
        axes.set_xticks(places, [names[i] for i in places], rotation=0 if size <= 3 else 45, ha=_side(size))
        axes.set_yticks(places, [f"{names[i]} ({totals[i, 0]:,})" for i in places])
        axes.set_xlabel("predicted")
        axes.set_ylabel("true (texts)")
        if size <= MAX_NUMBERED:
            _write_shares(axes, confusion, shares)


def plot_roc(
    path: Path, has_class: NDArray[np.bool_], probabilities: NDArray[np.floating], classes: Sequence[str]
) -> None:
    """Draw the ROC curve of each column of `probabilities` [N, K] against `has_class` [N, K].

    For two exclusive classes give the second's column alone. A class that no text has, or every text, has no curve; of
    many classes the commonest twelve are drawn. AUC is the area under the curve as drawn.
    """
    is_single, is_inside = len(classes) == 1, len(classes) <= MAX_INSIDE
    with figure(path, height=4.4 if is_inside else 3.6) as axes:
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", label="guessing (0.500)")
        for number in commonest(has_class):
            if has_class[:, number].all() or not has_class[:, number].any():
                continue
            wrong, right = roc_curve(has_class[:, number], probabilities[:, number])
            name = escaped(spoken(classes[number]), length=24 if is_inside else 14)
            label = f"{name} ({np.trapezoid(right, wrong):.3f})"
            style = {"color": BLUE} if is_single else class_style(number)
            axes.plot(wrong, right, linewidth=1.8 if is_single else 1.3, label=label, **style)
        axes.set_box_aspect(1)
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
        axes.xaxis.set_major_formatter(percentages())
        axes.yaxis.set_major_formatter(percentages())
        axes.set_xlabel("share of the other texts taken for the class")
        axes.set_ylabel("share of the class's texts found")
        axes.legend(
            title="class (area under the curve)" if is_inside else "class (area)",
            loc="lower right" if is_inside else "upper left",
            bbox_to_anchor=(1, 0) if is_inside else (1.01, 1),
            frameon=False,
            fontsize="small",
            title_fontsize="small",
            alignment="left",
        )


def roc_curve(
    is_class: NDArray[np.bool_], probability: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, for every threshold from high to low, the share of others above it and of the class's own.

    Both kinds must occur. Equal probabilities make one step, a slanted line.
    """
    order = np.argsort(-probability, kind="stable")
    own = is_class[order]
    ends = np.append(np.flatnonzero(np.diff(probability[order])), len(own) - 1)
    right, wrong = np.cumsum(own)[ends], np.cumsum(~own)[ends]
    return np.append(0, wrong) / max(int(wrong[-1]), 1), np.append(0, right) / max(int(right[-1]), 1)


def _side(size: int) -> str:
    return "center" if size <= 3 else "right"


def _write_shares(axes: Axes, confusion: NDArray[np.integer], shares: NDArray[np.floating]) -> None:
    """Write each cell's share and count; nothing into a row without texts."""
    is_small = len(confusion) > 4
    for row, column in np.ndindex(confusion.shape):
        if not confusion[row].sum():
            continue
        share, count = shares[row, column], confusion[row, column]
        axes.text(
            column,
            row,
            f"{share:.0%}\n{count:,}" if is_small else f"{share:.1%}\n{count:,}",
            ha="center",
            va="center",
            fontsize=7.5 if is_small else 11,
            linespacing=1.25,
            color="0.1",
        )
