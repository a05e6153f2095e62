"""OpenAI's folder of 15 arrays: it computes what the paper's equations do, and a wrong one is told in one line."""

import io
import json
import pickle
import shutil
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from sentneuron.cli import main
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError
from sentneuron.core.model.checkpoint import load_model, save_model

WITHIN = 1e-5
NAMES = [f"{number}.npy" for number in range(15)]


def reader(oracle, arrays, *, gates="ifou", without_gain=None, shift=0):
    """What the equations make of a text, from the 15 arrays in their published layout; at times with a fault."""
    a = {int(key): array.astype(np.float64) for key, array in arrays.items()}
    if without_gain is not None:
        a[without_gain] = np.ones_like(a[without_gain])
    layer = {
        "wx": oracle.normalized(a[1], a[9]),
        "wh": oracle.normalized(np.concatenate([a[2], a[3], a[4], a[5]], axis=1), a[10]),
        "wmx": oracle.normalized(a[6], a[11]),
        "wmh": oracle.normalized(a[7], a[12]),
        "b": a[8],
    }
    embedding = np.roll(a[0], shift, axis=0)
    return lambda text: oracle.read(text, embedding=embedding, layers=[layer], gates=gates, w=a[13], b=a[14])


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8", ">f4"])
def test_features_and_logits_are_those_of_the_papers_equations(
    make_arrays, write_arrays, oracle, observe, deviation, dtype
) -> None:
    arrays = make_arrays(dtype=dtype)
    assert deviation(observe(write_arrays(arrays)), reader(oracle, arrays)) < WITHIN


FAULTS = [
    *({"gates": gates} for gates in ("ifuo", "fiou", "iofu", "ofiu")),
    *({"without_gain": gain} for gain in (9, 10, 11, 12)),
    {"shift": 1},
    {"shift": -1},
]


def test_another_gate_order_a_dropped_gain_or_a_shifted_embedding_would_show(
    make_arrays, write_arrays, oracle, observe, deviation
) -> None:
    arrays = make_arrays(nhid=16, emsize=4)
    observed = observe(write_arrays(arrays))
    assert deviation(observed, reader(oracle, arrays), 5) < WITHIN
    for fault in FAULTS:
        assert deviation(observed, reader(oracle, arrays, **fault), 5) > 1000 * WITHIN, fault


def test_matrices_that_lie_column_by_column_are_the_same_model(make_arrays, write_arrays) -> None:
    arrays = make_arrays(nhid=8, emsize=4)
    folder = write_arrays({key: np.asfortranarray(array) for key, array in arrays.items()}, "turned")
    assert_same_model(load_model(folder), load_model(write_arrays(arrays)))


def test_arrays_larger_than_a_block_are_read_whole(make_arrays, write_arrays, monkeypatch) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    whole = load_model(folder)
    monkeypatch.setattr("sentneuron.core.model.importers.array_files.BLOCK", 100)  # three rows of a square
    assert_same_model(load_model(folder), whole)


def test_columns_that_hardly_have_a_length_mean_what_they_mean_to_tensorflow(
    make_arrays, write_arrays, oracle, observe, deviation, monkeypatch
) -> None:
    arrays = make_arrays(nhid=16, emsize=4)
    arrays["2"][:, 5] *= 1e-8
    arrays["6"][:, 3] = 0
    observed = observe(write_arrays(arrays))

    def l2_normalized(v, g):
        return v / np.sqrt(np.maximum((v**2).sum(axis=0), 1e-12)) * g

    with np.errstate(invalid="ignore"):
        assert not deviation(observed, reader(oracle, arrays), 5) < WITHIN
    monkeypatch.setattr(oracle, "normalized", l2_normalized)
    assert deviation(observed, reader(oracle, arrays), 5) < WITHIN


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("inner", ["", "generating-reviews/model/"])
def test_a_zip_is_the_same_model_as_its_folder(make_arrays, write_arrays, tmp_path, method, inner) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    path = zip_of(folder, tmp_path / "model.zip", method, inner)
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr(f"{inner}README.md", "what this is")
        archive.writestr(f"__MACOSX/{inner}._0.npy", "what a Mac adds")
    assert_same_model(load_model(path), load_model(folder))


