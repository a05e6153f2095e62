"""Every setting with its default, one frozen dataclass a command.

Built and checked in the command, passed whole to one core function, stored in what it makes. A default is written once,
here; the string under a field says what it is, and its unit. Imports nothing heavy.
"""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from sentneuron.core.errors import UsageError
from sentneuron.core.values import parse_interval, require_positive

Cell = Literal["mLSTM", "LSTM", "GRU", "RNNTanh", "RNNReLU"]
PersistState = Literal["shard", "document", "always"]
Pooling = Literal["last", "mean"]
Precision = Literal["fp32", "bf16", "int8"]
Kernel = Literal["auto", "reference", "sequence", "fused"]
InputFormat = Literal["csv", "tsv", "ndjson", "json", "python", "parquet", "text"]
OutputFormat = Literal["csv", "jsonl", "parquet", "npy"]

TEXT_KEYS = ("text", "sentence", "reviewText", "review", "content", "body", "review_body", "comment", "tweet")
LABEL_KEYS = ("label", "sentiment", "overall", "rating", "stars", "star_rating", "score")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture of a language model; stored in every model file."""

    model: Cell = "mLSTM"
    """Recurrent cell."""
    nhid: int = 4096
    """Hidden units a layer."""
    emsize: int = 64
    """Numbers in a byte's embedding."""
    nlayers: int = 1
    """Recurrent layers."""
    dropout: float = 0.0
    """Share of a layer's outputs dropped between layers and before the decoder, 0 to below 1."""
    tied: bool = False
    """Decoder shares the embedding's weights; needs emsize equal to nhid."""
    weight_norm: bool = True
    """Recurrent-layer matrices as a direction and a length per output unit."""

    def __post_init__(self) -> None:
        require_positive(nhid=self.nhid, emsize=self.emsize, nlayers=self.nlayers)
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout is {self.dropout}", hint="give a number from 0 to below 1")
        if self.tied and self.emsize != self.nhid:
            raise UsageError(f"--tied with --emsize {self.emsize} and --nhid {self.nhid}", hint="make them equal")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild from a model file's `config`; unknown names raise TypeError."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a model file."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """How records are found in input files."""

    format: InputFormat | None = None
    """Input format; found by content when None."""
    encoding: str = "utf-8"
    """Encoding of text files."""
    text_key: str = "auto"
    """Column with the text; `auto` takes the first of TEXT_KEYS."""
    label_key: str = "auto"
    """Column with the label, or several parted by commas; `auto` takes the first of LABEL_KEYS."""


@dataclass(frozen=True, kw_only=True)
class ShardConfig:
    """One run of `shard`."""

    inputs: tuple[str, ...]
    """Files, folders, globs, or `-`."""
    output: str | Path | None = None
    """Folder to make, or a URI of one in a bucket; default: the input's name with `.shards`, here."""
    shards: int = 1002
    """Shards in all splits together."""
    split: tuple[int, ...] = (1000, 1, 1)
    """Proportions of train, valid and test."""
    read: ReadConfig = field(default_factory=ReadConfig)
    """Where text and label are."""
    keep_unicode: bool = False
    """Leave UTF-8 as it is instead of Unidecode's ASCII."""
    dedup: bool = False
    """Keep one of exactly equal texts."""
    on_error: Literal["skip", "fail"] = "skip"
    """What to do with a record that cannot be read."""
    max_bad: float = 0.01
    """Largest share of records that may be skipped, 0 to 1."""
    seed: int = 0
    """Seed of the assignment of documents to shards."""
    workers: int | None = None
    """Processes; None takes as many as there are cores, at most 8. Does not show in the result."""
    force: bool = False
    """Replace a folder made with other settings."""

    def __post_init__(self) -> None:
        require_positive(shards=self.shards)
        if self.workers is not None:
            require_positive(workers=self.workers)
        if self.shards > 100_000:
            raise UsageError(f"--shards is {self.shards:,}", hint="give at most 100,000")
        if not 0 <= self.seed < 1 << 63:
            raise UsageError(f"--seed is {self.seed}", hint="give a number from 0 to 2^63 - 1")
        if len(self.split) not in (1, 2, 3) or any(part < 0 for part in self.split) or self.split[0] <= 0:
            raise UsageError(f"--split {','.join(map(str, self.split))}", hint="give up to three counts: 1000,1,1")
        if not 0 <= self.max_bad <= 1:
            raise UsageError(f"--max-bad is {self.max_bad:.0%}", hint="give a share from 0% to 100%")


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
    """Architecture."""
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
    """Streams."""
    seq_length: int = 256
    """Bytes a stream a step."""
    persist_state: PersistState = "shard"
    """Where the hidden state is reset: at the start of a shard, of a document, or never."""
    save: Path = Path("model.pt")
    """Model file to write."""
    save_every: str = "10m"
    """Time between saves (30s, 10m, 2h), or a number of steps."""
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
    seed: int = 0
    """Seed of the weights, the shard order and dropout."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        positive = ("lr", "clip", "epochs", "max_steps", "max_bytes", "max_hours", "batch_size", "seq_length")
        require_positive(**{name: getattr(self, name) for name in (*positive, "log_interval", "eval_every")})
        if self.recompute and self.model.model != "mLSTM":
            raise UsageError(f"--recompute with --model {self.model.model}", hint="only an mLSTM has it: leave it out")
        if self.warmup < 0:
            raise UsageError(f"--warmup is {self.warmup}", hint="give a number of steps, 0 or more")
        parse_interval(self.save_every)


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

    def __post_init__(self) -> None:
        require_positive(neurons=self.neurons)


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
    read: ReadConfig = field(default_factory=ReadConfig)
    """Where text and label are."""
    precision: Precision = "fp32"
    """Weights of an mLSTM's products."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        if self.data is not None and self.text is not None:
            raise UsageError("DATA and --text were both given", hint="give one of them")
        if self.neutral is not None and not 0 <= self.neutral[0] <= self.neutral[1] <= 1:
            low, high = self.neutral
            raise UsageError(f"--neutral {low},{high}", hint="give two numbers, 0 <= LO <= HI <= 1")


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """One run of `generate`."""

    text: str = ""
    """Text to continue, or to analyse."""
    gen_length: int | None = None
    """Bytes to generate after the text; default: 200, or none with --heatmap alone."""
    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest byte."""
    top_k: int | None = None
    """Sample among the k likeliest bytes."""
    top_p: float | None = None
    """Sample among the likeliest bytes that hold this probability together."""
    num_samples: int = 1
    """Samples."""
    model: str | None = None
    """Model; default: model_transfer/classifier.pt here, then the pretrained one."""
    heatmap: bool = False
    """Colour each character by the neuron's value."""
    neuron: int | None = None
    """Neuron to show and to overwrite; default: the classifier's heaviest."""
    overwrite: str | None = None
    """Pin the neuron's cell state: +1, -1, VALUE, or NEURON=VALUE,…"""
    negate: bool = False
    """Flip the colours."""
    save: Path | None = None
    """File for the samples; .jsonl writes one object a sample."""
    seed: int = 0
    """Seed of the sampling."""
    precision: Precision = "fp32"
    """Weights of an mLSTM's products."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        require_positive(num_samples=self.num_samples, top_k=self.top_k)
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UsageError(f"--temperature is {self.temperature}", hint="give a number, 0 or more")
        if self.gen_length is not None and self.gen_length < 0:
            raise UsageError(f"--gen-length is {self.gen_length}", hint="give a number of bytes, 0 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(f"--top-p is {self.top_p}", hint="give a share above 0, up to 1")
