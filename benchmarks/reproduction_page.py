"""The pieces of docs/reproduction.md that hold measured numbers (`pieces`), rendered from reproduction_SCALE.json.

What the tables say is in `reproduction_tables.py`; everything else on the page is written by hand, and holds no
measured number.
"""

import json
from pathlib import Path

from measuring import RESULTS
from pieces import Figures, rendered
from reproduction_tables import TABLES, VALUES

PAGE = Path(__file__).parents[1] / "docs" / "reproduction.md"
SCALES_BY_WORTH = ("full", "small")


def newest_figures(folder: Path = RESULTS) -> Figures:
    """Return the figures of the largest scale that has been run.

    Raises:
        FileNotFoundError: none has.
    """
    for scale in SCALES_BY_WORTH:
        path = folder / f"reproduction_{scale}.json"
        if path.exists():
            return json.loads(path.read_text("utf-8"))
    raise FileNotFoundError(f"{folder} has no reproduction_SCALE.json: run reproduction.py")


def filled(page: str, figures: Figures) -> str:
    """Return the page with what the figures say."""
    return rendered(page, figures, tables=TABLES, values=VALUES)
