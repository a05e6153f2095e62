"""A heatmap in the terminal: black on coloured ground; where there are no colours, signs below each line.

Rich reduces the colours to 256. Each run of one colour is one piece, as `rich.text.Text` and never as markup.
"""

from collections.abc import Sequence

from rich.color import Color
from rich.console import Console as RichConsole
from rich.style import Style
from rich.text import Text

from sentneuron.core.generation.heatmap import CharacterValues, ColourScale, colour
from sentneuron.core.report.heatmap_layout import COLUMNS, Cell, runs, wrap

SIGNS = "signs: = strong red, - red, . neither, + green, # strong green"
"""What the line below the text says where there are no colours."""

SIXTEEN = {-1: "red", 0: "white", 1: "green"}
"""Grounds on a terminal with 16 colours, of which no three pale ones can be told apart."""


def print_heatmap(console: RichConsole, samples: Sequence[CharacterValues], scale: ColourScale) -> None:
    """Print the samples, a blank line between two."""
    columns = min(COLUMNS, console.width)
    for number, one in enumerate(samples):
        if number:
            console.print()
        for line in wrap(one.text, [scale.level(value) for value in one.values], columns=columns):
            for text in rows(line, console):
                console.print(text, soft_wrap=True)


def has_colours(console: RichConsole) -> bool:
    """Say whether the heatmap is printed in colours."""
    return console.color_system is not None and not console.no_color


def rows(line: Sequence[Cell], console: RichConsole) -> list[Text]:
    """Return a line of cells as it is printed: in colours, else as text and signs."""
    if not has_colours(console):
        letters = "".join(cell.glyph for cell in line)
        signs = "".join(sign(cell.level) * cell.columns for cell in line)
        return [Text(letters), Text(signs)] if line else [Text()]
    if console.color_system == "standard":
        coarse = [cell._replace(level=(cell.level >= 0.25) - (cell.level <= -0.25)) for cell in line]
        pieces = [(run.glyph, Style(color="black", bgcolor=SIXTEEN[round(run.level)])) for run in runs(coarse)]
    else:
        black = Color.from_rgb(0, 0, 0)
        pieces = [(run.glyph, Style(color=black, bgcolor=Color.from_rgb(*colour(run.level)))) for run in runs(line)]
    return [Text.assemble(*pieces)]


def sign(level: float) -> str:
    """Return the sign that stands for a level."""
    if abs(level) < 0.125:
        return "."
    if level < 0:
        return "=" if level <= -0.5 else "-"
    return "#" if level >= 0.5 else "+"
