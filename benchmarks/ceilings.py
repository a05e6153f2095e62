"""What a machine can do at most, measured in the run that is held against it: dense products and copies of memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from bare_step import Shape


@dataclass(frozen=True)
class Ceiling:
    """Something to time, and the work in one run of it."""

    run: Callable[[], Any]
    amount: float
    """Floating-point operations, or bytes read and written."""


def square_product(size: int, *, dtype: torch.dtype, device: str) -> Ceiling:
    """A square product of random numbers; a matrix of zeros runs faster than any real one."""
    one, two = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(one)
    return Ceiling(lambda: torch.mm(one, two, out=out), 2 * size**3)


def step_products(shape: Shape) -> Ceiling:
    """The two products of a step forward and the two of a step back, at the step's own sizes: M is the streams."""
    size, streams = shape.nhid, shape.num_streams

    def random(*sizes: int) -> torch.Tensor:
        return torch.randn(*sizes, device=shape.device).to(shape.dtype)

    h, dz = random(streams, size), random(streams, 4 * size)
    weight_mhh, weight_hh = random(size, size), random(4 * size, size)
    narrow, wide = torch.empty_like(h), torch.empty_like(dz)

    def run() -> None:
        torch.mm(h, weight_mhh.t(), out=narrow)
        torch.mm(h, weight_hh.t(), out=wide)
        torch.mm(dz, weight_hh, out=narrow)
        torch.mm(h, weight_mhh, out=narrow)

    return Ceiling(run, 2 * streams * 10 * size**2)


def weight_products(shape: Shape, *, num_steps: int) -> Ceiling:
    """The two weight gradients of `num_steps` steps at once."""
    size, rows = shape.nhid, shape.num_streams * num_steps
    h, dz = (torch.randn(rows, width, device=shape.device).to(shape.dtype) for width in (size, 4 * size))
    narrow, wide = (torch.empty(width, size, device=shape.device, dtype=shape.dtype) for width in (size, 4 * size))

    def run() -> None:
        torch.mm(dz.t(), h, out=wide)
        torch.mm(h.t(), h, out=narrow)

    return Ceiling(run, 2 * rows * 5 * size**2)


def memory_copy(num_bytes: int, *, device: str) -> Ceiling:
    """A copy of a buffer many times the size of any cache; bytes read and bytes written both count."""
    source = torch.randint(0, 256, (num_bytes,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Ceiling(lambda: target.copy_(source), 2 * num_bytes)
