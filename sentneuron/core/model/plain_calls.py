"""What a pickle may call, make or fill: functions and classes that stand for plain values, by their names.

Nothing is imported or called. Beside tensors these are the dicts of a module's state, an `argparse.Namespace`, which is
the dict of its values here, and the numpy numbers in one: NVIDIA's classifiers keep their arguments, and in them a
threshold for each class.

Source: `torch._utils`; `collections.OrderedDict.__reduce__` of Python 2 and 3; numpy's `scalar` and `dtype.__reduce__`.
"""

import struct
from dataclasses import dataclass
from typing import Any

from sentneuron.core.model.places import DTYPES, Namespace, StoragePlace, TensorPlace

NAMESPACE, ORDERED_DICT = "argparse Namespace", "collections OrderedDict"
PARAMETER, TENSOR, OLD_TENSOR = (f"torch._utils _rebuild_{what}" for what in ("parameter", "tensor_v2", "tensor"))
RECONSTRUCT = {"copy_reg _reconstructor", "copyreg _reconstructor"}
OBJECT = {"__builtin__ object", "builtins object"}
NUMPY_NUMBER = {"numpy.core.multiarray scalar", "numpy._core.multiarray scalar"}
NUMPY_KIND, ENCODE = "numpy dtype", "_codecs encode"
GLOBALS = {NAMESPACE, ORDERED_DICT, PARAMETER, TENSOR, OLD_TENSOR, NUMPY_KIND, ENCODE}
GLOBALS |= RECONSTRUCT | OBJECT | NUMPY_NUMBER | DTYPES.keys()
"""All that a pickle may name, as `module name`."""
NUMBERS = {"b1": "<?", "i2": "<h", "i4": "<i", "i8": "<q", "f2": "<e", "f4": "<f", "f8": "<d"}
"""numpy's names of the numbers that are read, and how their bytes are read."""
LONGEST_NUMBER = 8
MAX_DIMENSIONS = 8
LARGEST = 2**63


@dataclass(frozen=True)
class Global:
    """The name of a function or class, as `module name`."""

    name: str


@dataclass(frozen=True)
class NumberKind:
    """A numpy dtype, by its name in `NUMBERS`."""

    name: str


class UnknownCallError(Exception):
    """A call of anything that does not stand for a value."""


class PlaceError(Exception):
    """A tensor that does not lie in its storage, or more than once."""


def call(function: Any, arguments: Any) -> Any:
    """Return the value that a call stands for.

    Raises:
        UnknownCallError: it stands for none.
        PlaceError: it is a tensor that does not lie in its storage.
        ValueError, TypeError: its arguments do not fit.
    """
    name = function.name if isinstance(function, Global) else ""
    if name in (TENSOR, OLD_TENSOR):
        return _tensor(*arguments[:4], num_more=len(arguments) - 4, is_old=name == OLD_TENSOR)
    if name == PARAMETER and len(arguments) == 3 and isinstance(arguments[0], TensorPlace):
        return arguments[0]
    if name == ORDERED_DICT and arguments == ():
        return {}
    if name == ORDERED_DICT and len(arguments) == 1:
        return _of_pairs(*arguments)
    if (name == NAMESPACE and arguments == ()) or (name in RECONSTRUCT and _is_bare_namespace(*arguments)):
        return Namespace()
    if name == NUMPY_KIND and isinstance(arguments[0], str) and arguments[0] in NUMBERS:
        return NumberKind(arguments[0])
    if name == ENCODE:
        text, encoding = arguments
        if encoding == "latin1" and isinstance(text, str) and len(text) <= LONGEST_NUMBER:
            return text.encode("latin1")
    if name in NUMPY_NUMBER:
        return _number(*arguments)
    raise UnknownCallError


def fill(value: Any, state: Any) -> None:
    """Fill what was made with a state; that of an ordered dict is no part of its values (a module's `_metadata`).

    Raises:
        UnknownCallError: it takes no state.
        ValueError, TypeError: the state does not fit.
    """
    if isinstance(value, Namespace) and type(state) is dict:
        value.values = state
    elif isinstance(value, NumberKind) and type(state) is tuple:
        if state[1] not in ("<", "|"):
            raise ValueError("a number of another byte order")
    elif type(value) is not dict or type(state) is not dict:
        raise UnknownCallError


def with_items(target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    """Add items, keys and values in turns, to a dict, and return it.

    Raises:
        TypeError: a key is neither text nor a number; a tuple of tuples may take for ever to hash.
        ValueError: a value is missing.
    """
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str | int):
            raise TypeError("a key is neither text nor a number")
        target[key] = value
    return target


def is_size(value: Any) -> bool:
    """Tell whether a value is a number of things."""
    return type(value) is int and 0 <= value < LARGEST


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *, num_more: int, is_old: bool) -> TensorPlace:
    """Take what stands for a tensor; whether it had gradients, and hooks, follow its place since torch 0.4.

    Raises:
        TypeError: it does not.
        PlaceError: it does not lie in its storage, or two of its numbers are one there: it may be larger than that.
    """
    is_known = isinstance(storage, StoragePlace) and is_size(offset) and _are_sizes(size) and _are_sizes(stride)
    if not is_known or len(size) != len(stride) or num_more != (0 if is_old else 2):
        raise TypeError("no tensor")
    extent = _extent(size, stride)
    if extent is None or offset + extent > storage.count:
        raise PlaceError(f"a tensor does not lie in storage {storage.key}, each number once")
    return TensorPlace(storage, offset, size, stride)


def _extent(size: tuple[int, ...], stride: tuple[int, ...]) -> int | None:
    """Return how many numbers there are from the first to the last, both included; None where rows overlap."""
    if 0 in size:
        return 0
    extent = 1
    for step, length in sorted(zip(stride, size, strict=True)):
        if length > 1 and step < extent:
            return None
        extent += step * (length - 1)
    return extent


def _are_sizes(values: Any) -> bool:
    return type(values) is tuple and len(values) <= MAX_DIMENSIONS and all(is_size(value) for value in values)


def _of_pairs(pairs: Any) -> dict[Any, Any]:
    """Take an ordered dict as Python 2 writes it; its pairs are used up, so that none is copied many times.

    Raises:
        TypeError: it is none.
    """
    if type(pairs) is not list or not all(type(pair) is list and len(pair) == 2 for pair in pairs):
        raise TypeError("no pairs")
    found = with_items({}, [part for pair in pairs for part in pair])
    pairs.clear()
    return found


def _is_bare_namespace(kind: Any, base: Any, state: Any) -> bool:
    return kind == Global(NAMESPACE) and isinstance(base, Global) and base.name in OBJECT and state is None


def _number(kind: Any, content: Any) -> int | float | bool:
    """Take what stands for a numpy number; Python 2 has text for its bytes."""
    if not isinstance(kind, NumberKind):
        raise TypeError("no number")
    try:
        number: int | float | bool
        (number,) = struct.unpack(NUMBERS[kind.name], content.encode("latin1") if isinstance(content, str) else content)
        return number
    except struct.error as error:
        raise ValueError("a number has another size") from error
