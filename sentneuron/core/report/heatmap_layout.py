"""Lines of coloured cells for a heatmap: where text wraps, how wide a character is, what stands for the invisible.

Terminal, image and HTML all draw these cells, so that they show the same. A cell is one character of the text;
characters without a width of their own (combining accents, joiners) ride on the cell before them.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from sentneuron.core.printable import BIDI_CONTROLS, REPLACEMENT

COLUMNS = 74
"""Width of a heatmap."""

_INVISIBLE = ("Cf", "Mn", "Me")
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


class Cell(NamedTuple):
    """Something drawn in one colour: `columns` wide, at a level from -1 to 1."""

    glyph: str
    columns: int
    level: float


def cells(text: str, levels: Sequence[float]) -> Iterator[Cell]:
    """Yield the cells of `text`, which has a level a character; a line break is a cell `"\\n"` without width."""
    waiting: Cell | None = None
    for place, (character, level) in enumerate(zip(text, levels, strict=True)):
        if character == "\r" and text[place + 1 : place + 2] == "\n":
            continue
        glyph, columns = glyph_of(character)
        if columns or glyph == "\n":
            if waiting:
                yield waiting
            waiting = Cell(glyph, columns, level)
        elif waiting and waiting.columns:
            waiting = waiting._replace(glyph=waiting.glyph + glyph)
    if waiting:
        yield waiting


def glyph_of(character: str) -> tuple[str, int]:
    """Return what is drawn for a character and its columns; none for what rides on the character before."""
    if character in "\r\n":
        return "\n", 0
    if character == "\t":
        return " ", 1
    category = unicodedata.category(character)
    if category in _UNPRINTABLE or character in BIDI_CONTROLS:
        return REPLACEMENT, 1
    if category in _INVISIBLE:
        return ("" if category == "Cf" else character), 0
    return character, 2 if unicodedata.east_asian_width(character) in "WF" else 1


def wrap(text: str, levels: Sequence[float], *, columns: int = COLUMNS) -> list[list[Cell]]:
    """Break `text` into lines of at most `columns`: at its own line breaks, after white space, around wide characters.

    A word longer than a line is cut. White space that no longer fits at the end of a line is left out.
    """
    lines: list[list[Cell]] = [[]]
    for word in words(cells(text, levels)):
        if word[0].glyph == "\n":
            lines.append([])
            continue
        is_space = word[0].glyph.isspace()
        if lines[-1] and not is_space and width(lines[-1]) + width(word) > columns:
            lines.append([])
        for cell in word:
            if width(lines[-1]) + cell.columns > columns:
                if is_space:
                    break
                lines.append([])
            lines[-1].append(cell)
    return lines


def words(stream: Iterable[Cell]) -> Iterator[list[Cell]]:
    """Split cells into what must not be parted: words, runs of white space, line breaks, wide characters."""
    for kind, group in groupby(stream, _kind):
        if kind in ("break", "wide"):
            yield from ([cell] for cell in group)
        else:
            yield list(group)


def width(line: Sequence[Cell]) -> int:
    """Return the columns that cells take together."""
    return sum(cell.columns for cell in line)


def runs(line: Iterable[Cell]) -> Iterator[Cell]:
    """Merge neighbours of one colour."""
    for level, group in groupby(line, lambda cell: cell.level):
        same = list(group)
        yield Cell("".join(cell.glyph for cell in same), width(same), level)


def _kind(cell: Cell) -> str:
    if cell.glyph == "\n":
        return "break"
    if cell.glyph.isspace():
        return "space"
    return "wide" if cell.columns == 2 else "word"
