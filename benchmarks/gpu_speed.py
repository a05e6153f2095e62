"""Parts of the GPU suite that are figures: training steps against the ceilings, the trainer, torch.compile."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import train_step
from bare_step import PRECISIONS, Kernel, MlstmStep, Shape, mlstm_trainee
from suite import NotBuiltError, Row

ASKED = {1024: 4.0e6, 4096: 0.9e6, 8192: 0.25e6}
"""Bytes a second that the trainer is to reach on one H200, by H."""


class _Notes(logging.Handler):
    """Collects what is logged: which kernel was chosen, and whether a window was captured or why not."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def steps(shape: Shape, *, rounds: int) -> Iterator[Row]:
    """Time a training step with each kernel, torch's LSTM at equal work, and the ceilings, in turn.

    Raises:
        PairError: a kernel differs from the reference.
        RuntimeError: the fused kernel does not run here; the others were timed.
    """
    notes = _Notes()
    logging.getLogger("sentneuron").addHandler(notes)
    logging.getLogger("sentneuron").setLevel(logging.INFO)
    kernels = train_step.find_kernels(shape.device)
    if shape.device == "cuda":
        for name in kernels.keys() - {"reference"}:
            yield from _peak_memory(shape, name, kernels[name])
    values = train_step.measure(shape, kernels, rounds=rounds, recompute=True)
    yield {"what": "kernels and capture", "said": notes.lines}
    yield from _rows(values, ASKED.get(shape.nhid))
    if "fused" not in kernels:
        raise RuntimeError("the fused kernel does not run here; the others were timed")


def compile_steps(shape: Shape, *, rounds: int, unrolled: int) -> Iterator[Row]:
    """Time the reference with some unrolled steps under torch.compile at a time, beside the others.

    Raises:
        PairError: a kernel differs from the reference.
        NotBuiltError: left out.
    """
    if not unrolled:
        raise NotBuiltError("left out: compilation takes minutes on a CPU")
    kernels = train_step.find_kernels(shape.device)
    kernels["torch.compile"] = train_step.compiled(unrolled)
    yield from _rows(train_step.measure(shape, kernels, rounds=rounds, with_rest=False), None)


def trainer(shapes: tuple[Shape, ...], *, rounds: int, block: int) -> Iterator[Row]:
    """Train on made-up reviews, taking turns with the bare step: first in fp32, then in the shapes' own type.

    Raises:
        NotBuiltError: a package that the trainer needs is not installed.
    """
    try:
        import trainer_rate
    except ModuleNotFoundError as error:
        raise NotBuiltError(f"the trainer needs the package {error.name}, which is not installed") from error
    small = min(shapes, key=lambda shape: shape.nhid)
    runs = [Shape(**{**vars(small), "dtype": torch.float32}), *(shape for shape in shapes if shape.dtype.itemsize == 2)]
    for shape in runs:
        settings = {"precision": PRECISIONS[shape.dtype]}
        with tempfile.TemporaryDirectory() as folder:
            values = trainer_rate.measure(
                shape, kernel="auto", folder=Path(folder), rounds=rounds, block=block, settings=settings
            )
        rates = {name: rate["median"] for name, rate in values["bytes_per_second"].items()}
        row: Row = {
            "what": f"trainer, {shape.name}",
            **rates,
            "share_of_bare": values["trainer_share_of_bare"]["median"],
        }
        if shape.dtype.itemsize == 2 and shape.nhid in ASKED:
            row["asked"] = ASKED[shape.nhid]
        yield {**row, "bits_per_byte": values["bits_per_byte"]}


def _peak_memory(shape: Shape, name: str, kernel: Kernel) -> Iterator[Row]:
    """Yield the most memory that a step holds, with recomputation and without."""
    for recompute in (False, True):
        step = MlstmStep(mlstm_trainee(shape), shape, kernel, recompute=recompute)
        step()
        torch.cuda.reset_peak_memory_stats()
        step()
        found = torch.cuda.max_memory_allocated() / 2**30
        del step
        torch.cuda.empty_cache()
        yield {"what": f"peak memory of a step, {name}{', recompute' * recompute}", "gib": found}


def _rows(values: dict[str, Any], asked: float | None) -> Iterator[Row]:
    """Turn `train_step.measure`'s figures into rows."""
    for name, rate in values["flops_or_bytes_per_second"].items():
        yield {"what": name, **rate}
    for name, rate in values["bytes_per_second"].items():
        share = values["share_of_square_product"].get(name, {})
        row: Row = {"what": name, **rate, "share_of_square_product": share.get("median")}
        yield row if asked is None else {**row, "asked_of_trainer": asked}
    for name, found in values["ratios"].items():
        yield {"what": name, **found}
