"""Models of other origin, found by what a file holds: each layout is a module, which puts it into our own terms."""

from pathlib import Path
from typing import Any

from sentneuron.core.model.assembly import ModelParts


def import_path(path: Path) -> ModelParts | None:
    """Read a model that is no `torch.save`: a folder or zip of arrays; None where it is none of these.

    Raises:
        DataError: it is such a model, but damaged or incomplete.
        StorageError: it cannot be read.
    """
    return None


def import_values(values: Any, *, name: str) -> ModelParts | None:
    """Put what a foreign `torch.save` called `name` holds into our own terms; None where no layout fits.

    Raises:
        DataError: it is one of the layouts, but incomplete.
    """
    return None