def assert_same_model(one, other) -> None:
    assert one.rule == other.rule
    assert one.training == other.training
    for name, weight in other.model.state_dict().items():
        assert torch.equal(one.model.state_dict()[name], weight), name


def test_a_copy_of_the_repository_is_the_same_model_as_the_folder_in_it(make_arrays, write_arrays) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4), "repository/model")
    (folder.parent / "data").mkdir()
    (folder.parent / "data" / "train.csv").write_text("label,sentence\n")
    assert_same_model(load_model(folder.parent), load_model(folder))


def test_the_model_says_where_it_is_from_and_how_it_reads_text(make_arrays, write_arrays) -> None:
    saved = load_model(write_arrays(make_arrays(nhid=8, emsize=4)))
    assert saved.kind == "language-model"
    assert saved.rule == TextRule(name="openai")
    assert saved.training == {"imported": {"layout": "OpenAI", "id_offset": 0}}
    assert saved.sentiment_neuron is None
    assert saved.model.config.to_dict() == {
        "model": "mLSTM",
        "nhid": 8,
        "emsize": 4,
        "nlayers": 1,
        "dropout": 0.0,
        "tied": False,
        "weight_norm": True,
    }


def test_the_neuron_is_named_where_the_sizes_are_those_of_the_published_model(monkeypatch, make_arrays, write_arrays):
    monkeypatch.setattr("sentneuron.core.model.importers.openai.PUBLISHED", {"E": 4, "H": 8})
    monkeypatch.setattr("sentneuron.core.model.importers.openai.SENTIMENT_NEURON", 5)
    assert load_model(write_arrays(make_arrays(nhid=8, emsize=4))).sentiment_neuron == 5
    assert load_model(write_arrays(make_arrays(nhid=8, emsize=6), "wider")).sentiment_neuron is None


def test_saved_in_our_format_it_is_the_same_model(make_arrays, write_arrays, tmp_path) -> None:
    saved = load_model(write_arrays(make_arrays(nhid=8, emsize=4)))
    save_model(tmp_path / "model.pt", saved)
    assert_same_model(load_model(tmp_path / "model.pt"), saved)


def test_loading_takes_little_more_memory_than_the_model(make_arrays, write_arrays) -> None:
    folder = write_arrays(make_arrays(nhid=512, emsize=64))
    tracemalloc.start()  # which sees numpy's memory, not torch's: what is there beside the model
    try:
        load_model(folder)
        assert tracemalloc.get_traced_memory()[1] < 2 * 512 * 512 * 4
    finally:
        tracemalloc.stop()


# What a folder can be instead, and what the line must say; each changes a whole folder of 8 units and 4 numbers a byte.
def without(*keys):
    return lambda arrays: [arrays.pop(key) for key in keys]


def replaced(key, array):
    return lambda arrays: arrays.update({key: array})


