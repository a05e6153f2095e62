"""Settings of `transfer`."""

from dataclasses import dataclass, field
from pathlib import Path

from sentneuron.core.config.finetuning import FinetuneConfig
from sentneuron.core.config.launching import LaunchConfig
from sentneuron.core.config.model import Pooling, Precision
from sentneuron.core.config.reading import ReadConfig
from sentneuron.core.errors import UsageError
from sentneuron.core.values import require_at_most, require_file_name, require_positive, require_seed

MAX_FOLDS = 1_000
"""Each is a regression of its own on nearly all texts."""


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """One run of `transfer`."""

    model: str | None = None
    """Model to take features from; default: model.pt here, then the pretrained one."""
    data: str = "sst"
    """Data set, folder with train, val and test files, or one labelled file."""
    train: str | None = None
    """Training file; instead of `data`."""
    valid: str | None = None
    """Validation file."""
    test: str | None = None
    """Test file."""
    folds: int | None = None
    """Parts to cross-validate data without parts in; None: it is split 8/1/1."""
    neurons: int = 1
    """Neurons of the second regression."""
    drop_neurons: bool = False
    """The second regression stands on all but these neurons."""
    all_layers: bool = False
    """Features of all layers, bottom layer first; else of the top layer."""
    pooling: Pooling = "last"
    """Features: the final cell state, the mean of its tanh over the text, or the final hidden state."""
    finetune: FinetuneConfig | None = None
    """Train encoder and regression together; None: the encoder stays as it is."""
    precision: Precision = "fp32"
    """Weights of an mLSTM's products, for the features."""
    binarize: bool | None = None
    """Turn stars into classes; None: for a numeric label with more than two values between 1 and 5."""
    use_cached: bool = False
    """Take features from the output folder where they fit model and data."""
    write_results: Path | None = None
    """Where to write results.json as well."""
    output: Path | None = None
    """Folder to write; default: MODEL_transfer here, model_transfer where no model is named."""
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
        if self.folds is not None and self.folds < 2:
            raise UsageError(f"--folds is {self.folds}", hint="give 2 or more")
        require_at_most(MAX_FOLDS, folds=self.folds)
        if self.finetune is not None and self.folds is not None:
            raise UsageError(
                "--finetune with --folds: it needs a validation part to stop by", hint="leave one of them out"
            )
        require_file_name(write_results=self.write_results)
        require_seed(self.seed)
