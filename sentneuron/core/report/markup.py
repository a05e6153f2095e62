"""Pieces of a page: text from users escaped, tables that scroll inside themselves, pictures as data.

Every function returns HTML. Cells, captions and titles are HTML already; names from data go through `shown` first.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from sentneuron.core.printable import printable

SHOWN = 8 / 15
"""Pixels of a page for one of a picture: 640 for 1,200, sharp on a fine screen."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure for a page."""

    path: Path
    """PNG file; it becomes a part of the page."""
    title: str
    """Plain text."""
    caption: str
    """Plain text, a sentence on how to read the figure."""
    alt: str
    """Plain text for who cannot see it: what it shows."""


def document(title: str, body: str, *, style: str) -> str:
    """Return a whole page, which holds all that it shows; `title` is plain text.

    Its policy lets no script run and loads nothing but pictures that are part of it.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(printable(title))}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def shown(text: str) -> str:
    """Return a text from a user: escaped, without what steers, and unable to turn the text around it."""
    return f"<bdi>{escape(printable(text))}</bdi>"


def percent(share: float) -> str:
    """Return a share as 71.17%."""
    return f"{share:.2%}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, kind: str = "") -> str:
    """Return a table whose first column names its rows; a row of one cell is a heading over all columns."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "\n".join(_row(row, len(head)) for row in rows)
    # Reachable by keyboard, since it may have to be scrolled.
    return (
        f'<div class="scroll" tabindex="0"><table class="{kind}"><thead><tr>{top}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def pairs(rows: Sequence[tuple[str, str]]) -> str:
    """Return names and what they stand for, one a line."""
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>"


def figure_html(picture: Picture, *, below: str = "") -> str:
    """Return a picture with its title and caption; `below` follows the caption."""
    content = picture.path.read_bytes()
    width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))  # the PNG's own
    size = f'width="{round(width * SHOWN)}" height="{round(height * SHOWN)}"'
    data = b64encode(content).decode("ascii")
    title, caption, alt = (escape(printable(text)) for text in (picture.title, picture.caption, picture.alt))
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{alt}" {size}>\n'
        f"<figcaption><b>{title}.</b> {caption}</figcaption>{below}</figure>"
    )


def _row(cells: Sequence[str], width: int) -> str:
    if len(cells) == 1:
        return f'<tr class="part"><th scope="rowgroup" colspan="{width}">{cells[0]}</th></tr>'
    return f'<tr><th scope="row">{cells[0]}</th>{"".join(f"<td>{cell}</td>" for cell in cells[1:])}</tr>'
