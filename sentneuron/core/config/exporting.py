"""Settings of `export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sentneuron.core.values import require_file_name

Layout = Literal["safetensors", "nvidia", "openai", "sentneuron"]
ENDINGS: dict[Layout, str] = {
    "safetensors": ".safetensors",
    "nvidia": ".nvidia.pt",
    "openai": ".openai",
    "sentneuron": ".sentneuron.pt",
}
"""How a default output ends; an OpenAI model is a folder."""


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """One run of `export`."""

    model: Path
    """Model to read, of any layout that is known."""
    layout: Layout
    """Layout to write it in."""
    output: Path | None = None
    """File or folder to write; default: MODEL with the layout's ending, here."""

    def __post_init__(self) -> None:
        require_file_name(output=self.output)

    @property
    def target(self) -> Path:
        """The file or folder to write."""
        model = self.model.resolve() if self.model.name in ("", "..") else self.model
        return self.output or Path(model.stem + ENDINGS[self.layout])
