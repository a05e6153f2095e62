"""The pickle inside a model file, read as data: nothing is imported, called or built, whatever it says.

`torch.save` describes plain values with some thirty of pickle's seventy opcodes, and a tensor as a call of one function
with a place in a storage. This machine knows those opcodes; functions and classes are names to it, of which
plain_calls.py knows a few, and a tensor stays the description of one. All that is heavier than the pickle's own bytes
is refused: text lengths and memo indices that lie, values that grow by referring to one another, keys that take long to
hash.

Source: the opcodes of `pickletools` in the standard library; `torch.serialization`.
"""

import re
from io import BytesIO
from pickletools import genops
from typing import Any, BinaryIO

from sentneuron.core.errors import DataError
from sentneuron.core.model.places import DTYPES, StoragePlace, expand
from sentneuron.core.model.plain_calls import (
    GLOBALS,
    LARGEST,
    Global,
    PlaceError,
    UnknownCallError,
    call,
    fill,
    is_size,
    with_items,
)
from sentneuron.core.model.stored_zip import DAMAGED, FOREIGN

CODE = {"INST", "OBJ", "NEWOBJ_EX", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
"""Opcodes that import or make objects of any class."""
SAVED_AS_CODE = "it was not opened; take models saved as a state_dict, from a source you trust"
KEY = re.compile(r"0|[1-9]\d{0,19}", re.ASCII)
LOCATION = re.compile(r"cpu|cuda(:\d{1,4})?", re.ASCII)


def parse_pickle(data: bytes, *, name: str) -> tuple[Any, dict[str, StoragePlace]]:
    """Return what the pickle in the file called `name` describes, and all storages by their keys.

    Values are dicts, lists, tuples, strings, whole numbers of 64 bits, floats, booleans, None and `TensorPlace`.

    Raises:
        DataError: it holds anything else, or is damaged.
    """
    stream = BytesIO(data)
    parsed = read_pickle(stream, name=name)
    if stream.tell() != len(data):
        raise DataError(f"{name} is damaged: something follows the list of its values", hint=DAMAGED)
    return parsed


def read_pickle(stream: BinaryIO, *, name: str) -> tuple[Any, dict[str, StoragePlace]]:
    """Do the same for a pickle behind which other bytes may follow, and stop in front of them.

    Raises:
        DataError: as `parse_pickle`.
    """
    machine = _Machine(name)
    try:
        for opcode, argument, _ in genops(stream):
            machine.step(opcode.name, argument)
        (value,) = machine.stack
    except PlaceError as error:
        raise machine.damage(str(error)) from error
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise machine.damage("the list of its values makes no sense") from error
    if machine.outer:
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
        return DataError(f"{self.name} holds code ({shown[:80]}), not data", hint=SAVED_AS_CODE)

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
            case "BINUNICODE" | "BINSTRING" | "SHORT_BINSTRING":
                stack.append(argument)
            case "BINFLOAT" | "BININT" | "BININT1" | "BININT2" | "LONG1":
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
                with_items(self._top(dict), items)
            case "GLOBAL":
                if argument not in GLOBALS:
                    raise self.code(argument)
                stack.append(Global(argument))
            case "BINPERSID":
                stack.append(self._storage(*stack.pop()))
            case "REDUCE" | "NEWOBJ":
                function, arguments = self._pop(2)
                try:
                    stack.append(call(function, arguments))
                except UnknownCallError as error:
                    raise self.code(_shown(function)) from error
            case "BUILD":
                value, state = stack[-2], stack.pop()
                try:
                    fill(value, state)
                except UnknownCallError as error:
                    raise self.code(_shown(value)) from error
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

    def _storage(self, tag: Any, kind: Any, key: Any, location: Any, count: Any, view: Any = None) -> StoragePlace:
        """Take what stands for a storage; a view of another one, which torch once had, is refused."""
        is_known = tag == "storage" and isinstance(kind, Global) and kind.name in DTYPES and view is None
        if not (is_known and _is_text(key, KEY) and _is_text(location, LOCATION) and is_size(count)):
            raise TypeError("no storage")
        place = StoragePlace(key, DTYPES[kind.name], count)
        if self.storages.setdefault(key, place) != place:
            raise self.damage(f"storage {key} is declared twice")
        return place


def _small(value: Any) -> Any:
    """Refuse whole numbers of more than 64 bits, which overflow in unexpected places."""
    if isinstance(value, int) and not -LARGEST <= value < LARGEST:
        raise ValueError("a number has more than 64 bits")
    return value


def _is_text(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _shown(value: Any) -> str:
    return value.name if isinstance(value, Global) else type(value).__name__
