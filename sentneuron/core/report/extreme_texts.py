"""Texts worth a look, in groups, each as a heatmap of one neuron with what is known about it.

A long text is cut in its middle: it is shown to a reader of a telephone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sentneuron.core.generation.heatmap import CharacterValues, ColourScale
from sentneuron.core.report.heatmap_html import paragraph
from sentneuron.core.report.markup import shown

MAX_CHARACTERS = 1000
"""Characters of a text that is shown whole; of a longer one HEAD and TAIL are, each cut at a word's end."""
HEAD, TAIL = 600, 300


@dataclass(frozen=True, kw_only=True)
class ShownText:
    """A text with a neuron's value after each character, and what is said about it."""

    sample: CharacterValues
    label: str
    """Its class, or its labels."""
    prediction: str
    """What the classifier says, with its probability."""
    value: float
    """The neuron's value as a feature."""
    is_right: bool
    """The classifier says what the label says."""


@dataclass(frozen=True, kw_only=True)
class TextGroup:
    """Texts that have something in common."""

    title: str
    texts: list[ShownText]


def group_html(group: TextGroup, scale: ColourScale) -> str:
    """Return a heading and the group's texts, the most extreme first."""
    return f"<h3>{shown(group.title)}</h3>\n" + "\n".join(_text_html(text, scale) for text in group.texts)


def cut(sample: CharacterValues) -> tuple[list[CharacterValues], int]:
    """Return the pieces of a text that are shown, one or two, and how many characters are left out between them."""
    text = sample.text
    if len(text) <= MAX_CHARACTERS:
        return [sample], 0
    stop = _last_space(text[:HEAD], otherwise=HEAD)
    start = len(text) - _last_space(text[-TAIL:][::-1], otherwise=TAIL)
    return [_piece(sample, 0, stop), _piece(sample, start, len(text))], start - stop


def _text_html(text: ShownText, scale: ColourScale) -> str:
    pieces, left_out = cut(text.sample)
    gap = f'<p class="gap">… {left_out:,} characters left out …</p>'
    facts = [
        f"<span>label <b>{shown(text.label)}</b></span>",
        f"<span>classifier <b>{shown(text.prediction)}</b>{'' if text.is_right else ' <i>mistaken</i>'}</span>",
        f"<span>neuron <b>{escape(f'{text.value:+.3f}')}</b></span>",
    ]
    body = gap.join(paragraph(piece, scale) for piece in pieces)
    return f'<article>{body}<p class="facts">{" ".join(facts)}</p></article>'


def _last_space(text: Sequence[str], *, otherwise: int) -> int:
    """Return the place of the last white space in the second half, else `otherwise`."""
    return next((place for place in range(len(text) - 1, len(text) // 2, -1) if text[place].isspace()), otherwise)


def _piece(sample: CharacterValues, start: int, stop: int) -> CharacterValues:
    return CharacterValues(text=sample.text[start:stop], values=sample.values[start:stop], neuron=sample.neuron)
