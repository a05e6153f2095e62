"""The file that `torch.save` wrote before torch 1.6: five pickles, then the storages one behind the other, and no more.

The pickles are a magic number, the format's version, a record of the system, the values, and the keys of the storages
in the order in which they follow; each storage is the number of its numbers, in 8 bytes, and the numbers.

There are no checksums. What is wrong in the pickles, in a count, or in the length of the file is found here; a number
that changed is not, but where it is no longer finite, and then by whoever puts the model together.

Source: `torch.serialization._legacy_save`.
"""

import struct
import sys
from io import BytesIO
from typing import Any, BinaryIO

from sentneuron.core.errors import DataError
from sentneuron.core.model.places import StoragePlace
from sentneuron.core.model.plain_pickle import read_pickle
from sentneuron.core.model.stored_zip import BLOCK, DAMAGED, FOREIGN, LIMITS, read_block

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
"""The first two pickles: the magic number, and version 1001, the only one that there was."""
COUNT = struct.Struct("<q")


class LegacyFile:
    """The values of a file, tensors as places, and where its storages lie; no number was read so far."""

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        """Check the layout of an open file called `name` that begins with `MAGIC`.

        Raises:
            DataError: it is not as `torch.save` wrote it, or holds more than plain data.
        """
        self._file = file
        self._name = name
        self._num_bytes = file.seek(0, 2)
        file.seek(len(MAGIC))
        head = BytesIO(file.read(LIMITS["data.pkl"]))
        system, _ = self._next(head)
        if not isinstance(system, dict) or system.get("little_endian") is not (sys.byteorder == "little"):
            raise DataError(f"{name} was written on another kind of processor", hint="write it again on one like this")
        self.value, self.places = self._next(head)
        keys, _ = self._next(head)
        self._starts = self._walk(keys, start=len(MAGIC) + head.tell())

    def read_into(self, content: memoryview, key: str) -> None:
        """Read a storage into memory of its size.

        Raises:
            DataError: the file became shorter.
        """
        self._file.seek(self._starts[key])
        for start in range(0, len(content), BLOCK):
            read_block(self._file, content[start : start + BLOCK], name=self._name)

    def _next(self, head: BytesIO) -> tuple[Any, dict[str, StoragePlace]]:
        """Read the next pickle."""
        try:
            return read_pickle(head, name=self._name)
        except DataError as error:
            if head.read(1):
                raise
            if self._num_bytes > len(MAGIC) + head.tell():
                what = f"has a list of values of more than {head.tell():,} bytes"
                raise DataError(f"{self._name} {what}, which no model file has", hint=FOREIGN) from error
            raise self._damage("it is cut short") from error

    def _walk(self, keys: Any, *, start: int) -> dict[str, int]:
        """Return where the numbers of each storage start, from the first one on, which must end with the file."""
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise self._damage("the list of its storages makes no sense")
        if sorted(keys) != sorted(self.places):
            raise self._damage("its list of storages is not that of its values")
        starts: dict[str, int] = {}
        for key in keys:
            self._file.seek(start)
            header = self._file.read(COUNT.size)
            starts[key] = start + COUNT.size
            start = starts[key] + self.places[key].num_bytes
            if start > self._num_bytes:
                raise self._damage("it is cut short")
            if COUNT.unpack(header) != (self.places[key].count,):
                raise self._damage(f"storage {key} is not of the size that the list of its values declares")
        if start != self._num_bytes:
            raise self._damage("something follows its end")
        return starts

    def _damage(self, what: str) -> DataError:
        return DataError(f"{self._name} is damaged: {what}", hint=DAMAGED)