BROKEN = {
    "no 7": (without("7"), r"model: 7\.npy is missing: wmh, \[8, 8\]"),
    "no 3, 4, 5": (without("3", "4", "5"), r"3\.npy is missing: .*\[8, 8\] \(2 more are missing too\)"),
    "only 0": (without(*map(str, range(1, 15))), r"1\.npy is missing: wx, \[4, 4H\] \(13 more"),
    "one too many": (replaced("15", np.zeros(3)), r"holds 15\.npy, which OpenAI's model does not have"),
    "another layout's": (replaced("embd", np.zeros((256, 4))), r"holds embd\.npy, which OpenAI's model does not"),
    "transposed": (replaced("6", np.zeros((8, 4), "f4")), r"6\.npy \(wmx\) is \[8, 4\], not \[4, 8\]"),
    "of a larger model": (replaced("7", np.zeros((16, 16), "f4")), r"7\.npy \(wmh\) is \[16, 16\], not \[8, 8\]"),
    "a vector too long": (replaced("9", np.zeros(33, "f4")), r"9\.npy \(gx\) is \[33\], not \[32\]"),
    "257 ids": (replaced("0", np.zeros((257, 4), "f4")), r"0\.npy \(embedding\) is \[257, 4\], not \[256, 4\]"),
    "another rank": (replaced("14", np.zeros((1, 256), "f4")), r"14\.npy \(output b\) is \[1, 256\], not \[256\]"),
    "a scalar": (replaced("8", np.array(1.0)), r"8\.npy \(b\) is \[\], not \[32\]"),
    "objects": (replaced("8", np.array([{}, []], object)), r"8\.npy holds pickled objects, which are not opened"),
    "whole numbers": (replaced("8", np.zeros(32, "i8")), r"8\.npy holds int64, not floating-point numbers"),
    "records": (replaced("8", np.zeros(32, [("a\x1b[31m", "f4")])), r"8\.npy holds .*, not floating-point numbers"),
    "not a number": (replaced("8", np.full(32, np.nan, "f4")), r"layers\.0\.bias holds numbers that are not finite"),
    "too large for fp32": (replaced("14", np.full(256, 1e300)), r"decoder\.bias holds numbers that are not finite"),
    "empty": (replaced("0", np.zeros((256, 0), "f4")), r"0\.npy \(embedding\) is \[256, 0\], not \[256, 4\]"),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.filterwarnings("error")
def test_a_broken_folder_is_told_in_one_line(make_arrays, write_arrays, case) -> None:
    change, message = BROKEN[case]
    arrays = make_arrays(nhid=8, emsize=4)
    change(arrays)
    assert_refused(write_arrays(arrays), message)


def assert_refused(path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_model(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).isprintable()
    assert caught.value.hint


CONTENTS = {
    "a pickle": (pickle.dumps([1, 2, 3]), r"5\.npy is no array in numpy's format"),
    "text": (b"not an array", r"5\.npy is no array"),
    "nothing": (b"", r"5\.npy is no array"),
    "a deep header": (b"\x93NUMPY\x01\x00\x10\x27" + b"(" * 10_000, r"5\.npy is no array"),
    "a header without end": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr': ", r"5\.npy is no array"),
    "version 3": (b"\x93NUMPY\x03\x00" + bytes(100), r"5\.npy is no array"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_what_is_no_array_is_not_opened(make_arrays, write_arrays, case) -> None:
    content, message = CONTENTS[case]
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    (folder / "5.npy").write_bytes(content)
    assert_refused(folder, message)


@pytest.mark.parametrize("end", [200, 383, 385, 1000])
def test_an_array_cut_short_or_with_more_behind_it_is_told(make_arrays, write_arrays, end) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    path = folder / "5.npy"
    assert path.stat().st_size == 384
    path.write_bytes(path.read_bytes().ljust(end, b"\0")[:end])
    assert_refused(folder, r"5\.npy has \d+ bytes where its shape, \[8, 8\], takes 384|5\.npy has 1,000 bytes")


def test_a_claimed_size_takes_no_memory(make_arrays, write_arrays) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1 << 20)})
    (folder / "5.npy").write_bytes(header.getvalue())
    assert_refused(folder, r"5\.npy has 128 bytes where its shape, \[1099511627776, 1048576\], takes 4,6")


def test_folders_that_are_no_model_say_what_they_are(tmp_path, write_arrays, shards) -> None:
    assert_refused(tmp_path, "is a folder, not a model file")
    assert_refused(write_arrays({"features": np.zeros(3)}, "others"), "is a folder, not a model file")
    assert_refused(shards, "is a shard folder, not a model; train one: 'sentneuron train ")


def test_two_models_in_one_folder_are_told(make_arrays, write_arrays, tmp_path) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4), "models/one")
    shutil.copytree(folder, folder.with_name("two"))
    assert_refused(folder.parent, r"holds arrays of a model in several folders: .*one, .*two; give one of them")


