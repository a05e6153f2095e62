"""Models of other origin, found by what a file holds: each layout is a module, which puts it into our own terms."""

import os
from pathlib import Path
from typing import Any

from sentneuron.core.errors import DataError, StorageError
from sentneuron.core.model.assembly import ModelParts
from sentneuron.core.model.importers import guillitte, openai
from sentneuron.core.model.importers.array_sources import opened
from sentneuron.core.model.importers.nvidia import import_nvidia
from sentneuron.core.model.importers.safetensors import import_safetensors


def import_path(path: Path) -> ModelParts | None:
    """Read a model that is no `torch.save`: a folder or zip of arrays, or safetensors; None where it is none of these.

    Raises:
        DataError: it is such a model, but damaged or incomplete; it is a shard folder.
        StorageError: it cannot be read.
    """
    if not os.path.exists(path):  # what is wrong with it is told where it is opened
        return None
    try:
        if (path / "manifest.json").is_file():
            raise DataError(f"{path} is a shard folder, not a model", hint=f"train one: 'sentneuron train {path}'")
        return import_safetensors(path) or _import_arrays(path)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"cannot read {path}: {reason}", hint="check the file and its permissions") from error


def import_values(values: Any, *, name: str) -> ModelParts | None:
    """Put what a foreign `torch.save` called `name` holds into our own terms; None where no layout fits.

    Raises:
        DataError: it is one of the layouts, but incomplete.
    """
    return guillitte.import_state_dicts(values, name=name) or import_nvidia(values, name=name)


def _import_arrays(path: Path) -> ModelParts | None:
    """Read a folder or zip of `.npy` files by what they are called; raises as `import_path`, and OSError."""
    with opened(path, marks=openai.LAYOUT.keys() | guillitte.MARKS) as files:
        if files is None:
            return None
        is_openai = files.members.keys() & openai.LAYOUT.keys()
        return openai.import_openai(files) if is_openai else guillitte.import_arrays(files)
