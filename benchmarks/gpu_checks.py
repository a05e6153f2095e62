"""Parts of the GPU suite that are right or wrong: kernels against the reference, the same run twice, a resumed run."""

import importlib.metadata
import math
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from bare_step import MlstmStep, Shape, mlstm_trainee
from measuring import machine
from pairs import Case, PairError, check_kernel
from suite import NoGpuError, NotBuiltError, Row

from sentneuron.core.config import ModelConfig, TrainConfig
from sentneuron.core.errors import StoppedError, UsageError
from sentneuron.core.kernels.choice import choose_kernel, require_kernel

if TYPE_CHECKING:
    from sentneuron.core.model.checkpoint import SavedModel

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
SAME_STEPS = 10
CAPTURED_TOLERANCE = 1e-3
"""Largest relative difference of a loss."""
RESUME_STEPS, STOP_STEP = 20, 9
PRECISION_TOLERANCE = 0.01


class CheckError(Exception):
    """Two things that must be equal are not."""


def describe(device: str) -> Iterator[Row]:
    """Say where all of it runs.

    Raises:
        NoGpuError: there is no GPU, and one is asked for.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise NoGpuError(f"torch {torch.__version__} sees no CUDA device")
    row: Row = {"what": "machine", **machine(), "cuda": torch.version.cuda, "triton": _version("triton")}
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        row["capability"] = f"{properties.major}.{properties.minor}"
        row["multiprocessors"] = properties.multi_processor_count
        row["gpu_gib"] = properties.total_memory / 2**30
    yield row


def pairs(shapes: tuple[tuple[int, int, int], ...], *, device: str) -> Iterator[Row]:
    """Hold every kernel against the reference in float64, in three types, with resets, recomputed or not, on memory
    filled with NaN.

    Raises:
        CheckError: one differs, or does not run here; the others were compared.
    """
    missing, wrong = [], []
    for name in ("fused", "sequence", "reference"):
        kernel = choose_kernel(name)
        try:
            require_kernel(name, torch.device(device))
        except UsageError as error:
            missing.append(error.message)
            continue
        for dtype in DTYPES:
            for recompute in (False, True):
                cases = [
                    Case(
                        size=size,
                        num_streams=streams,
                        num_steps=steps,
                        dtype=dtype,
                        device=device,
                        recompute=recompute,
                        with_resets=with_resets,
                    )
                    for size, streams, steps in shapes
                    for with_resets in (True, False)
                    if with_resets or (size, streams, steps) == shapes[0]
                ]
                errors: list[float] = []
                failures: list[str] = []
                for case in cases:
                    try:
                        errors.append(check_kernel(kernel, case))
                    except (PairError, RuntimeError, TypeError) as error:
                        failures.append(f"{case}: {error}")
                kind = str(dtype).removeprefix("torch.")
                row = {"what": f"{name}, {kind}{', recompute' * recompute}", "cases": len(cases)}
                yield {**row, "worst_error": max(errors, default=None), "failures": failures}
                wrong += [f"{name}, {failure}" for failure in failures]
    if wrong:
        raise CheckError(f"{len(wrong)} comparisons failed; the first: {wrong[0]}")
    if missing:
        raise CheckError("; ".join(missing))


def same_again(shape: Shape) -> Iterator[Row]:
    """Train twice from one seed, plainly and captured in a graph: equal to the bit each, and to rounding together.

    Raises:
        CheckError: they are not.
    """
    losses = [_losses(shape, captured=captured) for captured in (False, False, True, True)]
    plain, plain_again, captured, captured_again = losses
    worst = max(abs(one - two) / one for one, two in zip(plain, captured, strict=True))
    rows: list[Row] = [
        {"what": f"the same {SAME_STEPS} steps twice, losses equal to the bit", "ok": plain == plain_again},
        {"what": "the same captured", "ok": captured == captured_again},
        {"what": "captured beside not captured", "ok": worst <= CAPTURED_TOLERANCE, "worst_difference": worst},
    ]
    yield from rows
    if not all(row["ok"] for row in rows) or not all(map(math.isfinite, plain)):
        raise CheckError(f"losses of runs from one seed, two plain and two captured: {losses}")


def resume(shape: Shape) -> Iterator[Row]:
    """Stop a run of the trainer and go on, in fp32 and in fp16: weights must equal the uninterrupted run's to the bit.

    Raises:
        CheckError: they do not.
        NotBuiltError: a package that the trainer needs is not installed.
    """
    loop, load_model = _trainer_modules()
    worst: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        config = _run(shape, Path(name), num_steps=RESUME_STEPS)
        for precision in ("fp32", "fp16"):
            whole = replace(config, precision=precision, save=Path(name) / f"whole_{precision}.pt")
            stopped = replace(whole, save=Path(name) / f"stopped_{precision}.pt")
            loop.train(whole)

            def stop(done: int, total: int | None = None, note: str = "") -> None:
                if done == STOP_STEP * shape.num_bytes:
                    os.kill(os.getpid(), signal.SIGTERM)

            try:
                loop.train(stopped, progress=stop)
                raise CheckError("the run did not stop when it was told to")
            except StoppedError:
                loop.train(stopped)
            found, expected = (load_model(path).model.state_dict() for path in (stopped.save, whole.save))
            worst[precision] = max((found[name] - expected[name]).abs().max().item() for name in expected)
            what = f"stopped on the way of {RESUME_STEPS} steps in {precision} and resumed, equal to the bit"
            yield {"what": what, "ok": worst[precision] == 0}
    if any(worst.values()):
        raise CheckError(f"weights differ from the uninterrupted run's by up to {worst}")


def converges(shape: Shape, *, num_steps: int) -> Iterator[Row]:
    """Train on the same made-up text in each precision: half precision must learn what fp32 learns, within 1 %.

    Raises:
        CheckError: it does not.
        NotBuiltError: a package that the trainer needs is not installed.
    """
    loop, _ = _trainer_modules()
    bits: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        config = _run(shape, Path(name), num_steps=num_steps)
        for precision in ("fp32", "bf16", "fp16"):
            said: list[str] = []
            run = replace(config, precision=precision, save=Path(name) / f"{precision}.pt", log_interval=num_steps // 2)
            report = loop.train(run, announce=said.append)
            bits[precision] = report.bits_per_byte or math.nan
            skipped = sum("skipped" in line for line in said)
            yield {"what": f"{num_steps} steps in {precision}", "bits_per_byte": bits[precision], "skipped": skipped}
    if not all(abs(value / bits["fp32"] - 1) <= PRECISION_TOLERANCE for value in bits.values()):
        raise CheckError(f"bits per byte differ by more than {PRECISION_TOLERANCE:.0%}: {bits}")


def _run(shape: Shape, folder: Path, *, num_steps: int) -> TrainConfig:
    """Return a short run of the trainer on made-up reviews, which it makes."""
    from trainer_rate import make_shards

    return TrainConfig(
        data=str(make_shards(folder, num_bytes=(num_steps + 1) * shape.num_bytes)),
        model=ModelConfig(nhid=shape.nhid),
        batch_size=shape.num_streams,
        seq_length=shape.seq_length,
        max_steps=num_steps,
        device=shape.device,
    )


def _trainer_modules() -> tuple[ModuleType, Callable[..., "SavedModel"]]:
    """Import what trains and what reads a model file.

    Raises:
        NotBuiltError: a package that they need is not installed.
    """
    try:
        from sentneuron.core.model.checkpoint import load_model
        from sentneuron.core.training import loop
    except ModuleNotFoundError as error:
        raise NotBuiltError(f"the trainer needs the package {error.name}, which is not installed") from error
    return loop, load_model


def _losses(shape: Shape, *, captured: bool) -> list[float]:
    step = MlstmStep(mlstm_trainee(shape), shape, choose_kernel("auto"), captured=captured)
    losses = []
    for _ in range(SAME_STEPS):
        losses.append(step.backward())
        step.trainee.optimizer.step(losses[-1], learning_rate=1e-4)
    return [loss.item() for loss in losses]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
