"""Settings of `transfer`."""

from dataclasses import dataclass, field
from pathlib import Path

from sentneuron.core.config.launching import LaunchConfig
from sentneuron.core.config.model import Pooling
from sentneuron.core.config.reading import ReadConfig
from sentneuron.core.values import require_file_name, require_positive, require_seed


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """One run of `transfer`."""

    model: str
    """Language model to take features from."""
    data: str = "sst"
    """Data set, folder with train, val and test files, or one labelled file."""
    train: str | None = None
    """Training file; instead of `data`."""
    valid: str | None = None
    """Validation file."""
    test: str | None = None
    """Test file."""
    neurons: int = 1
    """Neurons of the second regression."""
    pooling: Pooling = "last"
    """Features: the final cell state, or the mean of its tanh over the text."""
    binarize: bool | None = None
    """Turn stars into classes; None: for a numeric label with more than two values between 1 and 5."""
    use_cached: bool = False
    """Take features from the output folder where they fit model and data."""
    write_results: Path | None = None
    """Where to write results.json as well."""
    output: Path | None = None
    """Folder to write; default: MODEL_transfer here."""
    read: ReadConfig = field(default_factory=ReadConfig)
    """Where text and label are."""
    seed: int = 0
    """Seed of splits and of the solver."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    launch: LaunchConfig = field(default_factory=LaunchConfig)
    """Processes that compute features together."""

    def __post_init__(self) -> None:
        require_positive(neurons=self.neurons)
        require_file_name(write_results=self.write_results)
        require_seed(self.seed, bits=32)  # what scikit-learn takes
