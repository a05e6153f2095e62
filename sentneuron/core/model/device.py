"""Where a model runs."""

import torch

from sentneuron.core.errors import UsageError


def pick_device(name: str) -> torch.device:
    """Return the device called `name`: auto (the GPU where there is one), cpu, cuda or cuda:N.

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()) or (kind == "cpu" and number):
        raise UsageError(f"--device {name}", hint="give auto, cpu, cuda or cuda:N")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {name}: torch {torch.__version__} sees no CUDA device", hint="use --device cpu")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: there are {torch.cuda.device_count()} GPUs", hint="count from cuda:0")
    return torch.device(name)
