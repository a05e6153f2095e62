"""What `torch.save` wrote, read without trust: the layout of the zip, then the list of values, then the numbers.

The zip has nothing but the entries of a model file (stored_zip.py), the pickle nothing but plain data
(plain_pickle.py), and both are held against each other here before any number is read: storages have the size that the
pickle declares, and tensors lie inside of them (places.py). So memory is bounded by the size of the file, and what is
returned has passed its checksums.

`torch.load` is not used. It finds no corruption and bounds no memory, and it would read the file once more with a zip
reader and a pickle machine of its own; for a sound file, what it returns is what this returns. Numbers are read on the
kind of processor, little or big-endian, that wrote them.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, BinaryIO

import torch
from torch import Tensor

from sentneuron.core.errors import DataError, InputNotFoundError, StorageError
from sentneuron.core.model.places import StoragePlace, TensorPlace, expand
from sentneuron.core.model.plain_pickle import parse_pickle
from sentneuron.core.model.stored_zip import DAMAGED, StoredZip


def read_plain(path: Path) -> Any:
    """Return the plain values and tensors in a file that `torch.save` wrote; tensors are on the CPU.

    Raises:
        InputNotFoundError: there is no such file.
        DataError: it is damaged, or holds anything else.
        StorageError: it cannot be read.
    """
    with _opened(path) as file:
        archive, value, places = _check(file, str(path))
        storages = {key: _read_storage(archive, place) for key, place in places.items()}

    def fill(place: TensorPlace) -> Tensor:
        return storages[place.storage.key][place.offset :][: place.count].view(place.size)

    return expand(value, fill, name=str(path))


def check_plain(path: Path, *, name: str) -> None:
    """Check all of a file but its numbers, which takes milliseconds; errors call it `name`.

    Raises:
        InputNotFoundError, DataError, StorageError: as `read_plain`.
    """
    with _opened(path) as file:
        _check(file, name)


def _check(file: BinaryIO, name: str) -> tuple[StoredZip, Any, dict[str, StoragePlace]]:
    """Return a file's entries, its values with tensors as places, and its storages by their keys."""
    archive = StoredZip(file, name=name)
    if archive.small["byteorder"] != sys.byteorder.encode():
        raise DataError(f"{name} was written on another kind of processor", hint="write it again on one like this")
    value, places = parse_pickle(archive.small["data.pkl"], name=name)
    compare_sizes(archive.storages, {f"data/{key}": place.num_bytes for key, place in places.items()}, name=name)
    sizes: list[int] = []
    expand(value, lambda place: sizes.append(place.num_bytes), name=name)
    if sum(sizes) > sum(archive.storages.values()):  # each copy that is made of a tensor would take memory of its own
        raise DataError(f"{name} is damaged: its tensors share their numbers", hint=DAMAGED)
    return archive, value, places


def compare_sizes(found: dict[str, int], declared: dict[str, int], *, name: str) -> None:
    """Hold the bytes of the storages that there are against those that the pickle declares.

    Raises:
        DataError: they are not the same storages, or not of the same sizes.
    """
    for inner in sorted(found.keys() | declared.keys()):
        if found.get(inner, -1) != declared.get(inner, -1):
            raise DataError(f"{name} is damaged: {inner} is not of the size that data.pkl declares", hint=DAMAGED)


def _read_storage(archive: StoredZip, place: StoragePlace) -> Tensor:
    """Return a storage as a flat tensor."""
    content = torch.empty(place.num_bytes, dtype=torch.uint8)
    archive.read_into(content.numpy().data, f"data/{place.key}")
    return content.view(place.dtype)


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
            raise DataError(f"{path} is {what}, not a model file", hint="give a model.pt or classifier.pt")
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP):
            raise InputNotFoundError(f"model {path} does not exist", hint="check the path") from error
        reason = error.strerror or error
        raise StorageError(f"cannot read {path}: {reason}", hint="check the file and its permissions") from error
