"""Fixtures that make model files, sound ones and others, byte by byte, and say what became of reading one."""

import ctypes
import gc
import re
import struct
import sys
import time
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError
from sentneuron.core.model.checkpoint import SavedModel, load_model, save_model
from sentneuron.core.model.language_model import LanguageModel

CANARY = "canary"
SECONDS = 2.0
MEMORY = 300e6
"""Beside twice the file."""


@dataclass(frozen=True)
class Part:
    """An entry of a zip; what is None is as it should be."""

    name: str
    content: bytes = b""
    method: int = 0
    flags: int = 0x800
    size: int | None = None
    checksum: int | None = None
    local_name: str | None = None
    local_method: int | None = None
    offset: int | None = None
    extra: bytes = b""
    gap: bytes = b""
    """What stands in front of it."""


def zip_of(parts: list[Part], *, count: int | None = None, start: int = 0, behind: bytes = b"") -> bytes:
    """The zip that `torch.save` would write of these entries, but for its padding; `start` and `count` are lies."""
    body, directory = b"", b""
    for part in parts:
        body += part.gap
        offset = len(body) if part.offset is None else part.offset
        size = len(part.content) if part.size is None else part.size
        checksum = crc32(part.content) if part.checksum is None else part.checksum
        sizes = struct.pack("<3L", checksum, len(part.content), size)
        names = [(part.name if name is None else name).encode() for name in (part.local_name, part.name)]
        methods = (part.method if part.local_method is None else part.local_method, part.method)
        body += struct.pack("<4s3H4x12s2H", b"PK\3\4", 0, part.flags, methods[0], sizes, len(names[0]), 0)
        body += names[0] + part.content
        fields = (b"PK\1\2", 0, 0, part.flags, methods[1], sizes, len(names[1]), len(part.extra), offset)
        directory += struct.pack("<4s4H4x12s2H10xL", *fields) + names[1] + part.extra
    count = len(parts) if count is None else count
    start += len(body)
    end = len(body) + len(directory)
    tail = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 0x031E, 45, 0, 0, count, count, len(directory), start)
    tail += struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    tail += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), start, 0)
    return body + directory + tail + behind


def peak_bytes(*, reset: bool = False) -> int:
    """Peak of this process's resident memory since it was last reset; 0 where the system does not tell."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    except OSError:
        return 0


@pytest.fixture
def peak():
    """Return the most memory that a call took beside what was there before, in bytes."""

    def measure(call) -> int:
        call()  # whatever is imported or set up at first
        gc.collect()
        before = peak_bytes(reset=True) if sys.platform == "linux" else 0
        if not before:
            pytest.skip("the system does not tell")
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before would be used again, and not seen
        before = peak_bytes(reset=True)
        call()
        return peak_bytes() - before

    return measure


@pytest.fixture(scope="session")
def make_parts():
    """Return entries of a model file from its pickle and storages."""

    def make(pickle: bytes, **storages: bytes) -> list[Part]:
        named = {"data.pkl": pickle, "byteorder": b"little", "version": b"3\n"}
        named |= {f"data/{key.removeprefix('_')}": content for key, content in storages.items()}
        return [Part(f"archive/{name}", content) for name, content in named.items()]

    return make


@pytest.fixture(scope="session")
def zipped():
    return zip_of


@pytest.fixture(scope="session")
def part():
    return Part


@pytest.fixture(scope="session")
def change():
    """Return entries, that with this name changed."""

    def change(parts: list[Part], entry: str, **changes: object) -> list[Part]:
        assert any(part.name == entry for part in parts)
        return [replace(part, **changes) if part.name == entry else part for part in parts]

    return change


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    """A small sound model file."""
    torch.manual_seed(3)
    model = LanguageModel(ModelConfig(nhid=4, emsize=3))
    path = tmp_path_factory.mktemp("models") / "model.pt"
    save_model(path, SavedModel(kind="language-model", model=model, rule=TextRule(), training={"steps": 7}))
    return path


@pytest.fixture(scope="session")
def sound_parts(small_model):
    """Its entries."""
    with zipfile.ZipFile(small_model) as archive:
        return [Part(info.filename, archive.read(info)) for info in archive.infolist()]


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Load a hostile file and return the one line that it gave: nothing ran, in time, in little memory."""
    monkeypatch.chdir(tmp_path)

    def refuse(content: bytes | Path) -> str:
        path = tmp_path / "model.pt"
        if isinstance(content, Path):
            path = content
        else:
            path.write_bytes(content)
        before = peak_bytes(reset=True)
        seconds = -time.process_time()
        with pytest.raises(DataError) as caught:
            load_model(path)
        assert seconds + time.process_time() < SECONDS
        assert peak_bytes() - before < 2 * path.stat().st_size + MEMORY
        assert not (tmp_path / CANARY).exists()
        line = str(caught.value)
        assert line.startswith(str(path))
        assert line.isprintable()
        assert len(line.removeprefix(str(path))) < 400
        assert caught.value.hint
        return line

    return refuse
