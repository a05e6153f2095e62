"""The pieces of docs/reproduction.md that hold measured numbers, rendered from reproduction_SCALE.json.

A piece stands between `<!-- table: NAME -->` or `<!-- value: NAME -->` and `<!-- end -->`; what was there is replaced.
What the tables say is in `reproduction_tables.py`; everything else on the page is written by hand, and holds no
measured number.
"""

import json
import re
from pathlib import Path
from typing import Any

from measuring import RESULTS
from reproduction_tables import TABLES, VALUES

PAGE = Path(__file__).parents[1] / "docs" / "reproduction.md"
PIECE = re.compile(r"<!-- (table|value): ([\w-]+) -->(.*?)<!-- end -->", re.DOTALL)
SCALES_BY_WORTH = ("full", "small")


def newest_figures(folder: Path = RESULTS) -> dict[str, Any]:
    """Return the figures of the largest scale that has been run.

    Raises:
        FileNotFoundError: none has.
    """
    for scale in SCALES_BY_WORTH:
        path = folder / f"reproduction_{scale}.json"
        if path.exists():
            return json.loads(path.read_text("utf-8"))
    raise FileNotFoundError(f"{folder} has no reproduction_SCALE.json: run reproduction.py")


def rendered(page: str, figures: dict[str, Any]) -> str:
    """Return the page with every piece replaced.

    Raises:
        KeyError: a piece has a name that nothing renders.
    """

    def replace(match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        if kind == "value":
            return f"<!-- value: {name} -->{VALUES[name](figures)}<!-- end -->"
        return f"<!-- table: {name} -->\n\n{TABLES[name](figures)}\n\n<!-- end -->"

    return PIECE.sub(replace, page)


def prose(page: str) -> str:
    """Return what is written by hand: without the pieces, blocks of code, and what a link points to."""
    page = PIECE.sub("", page)
    page = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", page)
