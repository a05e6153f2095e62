"""Where arrays are found: in a folder, one further down, or a zip, which may not be more than it seems."""

import shutil
import zipfile

import numpy as np
import pytest

from sentneuron.core.errors import DataError
from sentneuron.core.model.checkpoint import load_model

NAMES = [f"{number}.npy" for number in range(15)]


def zip_of(folder, path, method=zipfile.ZIP_STORED, inner=""):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in NAMES:
            archive.write(folder / name, inner + name)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("inner", ["", "generating-reviews/model/"])
def test_a_zip_is_the_same_model_as_its_folder(
    make_arrays, write_arrays, tmp_path, method, inner, assert_same_model
) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    path = zip_of(folder, tmp_path / "model.zip", method, inner)
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr(f"{inner}README.md", "what this is")
        archive.writestr(f"__MACOSX/{inner}._0.npy", "what a Mac adds")
    assert_same_model(load_model(path), load_model(folder))


def test_a_copy_of_the_repository_is_the_same_model_as_the_folder_in_it(
    make_arrays, write_arrays, assert_same_model
) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4), "repository/model")
    (folder.parent / "data").mkdir()
    (folder.parent / "data" / "train.csv").write_text("label,sentence\n")
    assert_same_model(load_model(folder.parent), load_model(folder))


def test_folders_that_are_no_model_say_what_they_are(tmp_path, write_arrays, shards, assert_refused) -> None:
    assert_refused(tmp_path, "is a folder, not a model file")
    assert_refused(write_arrays({"features": np.zeros(3)}, "others"), "is a folder, not a model file")
    (tmp_path / "others" / "classifier.pt").touch()
    assert_refused(tmp_path / "others", r"is a folder, not a model file; give .*others.classifier\.pt")
    assert_refused(shards, "is a shard folder, not a model; train one: 'sentneuron train ")


def test_two_models_in_one_folder_are_told(make_arrays, write_arrays, tmp_path, assert_refused) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4), "models/one")
    shutil.copytree(folder, folder.with_name("two"))
    assert_refused(folder.parent, r"holds arrays of a model in several folders: .*one, .*two; give one of them")


def test_a_zip_that_unpacks_to_far_more_than_its_size_is_refused(
    make_arrays, write_arrays, tmp_path, monkeypatch, assert_refused
) -> None:
    monkeypatch.setattr("sentneuron.core.model.importers.array_sources.MAX_EXTRA", 1 << 16)
    folder = write_arrays(make_arrays(nhid=8, emsize=4) | {"7": np.zeros((1000, 1000), "f4")})
    path = zip_of(folder, tmp_path / "bomb.zip", zipfile.ZIP_DEFLATED)
    assert_refused(path, r"unpacks to 4,0\d\d,\d+ bytes where 1\d\d,\d+ are the most for its size")


def test_a_zip_with_a_list_of_entries_that_would_fill_the_memory_is_not_looked_into(
    make_arrays, write_arrays, tmp_path, monkeypatch, assert_refused
) -> None:
    monkeypatch.setattr("sentneuron.core.model.importers.array_sources.MAX_DIRECTORY", 100)
    path = zip_of(write_arrays(make_arrays(nhid=8, emsize=4)), tmp_path / "model.zip")
    assert_refused(path, "is damaged")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_bit_in_a_zip_is_found_or_changes_nothing(
    make_arrays, write_arrays, tmp_path, method, assert_same_model
) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    path = zip_of(folder, tmp_path / "model.zip", method)
    content, whole = path.read_bytes(), load_model(folder)
    num_found = 0
    for place in range(0, len(content), 251):
        flipped = bytearray(content)
        flipped[place] ^= 4
        path.write_bytes(flipped)
        try:
            assert_same_model(load_model(path), whole)
        except DataError:
            num_found += 1
    assert num_found > 0.8 * len(range(0, len(content), 251))


def test_a_zip_with_a_missing_array_or_another_compression_is_told(
    make_arrays, write_arrays, tmp_path, assert_refused
) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "0.npy", "model/0.npy")
    assert_refused(path, r"1\.npy \(wx, .*\) is missing")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.write(folder / "0.npy", "model/0.npy")
    assert_refused(path, r"model/0\.npy is encrypted or compressed otherwise; unpack it first")
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "0.npy", "0.npy")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"))
    assert_refused(path, r"0\.npy is encrypted")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no model")
    assert_refused(path, "holds notes.txt|damaged|not a model")
