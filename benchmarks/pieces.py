"""The pieces of a page that hold measured numbers: rendered from figures, so that none is written by hand.

A piece stands between `<!-- table: NAME -->` or `<!-- value: NAME -->` and `<!-- end -->`; what was there is replaced.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

PIECE = re.compile(r"<!-- (table|value): ([\w-]+) -->(.*?)<!-- end -->", re.DOTALL)

Figures = dict[str, Any]
Renderers = Mapping[str, Callable[[Figures], str]]


def rendered(page: str, figures: Figures, *, tables: Renderers, values: Renderers) -> str:
    """Return the page with every piece replaced.

    Raises:
        KeyError: a piece has a name that nothing renders.
    """

    def replace(match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        if kind == "value":
            return f"<!-- value: {name} -->{values[name](figures)}<!-- end -->"
        return f"<!-- table: {name} -->\n\n{tables[name](figures)}\n\n<!-- end -->"

    return PIECE.sub(replace, page)


def prose(page: str) -> str:
    """Return what is written by hand: without the pieces, blocks of code, and what a link points to."""
    page = PIECE.sub("", page)
    page = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", page)
