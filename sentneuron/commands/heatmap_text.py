"""A heatmap in the terminal: black on coloured ground; where there are no colours, signs below each line.

Rich reduces the colours to 256. Each run of one colour is one piece, as `rich.text.Text` and never as markup.

Terminals differ on how wide an emoji of several characters is: one takes 👍🏽 for two columns, another for four. After
each the cursor is put where it belongs, on ground that was painted before; what sticks out is written over.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.color import Color
from rich.console import Console as RichConsole
from rich.control import Control
from rich.segment import ControlType
from rich.style import Style
from rich.text import Text

from sentneuron.core.generation.heatmap import CharacterValues, ColourScale, colour
from sentneuron.core.report.heatmap_layout import COLUMNS, Cell, is_sequence, runs, wrap

SIGNS = "signs: = strong red, - red, . neither, + green, # strong green"
"""What the line below the text says where there are no colours."""

SIXTEEN = {-1: "red", 0: "white", 1: "green"}
"""Grounds on a terminal with 16 colours, of which no three pale ones can be told apart."""

PLAIN = Style()


class Piece(NamedTuple):
    """A part of a line."""

    cell: Cell
    style: Style
    is_uncertain: bool
    """Terminals differ on its width."""


def print_heatmap(console: RichConsole, samples: Sequence[CharacterValues], scale: ColourScale) -> None:
    """Print the samples, a blank line between two."""
    columns = min(COLUMNS, console.width)
    for number, one in enumerate(samples):
        if number:
            console.print()
        for line in wrap(one.text, [scale.level(value) for value in one.values], columns=columns):
            print_pieces(console, list(pieces(line, console)))
            if line and not has_colours(console):
                console.print(Text("".join(sign(cell.level) * cell.columns for cell in line)), soft_wrap=True)


def has_colours(console: RichConsole) -> bool:
    """Say whether the heatmap is printed in colours."""
    return console.color_system is not None and not console.no_color


def pieces(line: Sequence[Cell], console: RichConsole) -> Iterator[Piece]:
    """Yield the parts of a line and their styles: runs of one colour, and alone what terminals differ on."""
    if not has_colours(console):
        line = [cell._replace(level=0.0) for cell in line]
    elif console.color_system == "standard":
        line = [cell._replace(level=float((cell.level >= 0.25) - (cell.level <= -0.25))) for cell in line]
    for is_uncertain, group in groupby(line, is_sequence):
        for part in group if is_uncertain else runs(group):
            yield Piece(part, style_of(part.level, console), is_uncertain)


def style_of(level: float, console: RichConsole) -> Style:
    """Return the style of a level."""
    if not has_colours(console):
        return PLAIN
    if console.color_system == "standard":
        return Style(color="black", bgcolor=SIXTEEN[round(level)])
    return Style(color=Color.from_rgb(0, 0, 0), bgcolor=Color.from_rgb(*colour(level)))


def print_pieces(console: RichConsole, line: Sequence[Piece]) -> None:
    """Print one line; on a terminal each emoji of several characters takes the columns that it was laid out with."""
    moves_cursor = console.is_terminal and not console.is_dumb_terminal
    waiting, column = Text(), 0
    for (glyph, columns, _), style, is_uncertain in line:
        end = column + columns
        if moves_cursor and is_uncertain:
            console.print(waiting.append(" " * columns, style), end="", soft_wrap=True)
            console.control(Control.move_to_column(column))
            console.print(Text(glyph, style), end="", soft_wrap=True)
            if end < console.width:
                console.control(Control.move_to_column(end), Control((ControlType.ERASE_IN_LINE, 0)))
            waiting = Text()
        else:
            waiting.append(glyph, style)
        column = end
    console.print(waiting, soft_wrap=True)


def sign(level: float) -> str:
    """Return the sign that stands for a level."""
    if abs(level) < 0.125:
        return "."
    if level < 0:
        return "=" if level <= -0.5 else "-"
    return "#" if level >= 0.5 else "+"
