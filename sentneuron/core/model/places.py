"""Where the numbers of a file's tensors lie, before any of them is read; and values in which they stand for them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from sentneuron.core.errors import DataError
from sentneuron.core.model.stored_zip import FOREIGN

DTYPES = {
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch DoubleStorage": torch.float64,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ByteStorage": torch.uint8,
}
"""The kinds of storage that are read."""
MAX_DEPTH = 32
MAX_EXPANDED = 1 << 19
"""Values and letters, where what is referred to twice counts twice."""


@dataclass(frozen=True)
class StoragePlace:
    """A storage as the pickle declares it: `key` names the entry `data/<key>` of a zip."""

    key: str
    dtype: torch.dtype
    count: int

    @property
    def num_bytes(self) -> int:
        """Bytes that it must have in the file."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class TensorPlace:
    """A tensor: `size` numbers, `stride` numbers apart, from `offset` on in a storage and inside of it, each once."""

    storage: StoragePlace
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def count(self) -> int:
        """Its numbers."""
        return math.prod(self.size)

    @property
    def num_bytes(self) -> int:
        """Bytes of its numbers."""
        return self.count * self.storage.dtype.itemsize

    @property
    def is_contiguous(self) -> bool:
        """Rows lie one behind the other; where there is one number only, or none, its stride says nothing."""
        needed = [math.prod(self.size[axis + 1 :]) for axis in range(len(self.size))]
        is_free = [length == 1 or 0 in self.size for length in self.size]
        return all(free or step == need for free, step, need in zip(is_free, self.stride, needed, strict=True))


@dataclass(eq=False)
class Namespace:
    """An `argparse.Namespace`, whose values are filled in after it is made."""

    values: dict[str, Any] = field(default_factory=dict)


def expand(value: Any, fill: Callable[[TensorPlace], Any], *, name: str) -> Any:
    """Return a copy of parsed values that shares nothing, with `fill` of each tensor in its place, and plain dicts.

    Raises:
        DataError: too many values, counted as often as they are referred to, or nested too deeply.
    """
    budget = MAX_EXPANDED

    def copy(value: Any, depth: int) -> Any:
        nonlocal budget
        budget -= 1 + (len(value) if isinstance(value, str) else 0)
        if budget < 0 or depth > MAX_DEPTH:
            raise DataError(f"{name} is nested too deeply, or repeats itself", hint=FOREIGN)
        if isinstance(value, TensorPlace):
            return fill(value)
        if isinstance(value, Namespace):
            return copy(value.values, depth + 1)
        if isinstance(value, dict):
            return {copy(key, depth + 1): copy(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(copy(item, depth + 1) for item in value)
        if value is None or isinstance(value, str | int | float):
            return value
        raise DataError(f"{name} holds a {type(value).__name__} where a value belongs", hint=FOREIGN)

    return copy(value, 0)
