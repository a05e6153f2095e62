"""A model in the layouts of other programs, so that nobody is locked in: each layout is a module, which takes what
`load_model` read and writes it whole or not at all.

Weights are written in fp32, as a loaded model holds them: of a file in half precision that is the same numbers in twice
the bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sentneuron.core.config import ExportConfig, Layout
from sentneuron.core.errors import UsageError
from sentneuron.core.model.assembly import SavedModel
from sentneuron.core.model.checkpoint import load_model, save_model
from sentneuron.core.model.exporters.nvidia import export_nvidia
from sentneuron.core.model.exporters.openai import export_openai
from sentneuron.core.model.exporters.safetensors import export_safetensors

Exporter = Callable[[Path, SavedModel], list[str]]
"""Writes a model and names what the layout has no place for."""


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written."""

    model: Path
    output: Path
    """A file, or a folder of arrays."""
    layout: Layout
    num_bytes: int
    left_out: list[str]
    """Parts of the model that the layout has no place for."""


def export(config: ExportConfig) -> ExportReport:
    """Read a model and write it in another layout.

    Raises:
        InputNotFoundError: there is no such model.
        DataError: it cannot be used, or the layout cannot hold it; names one that can.
        UsageError: it would take the place of the model itself.
        OutputError: the output cannot be made, or is a folder of something else.
        StorageError: it cannot be written, or the model not be read.
    """
    target = config.target
    if target.exists() and config.model.exists() and target.samefile(config.model):
        raise UsageError(f"{target} is the model itself", hint="name another output with -o")
    saved = load_model(config.model)
    left_out = EXPORTERS[config.layout](target, saved)
    files = list(target.iterdir()) if target.is_dir() else [target]
    num_bytes = sum(file.stat().st_size for file in files)
    return ExportReport(model=config.model, output=target, layout=config.layout, num_bytes=num_bytes, left_out=left_out)


def export_sentneuron(path: Path, saved: SavedModel) -> list[str]:
    """Write a file of our own format: the way to make one of a model that came from elsewhere.

    Raises:
        OutputError, StorageError: it cannot be written.
    """
    save_model(path, saved)
    return []


EXPORTERS: dict[Layout, Exporter] = {
    "safetensors": export_safetensors,
    "nvidia": export_nvidia,
    "openai": export_openai,
    "sentneuron": export_sentneuron,
}
