"""A heatmap as one HTML file that needs no other: the text wraps at 74 columns, each run of one colour is a `span`.

The text can be selected and copied as it is, but for characters that cannot be seen. Everything from the user is
escaped, and the page's policy lets no script run and loads nothing.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from sentneuron.core.atomic import atomic_open
from sentneuron.core.generation.heatmap import NUM_STEPS, CharacterValues, ColourScale, colour
from sentneuron.core.generation.neurons import titled
from sentneuron.core.printable import printable
from sentneuron.core.report.heatmap_layout import COLUMNS, Cell, cells, runs
from sentneuron.core.report.markup import document

STYLE = f"""
:root {{ color-scheme: light dark; }}
body {{ margin: 2.5rem auto; padding: 0 1rem; width: fit-content; max-width: 100%; box-sizing: border-box;
  font: 16px/1.75 "DejaVu Sans Mono", "SF Mono", Menlo, Consolas, monospace; }}
.text {{ width: {COLUMNS}ch; max-width: 100%; margin: 0 0 1.75rem; white-space: pre-wrap; overflow-wrap: anywhere; }}
.text span {{ padding: .2em 0; color: #18181b; }}
.scale {{ display: flex; align-items: center; gap: .75em; padding-top: 1em; border-top: 1px solid #8884;
  font-size: .8em; }}
.scale span {{ opacity: .75; }}
.scale .bar {{ width: 16em; height: 1em; border-radius: .2em; opacity: 1; }}
.scale .neuron {{ margin-right: auto; }}
"""


def write_html(path: Path, samples: Sequence[CharacterValues], scale: ColourScale) -> None:
    """Write the samples, one paragraph each, and the scale to `path`.

    Raises:
        OutputError, StorageError: as `atomic_path`.
    """
    with atomic_open(path) as file:
        file.write(page(samples, scale))


def page(samples: Sequence[CharacterValues], scale: ColourScale) -> str:
    """Return the whole document."""
    paragraphs = "\n".join(paragraph(one, scale) for one in samples)
    return document(titled(scale.neuron), f"{paragraphs}\n{legend(scale)}", style=STYLE)


def paragraph(sample: CharacterValues, scale: ColourScale) -> str:
    """Return one sample's text, each run of one colour in a span."""
    levels = [scale.level(value) for value in sample.values]
    return f'<div class="text" dir="auto">{"".join(map(_span, runs(cells(sample.text, levels))))}</div>'


def legend(scale: ColourScale) -> str:
    """Return the bar of colours, its numbers and what they speak for."""
    stops = ", ".join(_css(number / NUM_STEPS - 1) for number in range(0, 2 * NUM_STEPS + 1, NUM_STEPS // 2))
    red = escape(printable(f"{scale.red_class} {scale.red}".strip()))
    green = escape(printable(f"{scale.green} {scale.green_class}".strip()))
    return (
        f'<div class="scale"><span class="neuron">{titled(scale.neuron)}</span><span>{red}</span>'
        f'<span class="bar" style="background: linear-gradient(to right, {stops})"></span><span>{green}</span></div>'
    )


def _span(run: Cell) -> str:
    return f'<span style="background:{_css(run.level)}">{escape(run.glyph)}</span>'


def _css(level: float) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour(level))
