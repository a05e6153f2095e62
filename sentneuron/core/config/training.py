"""Settings of `train`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sentneuron.core.config.launching import LaunchConfig
from sentneuron.core.config.model import Kernel, ModelConfig
from sentneuron.core.config.sharding import ShardConfig
from sentneuron.core.errors import UsageError
from sentneuron.core.values import (
    parse_interval,
    parse_loss_scale,
    require_file_name,
    require_positive,
    require_seed,
    require_split,
)

PersistState = Literal["shard", "document", "always"]
TrainPrecision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run of `train`."""

    data: str | None = None
    """Shard folder, text file or data set; default: the one `*.shards` folder here."""
    valid: str | None = None
    """Data to validate on; default: the shard folder's valid part."""
    test: str | None = None
    """Data for the figure at the end; default: the shard folder's test part."""
    split: tuple[int, ...] = ShardConfig.split
    """Proportions of train, valid and test where DATA is text that is sharded first."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Architecture; with `init` all but its dropout is that model's."""
    init: str | None = None
    """Model file to start from, or `pretrained`; None: from random weights."""
    optim: Literal["Adam", "SGD"] = "Adam"
    """Optimizer."""
    lr: float = 5e-4
    """Peak learning rate per 128 streams; scaled with the global batch, capped at 3e-3."""
    warmup: int = 0
    """Steps of linear warm-up, before the linear decay to 0."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    epochs: int = 1
    """Passes over the training bytes."""
    max_steps: int | None = None
    """Stop after so many steps; the decay ends there."""
    max_bytes: int | None = None
    """Stop after so many bytes; the decay ends there."""
    max_hours: float | None = None
    """Stop after so many hours; the decay stays as it is."""
    batch_size: int = 128
    """Streams a GPU, in one pass."""
    accumulate: int = 1
    """Passes a step, each on streams of its own: the global batch is GPUs x batch_size x accumulate."""
    seq_length: int = 256
    """Bytes a stream a step."""
    persist_state: PersistState = "shard"
    """Where the hidden state is reset: at the start of a shard, of a document, or never."""
    save: Path = Path("model.pt")
    """Model file to write."""
    save_every: str = "10m"
    """Time between saves (30s, 10m, 2h), or a number of steps."""
    keep: int = 1
    """Resume files to keep: the newest, and those of the saves before it, named by their step."""
    resume: str = "auto"
    """auto: go on where the resume file matches; never: start over; or a resume file to go on from, to another length
    too."""
    log_interval: int = 50
    """Steps between log lines."""
    eval_every: int | None = None
    """Steps between validations; default: with each save."""
    kernel: Kernel = "auto"
    """Implementation of the recurrence; auto: fused on a GPU where Triton runs, else sequence."""
    recompute: bool = False
    """Keep an mLSTM's states only (2H numbers a byte, not 7H); the backward pass computes the gates again."""
    check: Literal["sizes", "full"] = "sizes"
    """What of the shards is compared with their manifest before training: names and sizes, or every file's sha256."""
    precision: TrainPrecision = "fp32"
    """Of weights and activations; fp16 and bf16 keep fp32 master weights."""
    loss_scale: str = "dynamic"
    """fp16: `dynamic`, or a fixed number that the loss is multiplied by before the backward pass."""
    seed: int = 0
    """Seed of the weights, the shard order and dropout."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    launch: LaunchConfig = field(default_factory=LaunchConfig)
    """Processes that train together."""

    def __post_init__(self) -> None:
        positive = (
            "lr",
            "clip",
            "epochs",
            "max_steps",
            "max_bytes",
            "max_hours",
            "batch_size",
            "accumulate",
            "seq_length",
        )
        require_positive(**{name: getattr(self, name) for name in (*positive, "log_interval", "eval_every", "keep")})
        require_file_name(save=self.save)
        require_seed(self.seed)
        require_split(self.split)
        if self.recompute and self.model.model != "mLSTM":
            raise UsageError(f"--recompute with --model {self.model.model}", hint="only an mLSTM has it: leave it out")
        if self.warmup < 0:
            raise UsageError(f"--warmup is {self.warmup}", hint="give a number of steps, 0 or more")
        parse_interval(self.save_every)
        launch = self.launch
        if self.resume == "never" and (launch.max_restarts or ":" in launch.nnodes):
            why = f"--max-restarts {launch.max_restarts}" if launch.max_restarts else f"--nnodes {launch.nnodes}"
            raise UsageError(
                f"--resume never with {why}",
                hint="processes that start again would start over: remove the old run's files, and leave --resume out",
            )
        if self.loss_scale != "dynamic" and self.precision != "fp16":
            raise UsageError(f"--loss-scale {self.loss_scale} without --fp16", hint="only fp16 has a loss scale")
        parse_loss_scale(self.loss_scale)
