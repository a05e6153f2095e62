"""Zips that no `torch.save` writes are refused before anything in them is read, and what is no zip at all."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import zipfile
import zlib

import pytest
import torch

from sentneuron.core.errors import DataError, InputNotFoundError, StorageError
from sentneuron.core.model import stored_zip
from sentneuron.core.model.checkpoint import load_model


def deflated(content: bytes) -> bytes:
    return zlib.compress(content, wbits=-15)


BOMB = deflated(bytes(64_000_000))
ZIP64 = struct.pack("<2HQ", 1, 8, 1 << 33)

CHANGED = {
    "a deflated storage": ("data/0", {"content": BOMB, "method": 8, "size": 64_000_000}, "is compressed (data/0)"),
    "a deflated pickle": ("data.pkl", {"content": BOMB, "method": 8, "size": 64_000_000}, "is compressed (data.pkl)"),
    "another size packed": ("data/0", {"size": 9}, "is compressed (data/0)"),
    "a size beyond the file": ("data/0", {"size": 0xFFFFFFFF, "extra": ZIP64}, "is compressed (data/0)"),
    "an encrypted entry": ("data/0", {"flags": 0x801}, "data/0 is marked as something else"),
    "a wrong checksum": ("data/0", {"checksum": 1}, "data/0 fails its checksum"),
    "a wrong checksum of a note": ("version", {"checksum": 1}, "version fails its checksum"),
    "another name in front": ("data/0", {"local_name": "archive/data/1"}, "and the list of entries disagree"),
    "another method in front": ("data/0", {"local_method": 8}, "and the list of entries disagree"),
    "an entry on another": ("data/1", {"offset": 0}, "data/1 is not where it should be"),
    "an offset behind the end": ("data/1", {"offset": 1 << 30}, "data/1 is not where it should be"),
    "something between entries": ("data/1", {"gap": b"hidden"}, "data/1 is not where it should be"),
    "something before the first": ("data.pkl", {"gap": b"PK\3\4hidden"}, "data.pkl is not where it should be"),
    "a long note": ("version", {"content": b"3" * 65}, "version has 65 bytes where 64 are the most"),
    "a name with a NUL": ("data/0", {"name": "archive/data/0\0x"}, r"holds data/0\x00x, which no model file has"),
    "an absolute name": ("data/0", {"name": "/etc/passwd"}, "holds /etc/passwd, which no model file has"),
    "a name above": ("data/0", {"name": "archive/../../x"}, "holds ../../x, which no model file has"),
    "a second folder": ("data/0", {"name": "other/data/0"}, "holds other/data/0, which no model file has"),
    "capitals": ("data/0", {"name": "archive/DATA/0"}, "holds DATA/0, which no model file has"),
    "a number with a zero": ("data/0", {"name": "archive/data/00"}, "holds data/00, which no model file has"),
    "digits of another script": ("data/0", {"name": "archive/data/٠"}, "holds data/\\u0660, which no model file has"),
    "another byte order": ("byteorder", {"content": b"big"}, "was written on another kind of processor"),
    "no such storage": ("data/0", {"name": "archive/data/99"}, "data/0 is not of the size that data.pkl declares"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_hostile_entry_is_refused(name, sound_parts, change, zipped, refused):
    entry, changes, expected = CHANGED[name]
    line = refused(zipped(change(sound_parts, f"archive/{entry}", **changes)))
    assert expected in line


def test_the_same_zip_without_a_change_is_read(sound_parts, zipped, small_model, tmp_path):
    """So the hostile ones are refused for what is hostile in them."""
    (tmp_path / "model.pt").write_bytes(zipped(sound_parts))
    found, expected = (load_model(path).model.state_dict() for path in (tmp_path / "model.pt", small_model))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", ["archive/data/0", "archive/data.pkl"])
def test_a_name_that_is_there_twice_is_refused(name, sound_parts, part, zipped, refused):
    assert "is there twice" in refused(zipped([*sound_parts, part(name, bytes(4))]))


@pytest.mark.parametrize("name", ["constants.pkl", "code/__torch__.py", "data/x", "data", "", "data/0/"])
def test_an_entry_that_no_model_file_has_is_refused(name, sound_parts, part, zipped, refused):
    assert "which no model file has" in refused(zipped([*sound_parts, part(f"archive/{name}")]))


def test_a_storage_that_nothing_names_is_refused(sound_parts, part, zipped, refused):
    line = refused(zipped([*sound_parts, part("archive/data/99", bytes(4))]))
    assert "data/99 is not of the size that data.pkl declares" in line


def test_a_zip_without_values_is_refused(sound_parts, zipped, refused):
    parts = [part for part in sound_parts if part.name != "archive/data.pkl"]
    assert "entries are missing" in refused(zipped(parts))


def test_a_list_of_entries_that_does_not_fit_is_refused(sound_parts, part, zipped, refused):
    for content in (
        zipped(sound_parts, count=3),
        zipped(sound_parts, start=-7),
        zipped(sound_parts, start=7),
        zipped(sound_parts, behind=b"x"),
        b"x" + zipped(sound_parts),
        zipped([*sound_parts, *(part("archive/data/1" + "0" * 60000, bytes(4)) for _ in range(20))]),
        zipped([]),
    ):
        refused(content)


def test_the_ends_of_the_two_kinds_must_say_the_same(sound_parts, zipped, refused):
    """The older kind says 16 bits of what the newer one says, and a reader may trust either."""
    content = zipped(sound_parts)
    for position in (*range(-98, -86), *range(-82, 0)):
        changed = bytearray(content)
        changed[position] ^= 1
        assert "model file" in refused(bytes(changed)) or "damaged" in refused(bytes(changed))


def archived(kind: str) -> bytes:
    """A zip or tar as their own programs make them."""
    file = io.BytesIO()
    if kind == "tar":
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("data.pkl"))
        return file.getvalue()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("archive/data.pkl", b"\x80\x02}.")
        zipped.comment = b"a comment" if kind == "comment" else b""
    return file.getvalue()


def saved(**options: object) -> bytes:
    file = io.BytesIO()
    torch.save({"format": "sentneuron", "encoder": torch.zeros(3)}, file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: b"", "is empty"),
        (lambda: b"label,text\n1,good\n", "is not a model file, or is damaged"),
        (lambda: b"PK\3\4", "is damaged: it is cut short"),
        (lambda: pickle.dumps({"a": 1}, 2), "is a plain pickle"),
        (lambda: saved(_use_new_zipfile_serialization=False, pickle_protocol=4), "is a plain pickle"),
        (lambda: saved(pickle_protocol=4), "holds more than plain data (pickle opcode FRAME)"),
        (lambda: archived("tar"), "is not a model file, or is damaged"),
        (lambda: archived("zip"), "is cut short, or something follows its end"),
        (lambda: archived("comment"), "is cut short, or something follows its end"),
        (lambda: gzip.compress(saved()), "is not a model file, or is damaged"),
        (lambda: b"PK\3\4" + bytes(1_000_000), "is cut short, or something follows its end"),
    ],
)
def test_what_is_no_model_file_is_refused(make, expected, refused):
    assert expected in refused(make())


def test_a_folder_and_a_pipe_are_refused_at_once(tmp_path, refused):
    os.mkfifo(tmp_path / "pipe")
    assert "a pipe or a device, not a model file" in refused(tmp_path / "pipe")
    assert "a folder, not a model file" in refused(tmp_path)


def test_a_file_that_cannot_be_read_says_why(tmp_path, small_model, monkeypatch):
    with pytest.raises(InputNotFoundError, match="does not exist"):
        load_model(small_model / "x")
    with pytest.raises(InputNotFoundError, match="does not exist"):
        load_model(tmp_path / ("x" * 300))

    def fail(*arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(stored_zip.StoredZip, "read_into", fail)
    with pytest.raises(StorageError, match=r"cannot read .*model\.pt: Input/output error"):
        load_model(small_model)


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path, make_parts, zipped):
    path = tmp_path / "model.pt"
    path.write_bytes(zipped(make_parts(b"\x80\x02N.", _0=bytes(100_000))))
    with open(path, "rb") as file:
        archive = stored_zip.StoredZip(file, name="model.pt")
        os.truncate(path, 50_000)
        with pytest.raises(DataError, match=r"model\.pt is damaged: it became shorter"):
            archive.read_into(memoryview(bytearray(100_000)), "data/0")
