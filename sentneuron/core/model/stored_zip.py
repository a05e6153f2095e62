"""The zip that `torch.save` writes since torch 1.6, and no other: entries stored as they are, in one folder, each
named once, end to end from the first byte of the file to the last.

The standard library reads the list of entries; what it does not insist on is checked here, so that no two readers can
see two different files in one. Nothing that is read depends on a byte that is not checked: it loads equal, or not at
all.

Source: .ZIP File Format Specification 6.3.10, sections 4.3.7 to 4.3.16.
"""

import re
import struct
import zipfile
from dataclasses import dataclass
from typing import BinaryIO

from sentneuron.core.errors import DataError

try:
    from isal.isal_zlib import crc32
except ImportError:
    # The same checksum, at a seventh of the speed.
    from zlib import crc32

LIMITS = {
    "data.pkl": 1 << 18,
    "byteorder": 64,
    "version": 64,
    ".format_version": 64,
    ".storage_alignment": 64,
    ".data/serialization_id": 64,
}
"""The entries beside the storages, and the bytes that each may have; torch 1.6 to 2.0 wrote the pickle and the version,
and storages under numbers of up to 20 digits."""
NEEDED = {"data.pkl"}
STORAGE = re.compile(r"data/(0|[1-9]\d{0,19})", re.ASCII)
MAX_DIRECTORY = 1 << 20
BLOCK = 1 << 20
DESCRIPTORS: tuple[int, ...] = (0, 16, 24)
"""Bytes that may stand between an entry's content and the next header: its sizes once more."""
FLAGS = (0x800, 0x808)
"""Names are UTF-8, with or without such a descriptor."""
LOCAL = struct.Struct("<4s2xHH16x2H")
END = struct.Struct("<4sQ2H2L4Q 4sLQL 4s4H2LH")

FOREIGN = "it was not opened; take models from a source you trust"
DAMAGED = "fetch or train it again"


@dataclass(frozen=True)
class Entry:
    """Where an entry's bytes lie in the file."""

    start: int
    num_bytes: int
    checksum: int