def test_a_zip_that_unpacks_to_far_more_than_its_size_is_refused(
    make_arrays, write_arrays, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("sentneuron.core.model.importers.array_sources.MAX_EXTRA", 1 << 16)
    folder = write_arrays(make_arrays(nhid=8, emsize=4) | {"7": np.zeros((1000, 1000), "f4")})
    path = zip_of(folder, tmp_path / "bomb.zip", zipfile.ZIP_DEFLATED)
    assert_refused(path, r"unpacks to 4,0\d\d,\d+ bytes where 1\d\d,\d+ are the most for its size")


def test_a_zip_with_a_list_of_entries_that_would_fill_the_memory_is_not_looked_into(
    make_arrays, write_arrays, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("sentneuron.core.model.importers.array_sources.MAX_DIRECTORY", 100)
    path = zip_of(write_arrays(make_arrays(nhid=8, emsize=4)), tmp_path / "model.zip")
    assert_refused(path, "is damaged")


def zip_of(folder, path, method=zipfile.ZIP_STORED, inner=""):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in NAMES:
            archive.write(folder / name, inner + name)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_bit_in_a_zip_is_found_or_changes_nothing(make_arrays, write_arrays, tmp_path, method) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    path = zip_of(folder, tmp_path / "model.zip", method)
    content, whole = path.read_bytes(), load_model(folder)
    num_found = 0
    for place in range(0, len(content), 127):
        flipped = bytearray(content)
        flipped[place] ^= 4
        path.write_bytes(flipped)
        try:
            assert_same_model(load_model(path), whole)
        except DataError:
            num_found += 1
    assert num_found > 0.8 * len(range(0, len(content), 127))


def test_a_zip_with_a_missing_array_or_another_compression_is_told(make_arrays, write_arrays, tmp_path) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "0.npy", "model/0.npy")
    assert_refused(path, r"1\.npy is missing: wx")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.write(folder / "0.npy", "model/0.npy")
    assert_refused(path, r"model/0\.npy is encrypted or compressed otherwise; unpack it first")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no model")
    assert_refused(path, "holds notes.txt|damaged|not a model")


@pytest.mark.slow
def test_transfer_classify_and_heatmap_take_the_folder(
    make_arrays, write_arrays, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    write_arrays(make_arrays(nhid=8, emsize=4))
    words = ["bad", "good"]
    lines = [f"{number % 2},a {words[number % 2]} film <b>&amp;</b> no. {number} ä" for number in range(60)]
    (tmp_path / "small.csv").write_text("label,text\n" + "\n".join(lines) + "\n")

    assert main(["transfer", "model", "--data", "small.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "model"
    made = load_model(tmp_path / "model_transfer" / "classifier.pt")
    assert made.rule == TextRule(name="openai")
    assert made.imported == {"layout": "OpenAI", "id_offset": 0}
    assert_same_weights(made, load_model(tmp_path / "model"))

    assert main(["classify", "small.csv", "-q"]) == 0
    assert len(np.load("small.probs.npy")) == 60

    text = "Ä <b>&amp;</b> \U0001f600  good"
    words = ["--text", text, "--model", "model", "--neuron", "3", "--save", "out.jsonl"]
    assert main(["generate", "--heatmap", *words]) == 0
    [sample] = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sample["text"] == text
    assert len(sample["values"]) == len(text)
    assert len(set(sample["values"][5:10])) == 1  # `&amp;` is one byte
    assert len(set(sample["values"][14:18])) == 4  # an emoji is four, and each of three spaces one


def assert_same_weights(one, other) -> None:
    for name, weight in other.model.state_dict().items():
        assert torch.equal(one.model.state_dict()[name], weight), name
