"""Option values that are written as one word and mean numbers, or one of several things."""

from sentneuron.core.config import NeuronName, Precision
from sentneuron.core.errors import UsageError


def parse_counts(option: str, value: str) -> tuple[int, ...]:
    """Read whole numbers parted by commas, as in `1000,1,1`.

    Raises:
        UsageError: a part is no whole number.
    """
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise UsageError(f"{option} is {value!r}", hint="give whole numbers parted by commas, as in 1000,1,1") from None


def parse_neuron(value: str) -> NeuronName:
    """Read a neuron's number, or `all`.

    Raises:
        UsageError: it is neither.
    """
    if value == "all":
        return "all"
    try:
        return int(value)
    except ValueError:
        raise UsageError(f"--neuron is {value!r}", hint="give a neuron's number, or all") from None


def parse_precision(precision: Precision | None = None, *, fp16: bool, bf16: bool, default: Precision) -> Precision:
    """Return the precision that `--precision`, `--fp16` and `--bf16` ask for together; `default` where none was given.

    Raises:
        UsageError: they contradict one another.
    """
    asked: dict[str, Precision] = {} if precision is None else {f"--precision {precision}": precision}
    if fp16:
        asked["--fp16"] = "fp16"
    if bf16:
        asked["--bf16"] = "bf16"
    if len(set(asked.values())) > 1:
        raise UsageError(f"{' and '.join(asked)} contradict each other", hint="give one of them")
    return next(iter(asked.values()), default)
