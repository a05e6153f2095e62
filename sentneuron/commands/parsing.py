"""Option values that are written as one word and mean several numbers."""

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
