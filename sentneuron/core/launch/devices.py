"""Which devices the processes of this machine work on.

torch counts the GPUs that CUDA_VISIBLE_DEVICES leaves visible, from 0; so do the numbers here.
"""

import re
from collections.abc import Callable

from sentneuron.core.errors import UsageError
from sentneuron.core.launch.place import Place


def count_gpus() -> int:
    """Return how many GPUs torch sees."""
    import torch  # not needed where CPU processes are started

    return torch.cuda.device_count()


def parse_gpus(gpus: str) -> int | list[int] | None:
    """Read `--gpus`: return how many (8), which ones (6,7), or None for all.

    Raises:
        UsageError: it is none of these, or names a GPU twice.
    """
    if gpus == "all":
        return None
    if re.fullmatch(r"[0-9]{1,4}", gpus) and int(gpus):
        return int(gpus)
    if not re.fullmatch(r"[0-9]{1,4}(,[0-9]{1,4})+", gpus):
        raise UsageError(f"--gpus {gpus}", hint="give how many (8), all, or which ones (6,7)")
    numbers = [int(number) for number in gpus.split(",")]
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"--gpus {gpus} names a GPU twice", hint="name each one once")
    return numbers


def local_devices(gpus: str, *, device: str, count: Callable[[], int] = count_gpus) -> list[str]:
    """Return the device of each process that `--gpus` and `--device` ask for, such as ["cuda:6", "cuda:7"].

    Raises:
        UsageError: this machine does not have them, or the two options contradict each other.
    """
    wanted = parse_gpus(gpus)
    if device == "cpu":
        if not isinstance(wanted, int):
            raise UsageError(f"--gpus {gpus} with --device cpu", hint="say how many processes: --gpus 2")
        return ["cpu"] * wanted
    if device not in ("auto", "cuda"):
        raise UsageError(f"--gpus {gpus} with --device {device}", hint="leave one of them out, or give --device cpu")
    has = count()
    numbers = wanted if isinstance(wanted, list) else list(range(has if wanted is None else wanted))
    if not numbers or max(numbers) >= has:
        raise _too_few(gpus, has)
    return [f"cuda:{number}" for number in numbers]


def device_of(
    place: Place, *, gpus: str | None, device: str, is_bound: bool, count: Callable[[], int] = count_gpus
) -> str:
    """Return the device of a process that something else has started.

    `is_bound` says that whoever started it may show each process a GPU of its own, as SLURM does.

    Raises:
        UsageError: there are not as many processes as `--gpus` says, or fewer GPUs than processes.
    """
    wanted = None if gpus is None else parse_gpus(gpus)
    number = len(wanted) if isinstance(wanted, list) else wanted
    if number is not None and number != place.local_size:
        raise UsageError(
            f"--gpus {gpus}, but {place.local_size} processes were started on this machine",
            hint="leave --gpus out where something else starts the processes, or make both equal",
        )
    if device == "cpu":
        return "cpu"
    if device not in ("auto", "cuda") and place.local_size > 1:
        raise UsageError(
            f"--device {device} for {place.local_size} processes on this machine", hint="leave --device out"
        )
    if device not in ("auto", "cuda"):
        return device
    has = count()
    if has == 0 and device == "auto" and gpus is None:
        return "cpu"
    if is_bound and has == 1:
        return "cuda:0"
    chosen = wanted if isinstance(wanted, list) else range(place.local_size)
    if max(chosen) >= has:
        raise (
            _too_few(gpus, has)
            if gpus
            else UsageError(
                f"{place.local_size} processes were started on this machine, which has {_gpus(has)}",
                hint="start one process a GPU, or give --device cpu",
            )
        )
    return f"cuda:{chosen[place.local_rank]}"


def _too_few(gpus: str, has: int) -> UsageError:
    return UsageError(f"--gpus {gpus}: this machine has {_gpus(has)}", hint="give fewer, or --device cpu")


def _gpus(number: int) -> str:
    return "1 GPU" if number == 1 else f"{number} GPUs"
