"""Arrays in `.npy` files: read whole in little memory, and in one line what is wrong with a file or a folder."""

import io
import pickle
import tracemalloc

import numpy as np
import pytest

from sentneuron.core.model.checkpoint import load_model


def test_matrices_that_lie_column_by_column_are_the_same_model(make_arrays, write_arrays, assert_same_model) -> None:
    arrays = make_arrays(nhid=8, emsize=4)
    folder = write_arrays({key: np.asfortranarray(array) for key, array in arrays.items()}, "turned")
    assert_same_model(load_model(folder), load_model(write_arrays(arrays)))


def test_arrays_larger_than_a_block_are_read_whole(make_arrays, write_arrays, monkeypatch, assert_same_model) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    whole = load_model(folder)
    monkeypatch.setattr("sentneuron.core.model.importers.array_files.BLOCK", 100)  # three rows of a square
    assert_same_model(load_model(folder), whole)


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
    "no 7": (without("7"), r"model: 7\.npy \(wmh, \[8, 8\]\) is missing; "),
    "no 3, 4, 5": (without("3", "4", "5"), r"3\.npy \(wh.*, \[8, 8\]\) is missing, and 2 more"),
    "only 0": (without(*map(str, range(1, 15))), r"1\.npy \(wx, \[4, 4H\]\) is missing, and 13 more"),
    "one too many": (
        replaced("15", np.zeros(3)),
        r"holds 15\.npy as well; OpenAI's model is 15 \.npy files, 0 to 14; take",
    ),
    "another layout's": (replaced("embd", np.zeros((256, 4))), r"holds embd\.npy as well; OpenAI's model is"),
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
def test_a_broken_folder_is_told_in_one_line(make_arrays, write_arrays, case, assert_refused) -> None:
    change, message = BROKEN[case]
    arrays = make_arrays(nhid=8, emsize=4)
    change(arrays)
    assert_refused(write_arrays(arrays), message)


CONTENTS = {
    "a pickle": (pickle.dumps([1, 2, 3]), r"5\.npy is no array in numpy's format"),
    "text": (b"not an array", r"5\.npy is no array"),
    "nothing": (b"", r"5\.npy is no array"),
    "a deep header": (b"\x93NUMPY\x01\x00\x10\x27" + b"(" * 10_000, r"5\.npy is no array"),
    "a header without end": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr': ", r"5\.npy is no array"),
    "version 3": (b"\x93NUMPY\x03\x00" + bytes(100), r"5\.npy is no array"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_what_is_no_array_is_not_opened(make_arrays, write_arrays, case, assert_refused) -> None:
    content, message = CONTENTS[case]
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    (folder / "5.npy").write_bytes(content)
    assert_refused(folder, message)


@pytest.mark.parametrize("end", [200, 383, 385, 1000])
def test_an_array_cut_short_or_with_more_behind_it_is_told(make_arrays, write_arrays, end, assert_refused) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    path = folder / "5.npy"
    assert path.stat().st_size == 384
    path.write_bytes(path.read_bytes().ljust(end, b"\0")[:end])
    assert_refused(folder, r"5\.npy has \d+ bytes where its shape, \[8, 8\], takes 384|5\.npy has 1,000 bytes")


def test_a_claimed_size_takes_no_memory(make_arrays, write_arrays, assert_refused) -> None:
    folder = write_arrays(make_arrays(nhid=8, emsize=4))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1 << 20)})
    (folder / "5.npy").write_bytes(header.getvalue())
    assert_refused(folder, r"5\.npy has 128 bytes where its shape, \[1099511627776, 1048576\], takes 4,6")
