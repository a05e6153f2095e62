"""What all figures share: size, resolution, colours, and names from data that are never read as mathematics.

Colours are Okabe and Ito's, which colour-blind readers can tell apart. A figure is 6 inches wide: its 10 points are
still 8 pixels high where a page shows it on a telephone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from sentneuron.core.atomic import atomic_open
from sentneuron.core.printable import BIDI_CONTROLS

WIDTH, HEIGHT = 6.0, 3.75
"""Inches."""
DPI = 200
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000",
)  # fmt: skip
CLASS_COLOURS = (RED, BLUE, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES = ("-", "--", ":", "-.")
BOX, HAIR_SPACE = "\N{WHITE SQUARE}", "\N{HAIR SPACE}"
MAX_CURVES = 12
"""Classes drawn in one figure."""


@contextmanager
def figure(path: Path, *, width: float = WIDTH, height: float = HEIGHT) -> Iterator[Axes]:
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


def escaped(name: str, *, length: int = 24) -> str:
    """Return a name from data as matplotlib must be given it, on one line and of at most `length` letters.

    What the font lacks (Chinese, emoji) is shown as an empty box. An underscore in front, which would keep the name out
    of a legend, stands behind a hair space.
    """
    shown = (letter if letter.isprintable() and letter not in BIDI_CONTROLS else " " for letter in name)
    line = " ".join("".join(shown).split())
    line = line if len(line) <= length else line[: length - 1] + "…"
    line = "".join(letter if ord(letter) in _characters_of_font() else BOX for letter in line)
    return (HAIR_SPACE if line.startswith("_") else "") + line.replace("$", r"\$")


@cache
def _characters_of_font() -> frozenset[int]:
    """Return what Matplotlib's own font, the default of all figures, can show."""
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def percentages() -> FuncFormatter:
    """Return what writes an axis' shares as 2.5% or 25%, with no digit too many."""
    return FuncFormatter(lambda share, _: f"{100 * share:g}%")


def class_style(number: int) -> dict[str, Any]:
    """Return the colour and the dash of a class's line."""
    return {
        "color": CLASS_COLOURS[number % len(CLASS_COLOURS)],
        "linestyle": DASHES[number // len(CLASS_COLOURS) % len(DASHES)],
    }


def commonest(has_class: NDArray[np.bool_]) -> list[int]:
    """Return the numbers of the MAX_CURVES commonest classes of texts [N, K], in the order of the classes."""
    order: Sequence[int] = np.argsort(-has_class.sum(axis=0), kind="stable")[:MAX_CURVES].tolist()
    return sorted(order)
