"""The pickle inside a model file, read as data: nothing is imported, called or built, whatever it says.

`torch.save` describes plain values with some twenty of pickle's seventy opcodes, and a tensor as a call of one function
with a place in a storage. This machine knows those opcodes; the functions are names to it, and a tensor stays the
description of one. All that is heavier than the pickle's own bytes is refused: text lengths and memo indices that lie,
values that grow by referring to one another, keys that take long to hash.

Source: the opcodes of `pickletools` in the standard library; `torch.serialization`.
"""

import math
import re
from dataclasses import dataclass
from pickletools import genops
from typing import Any

from sentneuron.core.errors import DataError
from sentneuron.core.model.places import DTYPES, StoragePlace, TensorPlace, expand
from sentneuron.core.model.stored_zip import DAMAGED, FOREIGN

REBUILD, ORDERED_DICT = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"
GLOBALS = {REBUILD, ORDERED_DICT, *DTYPES}
CODE = {"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "STACK_GLOBAL", "BUILD", "EXT1", "EXT2", "EXT4"}
"""Opcodes that import, make or fill objects of any class."""
KEY = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
LOCATION = re.compile(r"cpu|cuda(:\d{1,4})?", re.ASCII)
MAX_DIMENSIONS = 8
LARGEST = 2**63


@dataclass(frozen=True)
class Global:
    """The name of a function or class, as `module name`."""

    name: str


def parse_pickle(data: bytes, *, name: str) -> tuple[Any, dict[str, StoragePlace]]:
    """Return what the pickle in the file called `name` describes, and all storages by their keys.

    Values are dicts, lists, tuples, strings, whole numbers of 64 bits, floats, booleans, None and `TensorPlace`.

    Raises:
        DataError: it holds anything else, or is damaged.
    """
    machine = _Machine(name)
    end = 0
    try:
        for opcode, argument, position in genops(data):
            machine.step(opcode.name, argument)
            end = (position or 0) + 1
        (value,) = machine.stack
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise machine.damage("the list of its values makes no sense") from error
    if machine.outer or end != len(data):
        raise machine.damage("something follows the list of its values")
    return expand(value, lambda place: place, name=name), machine.storages


class _Machine:
    """Pickle's stack and memo; every value on them is plain, or a place, or a name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        """The stacks below each mark."""
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, StoragePlace] = {}

    def damage(self, what: str) -> DataError:
        """Return the error for a file that is no longer what was written."""
        return DataError(f"{self.name} is damaged: {what}", hint=DAMAGED)

    def code(self, what: str) -> DataError:
        """Return the error for a file that wants something to be run, whose name is shown."""
        shown = ascii(what.replace(" ", "."))[1:-1]
        return DataError(f"{self.name} holds code ({shown[:80]}), not data", hint=FOREIGN)

    def step(self, opcode: str, argument: Any) -> None:
        """Do what one opcode says.

        Raises:
            DataError: it is not one of those that plain values need.
            ValueError, IndexError, KeyError, TypeError: it does not fit what came before.
        """
        stack = self.stack
        match opcode:
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "BINUNICODE" | "BINFLOAT" | "BININT" | "BININT1" | "BININT2" | "LONG1":
                stack.append(_small(argument))
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode])
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[opcode]())
            case "MARK":
                self.outer.append(stack)
                self.stack = []
            case "TUPLE":
                items = self._pop_to_mark()
                self.stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._pop(int(opcode[-1]))))
            case "APPEND" | "APPENDS":
                items = self._pop(1) if opcode == "APPEND" else self._pop_to_mark()
                self._top(list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = self._pop(2) if opcode == "SETITEM" else self._pop_to_mark()
                self._set(self._top(dict), items)
            case "GLOBAL":
                if argument not in GLOBALS:
                    raise self.code(argument)
                stack.append(Global(argument))
            case "BINPERSID":
                stack.append(self._storage(*stack.pop()))
            case "REDUCE":
                function, arguments = self._pop(2)
                stack.append(self._call(function, arguments))
            case "PROTO" | "STOP":
                pass
            case _ if opcode in CODE:
                names = argument or " ".join(item for item in stack[-2:] if isinstance(item, str))
                raise self.code(str(names or opcode))
            case _:
                raise DataError(f"{self.name} holds more than plain data (pickle opcode {opcode})", hint=FOREIGN)

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("the stack is too short")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def _pop_to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise TypeError(f"not a {kind.__name__}")
        return self.stack[-1]

    def _set(self, target: dict[Any, Any], items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):  # a tuple of tuples may take for ever to hash
                raise TypeError("a key is neither text nor a number")
            target[key] = value

    def _storage(self, tag: Any, kind: Any, key: Any, location: Any, count: Any) -> StoragePlace:
        """Take what stands for a storage."""
        is_known = tag == "storage" and isinstance(kind, Global) and kind.name in DTYPES
        if not (is_known and _is_text(key, KEY) and _is_text(location, LOCATION) and _is_size(count)):
            raise TypeError("no storage")
        place = StoragePlace(key, DTYPES[kind.name], count)
        if self.storages.setdefault(key, place) != place:
            raise self.damage(f"data/{key} is declared twice")
        return place

    def _call(self, function: Any, arguments: Any) -> Any:
        """Take one of the two calls that stand for a value."""
        if function == Global(ORDERED_DICT) and arguments == ():
            return {}
        if function != Global(REBUILD):
            raise self.code(_shown(function))
        storage, offset, size, stride, _, _ = arguments
        is_tensor = isinstance(storage, StoragePlace) and _is_size(offset) and _are_sizes(size) and _are_sizes(stride)
        if not is_tensor:
            raise TypeError("no tensor")
        if offset + math.prod(size) > storage.count or not _is_contiguous(size, stride):
            raise self.damage(f"a tensor does not lie in data/{storage.key} in one piece")
        return TensorPlace(storage, offset, size)


def _small(value: Any) -> Any:
    """Refuse whole numbers of more than 64 bits, which overflow in unexpected places."""
    if isinstance(value, int) and not -LARGEST <= value < LARGEST:
        raise ValueError("a number has more than 64 bits")
    return value


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST


def _are_sizes(values: Any) -> bool:
    return type(values) is tuple and len(values) <= MAX_DIMENSIONS and all(_is_size(value) for value in values)


def _is_text(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_contiguous(size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Rows lie one behind the other; where there is one number only, or none, its stride says nothing."""
    if len(size) != len(stride):
        return False
    needed = [math.prod(size[axis + 1 :]) for axis in range(len(size))]
    is_free = [length == 1 or 0 in size for length in size]
    return all(free or step == need for free, step, need in zip(is_free, stride, needed, strict=True))


def _shown(value: Any) -> str:
    return value.name if isinstance(value, Global) else type(value).__name__
