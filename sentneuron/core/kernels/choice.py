"""The one place where a kernel is chosen."""

import logging
from collections.abc import Callable

from torch import Tensor

from sentneuron.core.errors import UsageError
from sentneuron.core.kernels import mlstm_reference, mlstm_sequence

log = logging.getLogger(__name__)

Kernel = Callable[..., tuple[Tensor, Tensor, Tensor]]
KERNELS: dict[str, Kernel] = {"reference": mlstm_reference.mlstm, "sequence": mlstm_sequence.mlstm}


def choose_kernel(name: str) -> Kernel:
    """Return the mLSTM kernel called `name`; `auto` takes the fastest that runs here.

    Raises:
        UsageError: no kernel has that name.
    """
    if name == "auto":
        log.info("kernel sequence: one autograd function a window, on any device")
        return KERNELS["sequence"]
    if name not in KERNELS:
        raise UsageError(f"--kernel {name}", hint=f"give auto, {' or '.join(KERNELS)}")
    log.info("kernel %s: as asked", name)
    return KERNELS[name]
