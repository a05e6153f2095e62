"""Settings of `classify`."""

from dataclasses import dataclass, field
from pathlib import Path

from sentneuron.core.config.launching import LaunchConfig
from sentneuron.core.config.model import Precision
from sentneuron.core.config.reading import OutputFormat, ReadConfig
from sentneuron.core.errors import UsageError
from sentneuron.core.values import require_file_name, require_seed


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig:
    """One run of `classify`."""

    data: str | None = None
    """File, data set, or `-`; default: sst."""
    text: str | None = None
    """One text to classify instead of data."""
    model: str | None = None
    """Classifier; default: model_transfer/classifier.pt here, then the pretrained one."""
    neurons: int | None = None
    """Decide by the second regression on this many neurons instead of all."""
    neutral: tuple[float, float] | None = None
    """Probabilities between these two are called neutral."""
    output: Path | None = None
    """File to write; default: DATA.classified.csv here."""
    output_format: OutputFormat | None = None
    """Format of the output; default: the input's."""
    excel_safe: bool = False
    """Lead cells of CSV that a spreadsheet would take for a formula by an apostrophe."""
    read: ReadConfig = field(default_factory=ReadConfig)
    """Where text and label are."""
    precision: Precision = "fp32"
    """Weights of an mLSTM's products."""
    seed: int = 0
    """Taken wherever a model runs; nothing here is random."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    launch: LaunchConfig = field(default_factory=LaunchConfig)
    """Processes that classify together."""

    def __post_init__(self) -> None:
        require_file_name(output=self.output)
        require_seed(self.seed)
        if self.data is not None and self.text is not None:
            raise UsageError("DATA and --text were both given", hint="give one of them")
        if self.neutral is not None and not 0 <= self.neutral[0] <= self.neutral[1] <= 1:
            low, high = self.neutral
            raise UsageError(f"--neutral {low},{high}", hint="give two numbers, 0 <= LO <= HI <= 1")
