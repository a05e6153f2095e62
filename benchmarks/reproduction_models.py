"""The language models of the reproduction: every size, an LSTM of equal parameters, and half precision beside fp32.

Trained by the engine of `sentneuron train` on the shards that it makes of IMDB's training and unlabelled texts. Each
model lies in the work folder with its log and its resume file, under a name that says its cell, units and bytes: a
stopped run goes on, and another budget is another run. Of the largest, the resume files along the way are kept, whose
weights become the model files that are transferred later.
"""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import half_precision
import numpy as np
from reproduction_scales import CLIP, LR, SPLIT, SPLIT_SEED, STREAMS, WINDOW, Scale
from reproduction_stages import Work

from sentneuron.core.atomic import atomic_open
from sentneuron.core.config import ModelConfig, TrainConfig
from sentneuron.core.config.model import Cell
from sentneuron.core.data.corpus import open_corpus
from sentneuron.core.data.shards import open_shards
from sentneuron.core.model.checkpoint import load_model, save_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.training import loop
from sentneuron.core.training.journal import log_path, read_lines
from sentneuron.core.training.resume import load_run

EVERY_ONE = 1_000_000
"""Resume files to keep; an interruption leaves some more."""
PRECISIONS = ("fp32", "bf16", "fp16")


def make_shards(work: Work) -> str:
    """Return the folder of IMDB's shards, made where they are not there."""

    def make() -> str:
        shards = open_corpus(
            "imdb",
            split=SPLIT,
            cache=work.folder,
            seed=SPLIT_SEED,
            progress=lambda done, total: None,
            announce=work.announce,
        )
        return Path(shards.name).name

    return str(work.folder / work.result("shards", {"split": SPLIT, "seed": SPLIT_SEED}, make))


def train_sizes(work: Work, scale: Scale, shards: str, *, device: str) -> list[dict[str, Any]]:
    """Train an mLSTM of each size; return their records, smallest first."""
    return [
        _stage(work, scale, shards, ModelConfig(nhid=nhid), num_bytes=num_bytes, device=device)
        for nhid, num_bytes in sorted(scale.bytes.items())
    ]


def train_lstm(work: Work, scale: Scale, shards: str, *, device: str) -> dict[str, Any]:
    """Train an LSTM with the parameters of one of the mLSTMs, on the same bytes; return its record.

    In fp32 whatever the others learn in: torch's kernel would keep the cell state in bf16, the mLSTM's is fp32 always.
    """
    config = equal_lstm(ModelConfig(nhid=scale.beside_lstm))
    exact = replace(scale, model_precision="fp32")
    return _stage(work, exact, shards, config, num_bytes=scale.bytes[scale.beside_lstm], device=device)


def compare_precisions(work: Work, scale: Scale, shards: str, *, device: str) -> list[dict[str, Any]]:
    """Train a small model in each precision on the same bytes, as `half_precision.py` does; return the curves.

    Validated on the first texts of the held-out part alone: without instructions for half precision a CPU takes longer
    for the whole of it than for the training.
    """
    folder = work.folder / "precision_{nhid}_{steps}_{batch_size}_{seq_length}".format(**scale.precision)
    valid = folder / f"valid_{scale.precision_valid_bytes}.txt"
    args = Namespace(**scale.precision, data=shards, valid=str(valid), folder=folder, peak=3e-3, device=device)
    settings = {**scale.precision, "peak": args.peak, "split": SPLIT, "valid_bytes": scale.precision_valid_bytes}

    def train() -> list[dict[str, Any]]:
        folder.mkdir(exist_ok=True)
        with atomic_open(valid, "wb") as file:
            file.write(
                b"\n".join(text.strip() for text in held_out_texts(shards, "valid", scale.precision_valid_bytes))
            )
        return [half_precision.curves(name, half_precision.train(name, args)) for name in PRECISIONS]

    return work.result("precision", settings, train)


def held_out_texts(shards: str, part: str, num_bytes: int | None = None) -> list[bytes]:
    """Return a part's clean texts in their order, of at least `num_bytes` together; None: all."""
    texts: list[bytes] = []
    for shard in open_shards(shards).split(part):
        for index in range(len(shard.row_group_bytes)):
            text, starts = shard.read_row_group(index)
            for piece in np.split(text, starts[1:]):
                if num_bytes is not None and sum(map(len, texts)) >= num_bytes:
                    return texts
                texts.append(piece.tobytes())
    return texts


def model_path(work: Work, config: ModelConfig, num_bytes: int) -> Path:
    """Return where a language model lies."""
    return work.folder / f"{config.model}_{config.nhid}_{num_bytes}.pt"


def largest_path(work: Work, scale: Scale) -> Path:
    """Return where the largest mLSTM lies."""
    largest = max(scale.bytes)
    return model_path(work, ModelConfig(nhid=largest), scale.bytes[largest])


