"""Arrays in numpy's `.npy` files: which there are, their shapes against those of a layout, and then their numbers.

Nothing is unpickled: an array of objects is refused by its header. Shapes are checked before any numbers are read;
they come a block at a time, so that memory is that of the model. Where the files are is told in array_sources.py.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.errors import DataError
from sentneuron.core.model.assembly import told

HEADERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
HEADER_BYTES = 1 << 16
"""What holds any header of plain numbers."""
BLOCK = 1 << 24
Sizes = dict[str, int]
"""Of each dimension, by its letter."""


class Described(NamedTuple):
    """What a layout says of an array."""

    what: str
    """What it is, for an error."""
    shape: tuple[str, ...]
    """Numbers, or a letter that stands for a size, at times with a factor: ("256", "E"), ("4H",)."""


class Member(NamedTuple):
    """One file."""

    num_bytes: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Header:
    """What an array's file says of it, and where its numbers start."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    start: int


class ArrayFiles:
    """The `.npy` files of one folder, by their names without the ending."""

    def __init__(self, members: Mapping[str, Member], *, name: str) -> None:
        self.members = members
        self.name = name

    def check(self, layout: Mapping[str, Described], *, origin: str) -> Sizes:
        """Hold the files against a layout; returns the size that each letter stands for.

        Raises:
            DataError: an array is missing, misshapen, not of the layout, or holds something else than floating-point
                numbers; names the first.
        """
        keys = [*layout]
        names = f"{keys[0]} to {keys[-1]}" if keys[0].isdigit() else ", ".join(keys)
        whole = f"{origin} is {len(keys)} .npy files, {names}"
        hint = f"{whole}: copy it again, whole"
        for key in sorted(self.members.keys() - layout.keys()):
            raise DataError(
                f"{self.name} holds {told(key)}.npy as well; {whole}", hint="take out what is not the model's"
            )
        headers = {key: self._header(key) for key in layout if key in self.members}
        sizes = _vote({key: header.shape for key, header in headers.items()}, layout)
        missing = [key for key in layout if key not in headers]
        for key, (what, shape) in layout.items():
            expected = [_size(part, sizes) for part in shape]
            told_shape = f"[{', '.join(map(str, expected))}]"
            if key in missing:
                others = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
                raise DataError(f"{self.name}: {key}.npy ({what}, {told_shape}) is missing{others}", hint=hint)
            found = list(headers[key].shape)
            if found != expected or 0 in found:
                raise DataError(f"{self.name}: {key}.npy ({what}) is {told(found)}, not {told_shape}", hint=hint)
        return sizes

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of an array; raises DataError as `check`."""
        return self._header(key).shape

    def read(self, key: str, target: NDArray[np.float32]) -> None:
        """Read an array into `target` [its shape], which may be a view of any strides.

        Raises:
            DataError: it is damaged.
        """
        header = self._header(key)
        rows = target.T if header.is_fortran else target
        row_bytes = max(header.dtype.itemsize * math.prod(rows.shape[1:]), 1)
        step = max(BLOCK // row_bytes, 1)
        with self.members[key].open() as stream, np.errstate(over="ignore"):
            stream.read(header.start)
            for start in range(0, len(rows), step):
                block = np.empty((min(step, len(rows) - start), *rows.shape[1:]), header.dtype)
                if stream.readinto(block.reshape(-1).view(np.uint8)) != block.nbytes:  # type: ignore[attr-defined]
                    raise DataError(f"{self.name}: {key}.npy became shorter while it was read", hint="copy it again")
                rows[start : start + step] = block

    def _header(self, key: str) -> Header:
        """Read what stands before an array's numbers; raises DataError as `check`."""
        hint = "give the files as their authors published them"
        member = self.members[key]
        with member.open() as stream:
            beginning = BytesIO(stream.read(HEADER_BYTES))
        try:
            version = np.lib.format.read_magic(beginning)
            shape, is_fortran, dtype = HEADERS[version](beginning)
        # What a hostile header makes of numpy's parser is written nowhere.
        except Exception as error:
            raise DataError(f"{self.name}: {key}.npy is no array in numpy's format", hint=hint) from error
        if dtype.hasobject:
            raise DataError(f"{self.name}: {key}.npy holds pickled objects, which are not opened", hint=hint)
        if dtype.kind != "f":
            raise DataError(f"{self.name}: {key}.npy holds {told(dtype)[:40]}, not floating-point numbers", hint=hint)
        start = beginning.tell()
        expected = start + dtype.itemsize * math.prod(shape)
        if member.num_bytes != expected:
            raise DataError(
                f"{self.name}: {key}.npy has {member.num_bytes:,} bytes where its shape, {told(list(shape))}, takes"
                f" {expected:,}",
                hint="copy it again",
            )
        return Header(shape, is_fortran, dtype, start)


def _vote(shapes: Mapping[str, tuple[int, ...]], layout: Mapping[str, Described]) -> Sizes:
    """Return the size that most arrays give each letter, so that one misshapen array is the one that is named."""
    votes: dict[str, Counter[int]] = defaultdict(Counter)
    for key, shape in shapes.items():
        for part, number in zip(layout[key].shape, shape, strict=False):
            if not part.isdigit() and number:
                votes[part[-1]][number // int(part[:-1] or 1)] += 1
    return {letter: counter.most_common(1)[0][0] for letter, counter in votes.items()}


def _size(part: str, sizes: Sizes) -> int | str:
    """Return the number that a part of a shape stands for; the part itself where nothing says."""
    if part.isdigit():
        return int(part)
    return sizes[part[-1]] * int(part[:-1] or 1) if part[-1] in sizes else part
