"""Lines of coloured cells for a heatmap: where text wraps, how wide a character is, what stands for the invisible.

Terminal, image and HTML all draw these cells, so that they show the same. A cell is one character as a reader sees it:
accents, the parts of a syllable, of a flag and of a joined or skin-toned emoji share the cell of the character they
stand on, in the colour of the last of them.

Limits: an emoji's tags (England's flag) and most invisible characters are left out; in scripts that join letters
(Arabic, Devanagari) each letter with a width takes a column.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from sentneuron.core.printable import BIDI_CONTROLS, REPLACEMENT

COLUMNS = 74
"""Width of a heatmap."""

NON_JOINER, JOINER, EMOJI_STYLE = "\u200c", "\u200d", "\ufe0f"
_KEYCAPS = "0123456789#*"
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
        if waiting and waiting.columns and (columns := _shared_columns(waiting, character)):
            waiting = Cell(waiting.glyph + character, columns, level)
            continue
        glyph, columns = glyph_of(character)
        if columns or glyph == "\n":
            if waiting:
                yield without_loose_joiner(waiting)
            waiting = Cell(glyph, columns, level)
        elif waiting and waiting.columns and glyph:
            waiting = Cell(waiting.glyph + glyph, waiting.columns, level)
    if waiting:
        yield without_loose_joiner(waiting)


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
        return ("" if category == "Cf" and character != NON_JOINER else character), 0
    if "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7fb":  # a syllable's vowel and final consonant
        return character, 0
    return character, 2 if unicodedata.east_asian_width(character) in "WF" else 1


def without_loose_joiner(cell: Cell) -> Cell:
    """Return a cell without a joiner at its end, which joins nothing."""
    return cell._replace(glyph=cell.glyph.rstrip(JOINER)) if cell.glyph.endswith(JOINER) else cell


def is_sequence(cell: Cell) -> bool:
    """Say whether a cell is an emoji of several characters, on whose width terminals differ."""
    return cell.columns == 2 and len(cell.glyph) > 1


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


def _shared_columns(cell: Cell, character: str) -> int:
    """Return the columns of a cell together with the character after it, 0 where that has a cell of its own.

    Source: Unicode Standard Annex 29, "Unicode text segmentation", rules GB9, GB11, GB12; Annex 51 for the widths.
    """
    if cell.glyph.endswith(JOINER):
        return 2 if _is_pictograph(character) else 0
    if character == JOINER:
        return cell.columns if _is_pictograph(cell.glyph[0]) else 0
    if "\U0001f3fb" <= character <= "\U0001f3ff":  # skin tones
        return 2 if _is_pictograph(cell.glyph[0]) else 0
    if character == EMOJI_STYLE:
        return 2 if _is_pictograph(cell.glyph[0]) or cell.glyph in _KEYCAPS else cell.columns
    if _is_regional(character):
        return 2 if len(cell.glyph) == 1 and _is_regional(cell.glyph) else 0
    return 0


def _is_pictograph(character: str) -> bool:
    """Say whether a character can be an emoji, or a part of one; a few other symbols are let pass."""
    return unicodedata.category(character) in ("So", "Sk", "Sm") and ord(character) > 0xFF


def _is_regional(character: str) -> bool:
    """Say whether a character is half of a flag."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _kind(cell: Cell) -> str:
    if cell.glyph == "\n":
        return "break"
    if cell.glyph.isspace():
        return "space"
    return "wide" if cell.columns == 2 else "word"
