"""A heatmap as a PNG: monospace, 74 columns, each character on its colour, and the scale below.

Drawn with Pillow, to the pixel, at twice the size it is meant to be seen at. The font is the one that Matplotlib
brings along; what it lacks (Chinese, most emoji) is shown as its empty box, one for a joined emoji. Nothing in the text
has a meaning here, `$` included.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from sentneuron.core.atomic import atomic_path
from sentneuron.core.generation.heatmap import NUM_STEPS, CharacterValues, ColourScale, colour
from sentneuron.core.generation.neurons import titled
from sentneuron.core.printable import printable
from sentneuron.core.report.heatmap_layout import COLUMNS, Cell, is_sequence, runs, width, wrap

MAX_LINES = 400
"""Lines drawn; a longer text ends with a line that says how many are left out."""

CELL_WIDTH, CELL_HEIGHT = 18, 46
BAND_HEIGHT, RADIUS = 38, 7
MARGIN, LEGEND_HEIGHT = 44, 98
FONT_SIZE, SMALL_SIZE = 30, 23
PAGE, INK, FAINT, RULE = (255, 255, 255), (24, 24, 27), (104, 104, 112), (228, 228, 231)

Line = list[Cell]


def write_image(path: Path, samples: Sequence[CharacterValues], scale: ColourScale) -> None:
    """Draw the samples one below the other and write them to `path`.

    Raises:
        OutputError, StorageError: as `atomic_path`.
    """
    with atomic_path(path) as temporary:
        draw_heatmap(samples, scale).save(temporary, format="PNG", optimize=True)


def draw_heatmap(samples: Sequence[CharacterValues], scale: ColourScale) -> Image.Image:
    """Return the picture of the samples, with the scale."""
    blocks = [wrap(one.text, [scale.level(value) for value in one.values]) for one in samples]
    lines: list[Line] = []
    for block in blocks:
        lines += [[], *block] if lines else block
    left_out = max(0, len(lines) - MAX_LINES)
    lines = lines[:MAX_LINES]
    num_rows = len(lines) + bool(left_out)
    size = (2 * MARGIN + COLUMNS * CELL_WIDTH, MARGIN + num_rows * CELL_HEIGHT + LEGEND_HEIGHT)
    image = Image.new("RGB", size, PAGE)
    canvas = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        draw_line(canvas, line, MARGIN + row * CELL_HEIGHT)
    if left_out:
        top = MARGIN + len(lines) * CELL_HEIGHT + BAND_HEIGHT // 2
        canvas.text((MARGIN, top), f"… {left_out:,} more lines", FAINT, font(SMALL_SIZE), anchor="lm")
    draw_legend(canvas, scale, size)
    return image


def draw_line(canvas: ImageDraw.ImageDraw, line: Line, top: int) -> None:
    """Draw one line: a band of colours with round ends, the characters on it, each in the middle of its cell."""
    left = MARGIN
    end = MARGIN + width(line) * CELL_WIDTH
    for run in runs(line):
        right = left + run.columns * CELL_WIDTH
        corners = (left == MARGIN, right == end, right == end, left == MARGIN)
        box = (left, top, right - 1, top + BAND_HEIGHT - 1)
        canvas.rounded_rectangle(box, RADIUS, colour(run.level), corners=corners)
        left = right
    baseline = top + BAND_HEIGHT * 0.71
    left = MARGIN
    for cell in line:
        middle = left + cell.columns * CELL_WIDTH / 2
        glyph = cell.glyph[0] if is_sequence(cell) else cell.glyph  # joined emoji would be a row of boxes
        if not glyph.isspace():
            canvas.text((middle, baseline), glyph, INK, font(FONT_SIZE), anchor="ms")
        left += cell.columns * CELL_WIDTH


def draw_legend(canvas: ImageDraw.ImageDraw, scale: ColourScale, size: tuple[int, int]) -> None:
    """Draw the neuron's number on the left and the bar of colours with its numbers on the right, below a thin rule."""
    top = size[1] - LEGEND_HEIGHT
    middle = top + 54
    end = size[0] - MARGIN
    canvas.line((MARGIN, top + 12, end, top + 12), RULE, width=2)
    small = font(SMALL_SIZE)
    canvas.text((MARGIN, middle), titled(scale.neuron), FAINT, small, anchor="lm")

    green = f"{scale.green} {shorten(scale.green_class)}".strip()
    red = f"{shorten(scale.red_class)} {scale.red}".strip()
    canvas.text((end, middle), green, FAINT, small, anchor="rm")
    right = round(end - small.getlength(green)) - 16
    step = 4
    left = right - step * (2 * NUM_STEPS + 1)
    for number in range(2 * NUM_STEPS + 1):
        x = left + number * step
        corners = (number == 0, number == 2 * NUM_STEPS, number == 2 * NUM_STEPS, number == 0)
        box = (x, middle - 11, x + step - 1, middle + 11)
        canvas.rounded_rectangle(box, 2, colour(number / NUM_STEPS - 1), corners=corners)
    canvas.text((left - 16, middle), red, FAINT, small, anchor="rm")


def shorten(name: str) -> str:
    """Return a class's name on one line, cut to what the legend has room for."""
    name = " ".join(printable(name).split())
    return name if len(name) <= 16 else name[:15] + "…"


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans Mono at a size in pixels, from Matplotlib's files; Matplotlib itself is not imported."""
    spec = find_spec("matplotlib")
    assert spec is not None, "matplotlib is not installed"
    assert spec.origin is not None, "matplotlib has no files"
    return ImageFont.truetype(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSansMono.ttf", size)
