"""What `torch.save` wrote, read without trust: the layout of the file, then the list of values, then the numbers.

The zip has nothing but the entries of a model file (stored_zip.py), the file from before torch 1.6 nothing but its five
pickles and storages (legacy_file.py), the pickle nothing but plain data (plain_pickle.py), and they are held against
each other before any number is read: storages have the size that the pickle declares, and tensors lie inside of them
(places.py). So memory is bounded by the size of the file. What is returned from a zip has passed its checksums; the
older files have none.

`torch.load` is not used. It finds no corruption and bounds no memory, and it would read the file once more with a zip
reader and a pickle machine of its own; for a sound file, what it returns is what this returns, but for an
`argparse.Namespace` and numpy's numbers, which are a dict and plain numbers here. Numbers are read on the kind of
processor, little or big-endian, that wrote them.
"""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, BinaryIO

import torch
from torch import Tensor

from sentneuron.core.errors import DataError, InputNotFoundError, StorageError
from sentneuron.core.model.legacy_file import MAGIC, LegacyFile
from sentneuron.core.model.places import StoragePlace, TensorPlace, expand
from sentneuron.core.model.plain_pickle import parse_pickle
from sentneuron.core.model.stored_zip import DAMAGED, StoredZip

HALVES = (torch.float16, torch.bfloat16)
WIDENED = 1 << 18
"""Numbers that are widened at once: a megabyte beside the numbers themselves."""
MAX_SHARED = 2
"""How often a file's numbers may be used: a tied weight is in two tensors, each of which may be copied."""
OUR_NAMES = ("classifier.pt", "model.pt")
"""What `transfer` and `train` call their models."""
ReadInto = Callable[[memoryview, str], None]
"""Reads a storage, named by its key, into memory of its size."""


def read_plain(path: Path, *, widen: bool = False) -> Any:
    """Return the plain values and tensors in a file that `torch.save` wrote; tensors are on the CPU.

    They are views of the file's storages, as they were when they were saved. With `widen`, those of half precision
    become fp32 as they are read: the memory is that of the fp32 numbers, and no more.

    Raises:
        InputNotFoundError: there is no such file.
        DataError: it is damaged, or holds anything else.
        StorageError: it cannot be read.
    """
    with _opened(path) as file:
        value, places, read_into = _check(file, str(path))
        storages = {key: _read_storage(read_into, place, widen=widen) for key, place in places.items()}

    def fill(place: TensorPlace) -> Tensor:
        storage = storages[place.storage.key]
        if place.is_contiguous:
            return storage[place.offset :][: place.count].view(place.size)
        return storage.as_strided(place.size, place.stride, place.offset)

    return expand(value, fill, name=str(path))


def read_outline(path: Path) -> Any:
    """Return what `read_plain` does, with a `TensorPlace` for each tensor: no numbers are read, whatever the size.

    Raises:
        InputNotFoundError, DataError, StorageError: as `read_plain`.
    """
    with _opened(path) as file:
        return _check(file, str(path))[0]


def check_plain(path: Path, *, name: str) -> None:
    """Check all of a file that we wrote but its numbers, which takes milliseconds; errors call it `name`.

    Ours are simpler than those from elsewhere: tensors are contiguous, and share no numbers.

    Raises:
        InputNotFoundError, DataError, StorageError: as `read_plain`.
    """
    with _opened(path) as file:
        value, places, _ = _check(file, name)
    tensors = _tensors(value, name=name)
    if not all(tensor.is_contiguous for tensor in tensors):
        raise DataError(f"{name} would hold a tensor that is not contiguous", hint="make it contiguous")
    if sum(tensor.num_bytes for tensor in tensors) > sum(place.num_bytes for place in places.values()):
        raise DataError(f"{name} would hold tensors that share their numbers", hint="copy them")


def _check(file: BinaryIO, name: str) -> tuple[Any, dict[str, StoragePlace], ReadInto]:
    """Return a file's values with tensors as places, its storages by their keys, and what reads them."""
    head = file.read(len(MAGIC))
    value, places, read_into = (_open_legacy if head == MAGIC else _open_zip)(file, name)
    num_bytes = sum(tensor.num_bytes for tensor in _tensors(value, name=name))
    if num_bytes > MAX_SHARED * sum(place.num_bytes for place in places.values()):
        # Each copy that is made of a tensor takes memory of its own.
        raise DataError(f"{name} is damaged: its tensors share their numbers", hint=DAMAGED)
    return value, places, read_into


def _open_zip(file: BinaryIO, name: str) -> tuple[Any, dict[str, StoragePlace], ReadInto]:
    archive = StoredZip(file, name=name)
    if archive.small.get("byteorder", sys.byteorder.encode()) != sys.byteorder.encode():
        raise DataError(f"{name} was written on another kind of processor", hint="write it again on one like this")
    value, places = parse_pickle(archive.small["data.pkl"], name=name)
    compare_sizes(archive.storages, {f"data/{key}": place.num_bytes for key, place in places.items()}, name=name)
    return value, places, lambda content, key: archive.read_into(content, f"data/{key}")


def _open_legacy(file: BinaryIO, name: str) -> tuple[Any, dict[str, StoragePlace], ReadInto]:
    old = LegacyFile(file, name=name)
    return old.value, old.places, old.read_into


def _tensors(value: Any, *, name: str) -> list[TensorPlace]:
    """Return all tensors of parsed values, each as often as it is there."""
    tensors: list[TensorPlace] = []
    expand(value, tensors.append, name=name)
    return tensors


def compare_sizes(found: dict[str, int], declared: dict[str, int], *, name: str) -> None:
    """Hold the bytes of the storages that there are against those that the pickle declares.

    Raises:
        DataError: they are not the same storages, or not of the same sizes.
    """
    for inner in sorted(found.keys() | declared.keys()):
        if found.get(inner, -1) != declared.get(inner, -1):
            raise DataError(f"{name} is damaged: {inner} is not of the size that data.pkl declares", hint=DAMAGED)


def _read_storage(read_into: ReadInto, place: StoragePlace, *, widen: bool) -> Tensor:
    """Return a storage as a flat tensor, of fp32 where it is to be widened.

    Halves are read into the upper half of their fp32 memory and widened from the lowest on: what is written never
    reaches what is still to be read.
    """
    widen = widen and place.dtype in HALVES
    numbers = torch.empty(place.count, dtype=torch.float32 if widen else place.dtype)
    content = numbers.view(place.dtype)[place.count :] if widen else numbers
    read_into(content.view(torch.uint8).numpy().data, place.key)
    for start in range(0, place.count if widen else 0, WIDENED):
        numbers[start : start + WIDENED] = content[start : start + WIDENED].float()
    return numbers


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is one: a folder cannot be read, and a pipe would be waited for.

    Raises:
        InputNotFoundError, DataError, StorageError: as `read_plain`.
    """
    try:
        mode = path.stat().st_mode
        if not S_ISREG(mode):
            what = "a folder" if S_ISDIR(mode) else "a pipe or a device"
            inside = [path / name for name in OUR_NAMES if (path / name).is_file()]
            wanted = inside[0] if inside else "a model.pt or classifier.pt"
            raise DataError(f"{path} is {what}, not a model file", hint=f"give {wanted}")
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP):
            raise InputNotFoundError(f"model {path} does not exist", hint="check the path") from error
        reason = error.strerror or error
        raise StorageError(f"cannot read {path}: {reason}", hint="check the file and its permissions") from error
