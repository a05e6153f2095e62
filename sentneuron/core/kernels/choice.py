"""The one place where a kernel is chosen."""

import importlib
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from sentneuron.core.errors import UsageError
from sentneuron.core.kernels import mlstm_reference, mlstm_sequence

log = logging.getLogger(__name__)

Kernel = Callable[..., tuple[Tensor, Tensor, Tensor]]
KERNELS: dict[str, Kernel] = {"reference": mlstm_reference.mlstm, "sequence": mlstm_sequence.mlstm}
"""Kernels of torch's own operations, which run on any device."""


def choose_kernel(name: str) -> Kernel:
    """Return the mLSTM kernel called `name`; `auto` takes the fastest on the device of the tensors it is called with.

    Raises:
        UsageError: no kernel has that name; where the kernel is called: `fused` cannot run on that device.
    """
    if name == "auto":
        return _auto
    if name == "fused":
        return _fused
    if name not in KERNELS:
        raise UsageError(f"--kernel {name}", hint=f"give auto, {', '.join(KERNELS)} or fused")
    log.info("kernel %s: as asked", name)
    return KERNELS[name]


def require_kernel(name: str, device: torch.device) -> None:
    """Check that a kernel runs on a device, before work starts.

    Raises:
        UsageError: `fused` cannot run there; the others run anywhere.
    """
    if name == "fused":
        _fused_on(device)


def _auto(*args: Any, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _fastest_on(args[0].device)(*args, **options)


def _fused(*args: Any, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _fused_on(args[0].device)(*args, **options)


@cache  # one line in the log a device
def _fastest_on(device: torch.device) -> Kernel:
    if device.type != "cuda":
        log.info("kernel sequence: one autograd function a window, the fastest on %s", device)
        return KERNELS["sequence"]
    try:
        kernel = _load_fused()
        _try(kernel, device)
    # Whatever Triton raises, from a missing C compiler to a GPU too old for it, the reason is told.
    except Exception as error:
        log.warning("kernel sequence: fused does not run on %s: %s", device, error)
        return KERNELS["sequence"]
    log.info("kernel fused: Triton between the library's products, on %s", device)
    return kernel


@cache
def _fused_on(device: torch.device) -> Kernel:
    try:
        kernel = _load_fused()
    except ImportError as error:
        raise UsageError(
            f"--kernel fused needs Triton, which cannot be imported: {error}",
            hint="install triton, or give --kernel sequence",
        ) from error
    if device.type != "cuda" and not _is_interpreted():
        raise UsageError(
            f"--kernel fused runs on a GPU, not on {device}",
            hint="give --kernel sequence, or a --device that is a GPU",
        )
    log.info("kernel fused: as asked, on %s", device)
    return kernel


def _load_fused() -> Kernel:
    """Import Triton, which is optional, and the kernels written in it; raises ImportError."""
    importlib.import_module("triton")
    return importlib.import_module("sentneuron.core.kernels.mlstm_fused").mlstm


def _is_interpreted() -> bool:
    return importlib.import_module("sentneuron.core.kernels.pointwise_triton").IS_INTERPRETED


def _try(kernel: Kernel, device: torch.device) -> None:
    """Run one step of one unit, which compiles what a launch needs."""
    ids, unit = torch.zeros(1, 1, dtype=torch.long, device=device), torch.zeros(1, 1, device=device)
    kernel(ids, unit, unit.expand(1, 4), unit, unit.expand(4, 1), unit, unit)
