"""The pair check that comes before any timing: outputs and all gradients against the reference.

Kernels alone are held against the reference in float64 on the same inputs, on memory filled with NaN; whole steps
against the step of the reference in their own type. Errors are norms: |found - expected| / |expected|.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from bare_step import Kernel, Step
from torch import Tensor

from sentneuron.core.kernels import mlstm_reference

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}
"""Largest error of an output or gradient of a kernel over some tens of steps: 20, 3 and 3 times that of `sequence`."""
STEP_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.float16: 3e-2, torch.bfloat16: 1e-1}
"""Largest error of a parameter's gradient between two steps in the same type, over hundreds of steps."""

NAMES = ("hidden", "h", "c", "table_m", "table_x", "weight_mhh", "weight_hh", "first h", "first c")
"""Outputs, then gradients, as `kernel_errors` returns them."""


class PairError(Exception):
    """A kernel does not compute what the reference computes."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Arguments of one comparison."""

    size: int
    num_streams: int
    num_steps: int
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    with_resets: bool = True
    recompute: bool = False
    num_rows: int = 256

    def __str__(self) -> str:
        kind = str(self.dtype).removeprefix("torch.")
        marks = ", resets" * self.with_resets + ", recompute" * self.recompute
        return f"H={self.size} B={self.num_streams} T={self.num_steps} {kind}{marks}"


def check_kernel(kernel: Kernel, case: Case) -> float:
    """Return the largest error of a kernel.

    Raises:
        PairError: it is above the tolerance, or not a number; names what.
    """
    errors = kernel_errors(kernel, case)
    return _worst(errors, TOLERANCE[case.dtype], str(case))


def check_step(reference: Step, other: Step) -> float:
    """Return the largest error of the loss and of the gradients, over a second window, which starts from a state.

    Both steps share one model, which is left as it was, but for its gradients.

    Raises:
        PairError: as `check_kernel`.
    """
    names = [name for name, _ in reference.trainee.model.named_parameters()]
    expected, found = _second_window(reference), _second_window(other)
    pairs = zip(["loss", *names], found, expected, strict=True)
    errors = {name: relative_error(one, two) for name, one, two in pairs}
    return _worst(errors, STEP_TOLERANCE[other.shape.dtype], other.shape.name)


def kernel_errors(kernel: Kernel, case: Case) -> dict[str, float]:
    """Return the error of each output and gradient, for a loss that weighs each output number differently."""
    inputs = make_inputs(case)
    resets = make_resets(case) if case.with_resets else None
    options = {"recompute": True} if case.recompute else {}
    exact = [inputs[0], *(part.detach().double().requires_grad_() for part in inputs[1:])]
    expected = run(mlstm_reference.mlstm, exact, resets)
    with poisoned_memory():
        found = run(lambda *arguments: kernel(*arguments, **options), inputs, resets)
    return {name: relative_error(one, two) for name, one, two in zip(NAMES, found, expected, strict=True)}


def make_inputs(case: Case) -> list[Tensor]:
    """Return random arguments of a kernel, leaves that ask for gradients but for `ids`; weights as trained ones are."""
    draw = torch.Generator().manual_seed(case.size * 1000 + case.num_steps)

    def leaf(*shape: int, scale: float = 1.0, dtype: torch.dtype = case.dtype) -> Tensor:
        values = torch.randn(*shape, generator=draw, dtype=torch.float64) * scale
        return values.to(case.device, dtype).requires_grad_()

    size, num_rows = case.size, case.num_rows
    ids = torch.randint(0, num_rows, (case.num_steps, case.num_streams), generator=draw).to(case.device)
    tables = leaf(num_rows, size), leaf(num_rows, 4 * size)
    weights = leaf(size, size, scale=size**-0.5), leaf(4 * size, size, scale=size**-0.5)
    cell_dtype = torch.promote_types(case.dtype, torch.float32)
    return [ids, *tables, *weights, leaf(case.num_streams, size), leaf(case.num_streams, size, dtype=cell_dtype)]


def make_resets(case: Case) -> Tensor:
    """Return a mask [T, B], true in an eighth of its places."""
    draw = torch.Generator().manual_seed(5)
    return (torch.rand(case.num_steps, case.num_streams, generator=draw) < 0.125).to(case.device)


def run(kernel: Callable[..., tuple[Tensor, ...]], inputs: list[Tensor], resets: Tensor | None) -> list[Tensor]:
    """Return outputs and gradients."""
    outputs = kernel(*inputs, resets)
    draw = torch.Generator().manual_seed(9)
    weights = [torch.randn(part.shape, generator=draw).to(part.device, part.dtype) for part in outputs]
    return [*(part.detach() for part in outputs), *torch.autograd.grad(outputs, inputs[1:], weights)]


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Return |found - expected| / |expected| in float64."""
    difference = (found.double() - expected.double()).norm()
    return (difference / expected.double().norm().clamp_min(1e-30)).item()


@contextmanager
def poisoned_memory() -> Iterator[None]:
    """Fill new memory with NaN, so that a value nothing wrote cannot pass."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def _second_window(step: Step) -> list[Tensor]:
    """Return the loss and a copy of the gradients of the second window after the zero state."""
    step.state = step.shape.state()
    step.backward()
    loss = step.backward()
    found = [parameter.grad for parameter in step.trainee.parameters]
    return [loss, *(grad.clone() for grad in found if grad is not None)]


def _worst(errors: dict[str, float], tolerance: float, where: str) -> float:
    bad = {name: error for name, error in errors.items() if not error <= tolerance}  # NaN is bad, too
    if bad:
        listed = ", ".join(f"{name} {error:.2g}" for name, error in bad.items())
        raise PairError(f"{where}: differs from the reference by {listed}; {tolerance:g} is allowed")
    return max(errors.values())