class StoredZip:
    """The entries of a file, by their names in its folder; nothing but the small ones was read so far."""

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        """Check the layout of an open file called `name`, and the checksums of its small entries.

        Raises:
            DataError: it is not as `torch.save` writes it.
        """
        self._file = file
        self._name = name
        self.entries = self._read_directory()
        self.small = {inner: self._read(inner) for inner in LIMITS.keys() & self.entries.keys()}
        """Contents of all entries but the storages."""

    @property
    def storages(self) -> dict[str, int]:
        """Bytes of each `data/<key>`."""
        return {inner: entry.num_bytes for inner, entry in self.entries.items() if inner not in LIMITS}

    def read_into(self, content: memoryview, inner: str) -> None:
        """Read an entry into memory of its size, a block at a time: the checksum finds it in the processor's cache.

        Raises:
            DataError: it fails its checksum.
        """
        entry = self.entries[inner]
        self._file.seek(entry.start)
        checksum = 0
        for start in range(0, entry.num_bytes, BLOCK):
            block = content[start : start + BLOCK]
            read_block(self._file, block, name=self._name)
            checksum = crc32(block, checksum)
        if not is_sound(checksum, entry):
            raise self._damage(f"{inner} fails its checksum")

    def _read(self, inner: str) -> bytes:
        content = bytearray(self.entries[inner].num_bytes)
        self.read_into(memoryview(content), inner)
        return bytes(content)

    def _read_directory(self) -> dict[str, Entry]:
        """Walk over the entries, each of which must begin where the one before ends."""
        count, directory_start = self._read_ends()
        try:
            with zipfile.ZipFile(self._file) as archive:
                infos = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError) as error:
            raise self._damage("its list of entries makes no sense") from error
        if len(infos) != count or not infos:
            raise self._damage("its list of entries has another length")
        folder = infos[0].orig_filename.partition("/")[0]
        entries: dict[str, Entry] = {}
        end, gaps = 0, DESCRIPTORS[:1]
        for info in infos:
            inner = info.orig_filename.removeprefix(f"{folder}/")
            self._check_entry(info, inner)
            if inner in entries:
                raise self._damage(f"{inner} is there twice")
            if info.header_offset - end not in gaps:
                raise self._damage(f"{inner} is not where it should be")
            start = self._content_start(info)
            entries[inner] = Entry(start, info.file_size, info.CRC)
            end, gaps = start + info.file_size, DESCRIPTORS
        if directory_start - end not in gaps or not entries.keys() >= NEEDED:
            raise self._damage("entries are missing")
        return entries

    def _read_ends(self) -> tuple[int, int]:
        """Return the number of entries and where their list starts, as the file's last bytes say.

        Those are built anew from what they say, and must be the same: so there is one list, right before them, and
        nothing behind.
        """
        size = self._file.seek(0, 2)
        self._file.seek(0)
        head = self._file.read(4)
        if head != b"PK\x03\x04":
            if head[:1] == b"\x80":
                raise DataError(f"{self._name} is a plain pickle, not a model file", hint=FOREIGN)
            what = "is not a model file, or is damaged" if size else "is empty"
            raise DataError(f"{self._name} {what}", hint=DAMAGED)
        if size < END.size:
            raise self._damage("it is cut short")
        self._file.seek(size - END.size)
        tail = self._file.read(END.size)
        _, _, made_by, needed, _, _, _, count, length, start, *_ = END.unpack(tail)
        large = (44, made_by, needed, 0, 0, count, count, length, start)
        small = (min(count, 0xFFFF), min(count, 0xFFFF), min(length, 0xFFFFFFFF), min(start, 0xFFFFFFFF))
        expected = (b"PK\x06\x06", *large, b"PK\x06\x07", 0, size - END.size, 1, b"PK\x05\x06", 0, 0, *small, 0)
        if tail != END.pack(*expected) or start + length != size - END.size or length > MAX_DIRECTORY:
            raise self._damage("it is cut short, or something follows its end")
        return count, start

    def _check_entry(self, info: zipfile.ZipInfo, inner: str) -> None:
        """Check what the list says about one entry; `inner` is its name in the folder."""
        shown = ascii(inner)[1:-1][:80]
        if inner not in LIMITS and not STORAGE.fullmatch(inner):
            raise DataError(f"{self._name} holds {shown}, which no model file has", hint=FOREIGN)
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise DataError(f"{self._name} is compressed ({shown}), which no model file is", hint=FOREIGN)
        if info.file_size > LIMITS.get(inner, info.file_size):
            what = f"has {info.file_size:,} bytes where {LIMITS[inner]:,} are the most"
            raise DataError(f"{self._name}: {shown} {what}", hint=FOREIGN)
        if info.flag_bits not in FLAGS:
            raise self._damage(f"{shown} is marked as something else")

    def _content_start(self, info: zipfile.ZipInfo) -> int:
        """Return where an entry's content starts, by the header in front of it, which must agree with the list."""
        self._file.seek(info.header_offset)
        header = self._file.read(LOCAL.size).ljust(LOCAL.size, b"\0")
        signature, flags, method, name_bytes, extra_bytes = LOCAL.unpack(header)
        found = (signature, flags, method, self._file.read(name_bytes))
        if found != (b"PK\x03\x04", info.flag_bits, zipfile.ZIP_STORED, info.orig_filename.encode()):
            raise self._damage("an entry and the list of entries disagree")
        return info.header_offset + LOCAL.size + name_bytes + extra_bytes

    def _damage(self, what: str) -> DataError:
        return DataError(f"{self._name} is damaged: {what}", hint=DAMAGED)


def read_block(file: BinaryIO, block: memoryview, *, name: str) -> None:
    """Fill a block of memory with the next bytes of an open file called `name`.

    Raises:
        DataError: there are fewer.
    """
    if file.readinto(block) != len(block):  # type: ignore[attr-defined]  # missing in typeshed
        raise DataError(f"{name} is damaged: it became shorter while it was read", hint=DAMAGED)


def is_sound(checksum: int, entry: Entry) -> bool:
    """Compare an entry's checksum with what the list says."""
    return checksum == entry.checksum