def mark_paths(work: Work, scale: Scale) -> dict[int, Path]:
    """Return the model files along the training of the largest, by the steps that they have seen.

    Made of the resume files that the training has kept, which are removed afterwards.
    """
    end = largest_path(work, scale)
    steps_a_mark = _steps(max(scale.bytes.items())[1]) // scale.marks
    found: dict[int, Path] = {}
    for mark in scale.transferred:
        if mark == scale.marks:
            continue
        step = mark * steps_a_mark
        path = end.with_name(f"{end.stem}_at_{step:09}.pt")
        if not path.exists():
            run = load_run(end.with_name(f"{end.stem}.resume-{step:09}.pt"))
            saved = load_model(end)
            saved.model.load_state_dict(run.model)
            at_step = {"steps": run.step, "bytes": run.step * STREAMS * WINDOW}
            save_model(path, replace(saved, training=saved.training | at_step))
        found[step] = path
    for kept in end.parent.glob(f"{end.stem}.resume-*.pt"):
        kept.unlink()
    return found | {_steps(max(scale.bytes.items())[1]): end}


def num_parameters(config: ModelConfig) -> int:
    """Count a language model's parameters."""
    return sum(parameter.numel() for parameter in LanguageModel(config).parameters())


def equal_lstm(config: ModelConfig) -> ModelConfig:
    """Return an LSTM with the number of parameters nearest to those of `config`, alike in all but cell and units."""
    wanted = num_parameters(config)
    low, high = 1, 2 * config.nhid
    while high - low > 1:  # parameters grow with the units: the one below and the one above
        middle = (low + high) // 2
        low, high = (middle, high) if num_parameters(_lstm(config, middle)) <= wanted else (low, middle)
    return min((_lstm(config, units) for units in (low, high)), key=lambda one: abs(num_parameters(one) - wanted))


def _lstm(config: ModelConfig, units: int) -> ModelConfig:
    cell: Cell = "LSTM"
    return replace(config, model=cell, nhid=units)


def _steps(num_bytes: int) -> int:
    return num_bytes // (STREAMS * WINDOW)


def _stage(work: Work, scale: Scale, shards: str, model: ModelConfig, *, num_bytes: int, device: str) -> dict[str, Any]:
    """Train a model, or return the record of the one that is there."""
    num_steps = _steps(num_bytes)
    save = model_path(work, model, num_bytes)
    is_largest = save == largest_path(work, scale)
    config = TrainConfig(
        data=shards,
        model=model,
        lr=LR,
        warmup=scale.warmup,
        clip=CLIP,
        epochs=EVERY_ONE,  # the steps end the run
        max_steps=num_steps,
        batch_size=STREAMS,
        seq_length=WINDOW,
        save=save,
        save_every=str(max(1, num_steps // scale.marks)) if is_largest else "3m",
        keep=EVERY_ONE if is_largest else 1,
        eval_every=max(1, num_steps // scale.evaluations),
        log_interval=max(1, num_steps // 100),
        seed=scale.seed,
        precision=scale.model_precision,
        device=device,
    )
    settings = {
        "model": model.to_dict(),
        "precision": scale.model_precision,
        "bytes": num_bytes,
        "streams": STREAMS,
        "window": WINDOW,
        "lr": LR,
        "warmup": scale.warmup,
        "clip": CLIP,
        "split": SPLIT,
        "evaluations": scale.evaluations,
        "marks": scale.marks if is_largest else None,
        "seed": scale.seed,
        "split_seed": SPLIT_SEED,
    }
    return work.result(f"train_{save.stem}", settings, lambda: _train(config, work))


def _train(config: TrainConfig, work: Work) -> dict[str, Any]:
    """Train to the end; return the record, curves included."""
    report = loop.train(config, announce=lambda line: work.announce(f"  {line}"))
    log = read_lines(log_path(config.save))
    steps = [line for line in log if "learning_rate" in line]
    bytes_a_step = config.batch_size * config.seq_length
    return {
        "cell": config.model.model,
        "nhid": config.model.nhid,
        "parameters": num_parameters(config.model),
        "steps": report.steps,
        "bytes": report.bytes,
        "epochs": report.epochs,
        "seconds": report.seconds,
        "valid_bits_per_byte": report.valid_bits_per_byte,
        "test_bits_per_byte": report.test_bits_per_byte,
        "training": [
            {"bytes": line["bytes"], "seconds": line["seconds"], "bits_per_byte": line["bits_per_byte"]}
            for line in steps
        ],
        "valid": [
            {
                "bytes": line["step"] * bytes_a_step,
                "seconds": line["seconds"],
                "bits_per_byte": line["valid_bits_per_byte"],
            }
            for line in log
            if "valid_bits_per_byte" in line
        ],
    }
