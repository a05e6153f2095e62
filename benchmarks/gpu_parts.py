"""The parts of the GPU suite and their sizes: in full, and tiny for a run on a CPU."""

from dataclasses import dataclass
from functools import partial

import gpu_checks
import gpu_speed
import torch
from bare_step import Shape
from suite import Part


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the suite runs."""

    device: str
    pair_shapes: tuple[tuple[int, int, int], ...]
    """H, B, T of the pair check; odd ones, and one that fills the device."""
    steps: dict[str, Shape]
    """Training steps by the name of their part."""
    same: Shape
    """Of the checks for reproducibility."""
    compiled: Shape
    trained: tuple[Shape, ...]
    """Of the trainer's runs in half precision."""
    rounds: int
    block: int
    """Steps before trainer and bare step take turns."""
    learning: int
    """Steps of a run in each precision."""
    unrolled: int
    """Steps that torch.compile gets at a time; 0 leaves it out."""


def _shapes(device: str, dtype: torch.dtype, sizes: dict[str, tuple[int, int, int]]) -> dict[str, Shape]:
    return {
        name: Shape(nhid=nhid, num_streams=num_streams, seq_length=seq_length, dtype=dtype, device=device)
        for name, (nhid, num_streams, seq_length) in sizes.items()
    }


STEPS = {"4096": (4096, 256, 256), "1024": (1024, 256, 256), "8192": (8192, 256, 256)}


def full_sizes() -> Sizes:
    """Return what fits an H200 and ten minutes."""
    steps = _shapes("cuda", torch.float16, STEPS)
    return Sizes(
        device="cuda",
        pair_shapes=((37, 3, 17), (63, 1, 1), (500, 1, 17), (64, 5, 33), (1024, 32, 64)),
        steps=steps,
        same=steps["1024"],
        compiled=steps["1024"],
        trained=(steps["4096"], steps["1024"], steps["8192"]),
        rounds=4,
        block=10,
        learning=200,
        unrolled=8,
    )


def tiny_sizes() -> Sizes:
    """Return the same control flow in seconds, on a CPU."""
    steps = _shapes("cpu", torch.float32, {"1024": (8, 1, 2)})
    return Sizes(
        device="cpu",
        pair_shapes=((5, 2, 2),),
        steps=steps,
        same=steps["1024"],
        compiled=steps["1024"],
        trained=(steps["1024"],),
        rounds=2,
        block=2,
        learning=20,
        unrolled=0,
    )


def make_parts(*, dry_run: bool) -> list[Part]:
    """Return the parts, the one that describes the machine first, then by what matters most."""
    sizes = tiny_sizes() if dry_run else full_sizes()
    rounds = sizes.rounds
    steps = {
        name: Part(f"step-{name}", partial(gpu_speed.steps, shape, rounds=rounds), 120)
        for name, shape in sizes.steps.items()
    }
    last = steps.pop("8192", None)  # the longest
    return [
        Part("machine", partial(gpu_checks.describe, sizes.device), 60),
        Part("pairs", partial(gpu_checks.pairs, sizes.pair_shapes, device=sizes.device), 120),
        *steps.values(),
        Part("same-again", partial(gpu_checks.same_again, sizes.same), 60),
        Part("resume", partial(gpu_checks.resume, sizes.same), 60),
        Part("precisions", partial(gpu_checks.converges, sizes.same, num_steps=sizes.learning), 60),
        Part("trainer", partial(gpu_speed.trainer, sizes.trained, rounds=rounds, block=sizes.block), 150),
        *([last] if last is not None else []),
        Part("compile", partial(gpu_speed.compile_steps, sizes.compiled, rounds=rounds, unrolled=sizes.unrolled), 120),
    ]
