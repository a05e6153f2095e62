"""What the reproduction runs at each scale, and why: the one table of its budgets.

A scale is a budget of time, not of quality: `small` shows in minutes that every step works, `full` is an evening on two
cores. Language models get the same bytes, so that their curves can be laid over each other, but for the largest at full
scale, which gets more: it is the one that ships. Where a GPU is found, larger sizes join, and every size gets as many.
"""

from dataclasses import dataclass, field, replace

from sentneuron.core.config.training import TrainPrecision

STREAMS, WINDOW = 64, 128
"""Bytes of a step are their product; more streams trained no better within these budgets of bytes."""
LR, WARMUP, CLIP = 6e-3, 100, 1.0
"""Peak 3e-3 at 64 streams; warm-up in steps."""
SPLIT, SPLIT_SEED = (1000, 4, 4), 1
"""Shards of IMDB's text that are trained on, validated on and measured on at the end."""
GPU_BYTES = 390_000_000
"""Four epochs."""
GPU_SIZES = (2048, 4096)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of everything."""

    name: str
    test_shards: int
    """How many of the test shards the language models are held against compressors on."""
    bytes: dict[int, int]
    """Bytes that the language model of each size is trained on."""
    model_precision: TrainPrecision = "fp32"
    """Of the language models: of weights and activations while they are trained, of products while they are read."""
    warmup: int = WARMUP
    marks: int = 20
    """Places along the largest model's training where its weights are kept."""
    evaluations: int = 10
    """Validations along each training."""
    transferred: tuple[int, ...] = (1, 2, 4, 8, 12, 16, 20)
    """Marks at which the kept weights are transferred."""
    beside_lstm: int
    """Size of the mLSTM that gets an LSTM of equal parameters beside it."""
    precision: dict[str, int] = field(default_factory=dict)
    """Units, steps, streams and window of the runs in fp32, bf16 and fp16."""
    precision_valid_bytes: int = 60_000
    imdb: int
    """Labelled IMDB texts: a fifth is held out."""
    finetuned: int
    """Labelled IMDB texts for fine-tuning: a fifth is held out."""
    finetune_epochs: int
    steered: int
    """Texts pinned to each side."""
    threads: int | None = None
    """Of torch; None: as many as it takes by itself. The products of small models are too small to be shared: with two
    threads and other work beside them, 32 units trained on 6 kB/s."""
    ngram_order: int = 5
    seed: int = 0

    @property
    def sizes(self) -> list[int]:
        """Units of the language models, smallest first."""
        return sorted(self.bytes)


SMALL = Scale(
    name="small",
    test_shards=1,
    bytes=dict.fromkeys((32, 64, 128), 1_600_000),
    warmup=20,
    marks=10,
    evaluations=5,
    transferred=(1, 2, 4, 7, 10),
    beside_lstm=64,
    precision={"nhid": 32, "steps": 100, "batch_size": 8, "seq_length": 32},
    precision_valid_bytes=8_000,
    imdb=3000,
    finetuned=600,
    finetune_epochs=1,
    steered=20,
    threads=1,
)
FULL = Scale(
    name="full",
    test_shards=4,
    bytes=dict.fromkeys((128, 256, 512), 14_000_000) | {1024: 48_000_000},
    transferred=(1, 2, 4, 8, 14, 20),
    beside_lstm=256,
    precision={"nhid": 128, "steps": 2000, "batch_size": 8, "seq_length": 64},
    imdb=8000,
    finetuned=1500,
    finetune_epochs=2,
    steered=60,
)
SCALES = {scale.name: scale for scale in (SMALL, FULL)}


def chosen_scale(name: str, *, has_gpu: bool, changes: dict[int, int], precision: TrainPrecision = "fp32") -> Scale:
    """Return a scale, with a GPU's sizes and bytes where there is one at full scale, with `changes` to the bytes of
    single sizes, 0 bytes leave a size out, and with models in `precision`."""
    scale = SCALES[name]
    num_bytes = dict(scale.bytes)
    if has_gpu and name == "full":
        num_bytes = dict.fromkeys((*num_bytes, *GPU_SIZES), GPU_BYTES)
    num_bytes = {size: count for size, count in (num_bytes | changes).items() if count}
    beside = scale.beside_lstm if scale.beside_lstm in num_bytes else max(num_bytes)
    return replace(scale, bytes=num_bytes, beside_lstm=beside, model_precision=precision)
