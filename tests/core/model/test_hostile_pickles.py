"""Pickles that are not plain data: nothing in them runs, little memory is taken, and one line says what is wrong."""

import pickle
import random
import re
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sentneuron.core.errors import DataError
from sentneuron.core.model.envelope import read_plain
from sentneuron.core.model.plain_pickle import parse_pickle

COMMAND = "touch canary"
DAMAGED = "is damaged: the list of its values makes no sense"


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def plain(value: object) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def called(function: str, *arguments: bytes) -> bytes:
    return b"c" + function.encode() + b"\n(" + b"".join(arguments) + b"tR"


def storage(key="0", kind="torch\nFloatStorage", count=4, location="cpu", tag="storage") -> bytes:
    return b"(" + text(tag) + b"c" + kind.encode() + b"\n" + text(key) + text(location) + plain(count) + b"tQ"


def tensor(offset=0, size=(4,), stride=(1,), place=None) -> bytes:
    hooks = b"ccollections\nOrderedDict\n)R"
    rebuild = "torch._utils\n_rebuild_tensor_v2"
    return called(rebuild, place or storage(), plain(offset), plain(size), plain(stride), b"\x89", hooks)


def contents(encoder: bytes, end: bytes = b".") -> bytes:
    head = text("format") + text("sentneuron") + text("version") + plain(1) + text("kind") + text("language-model")
    return b"\x80\x02}(" + head + text("encoder") + encoder + b"u" + end


LAUGHS = b"()q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"t"
"""A tuple that counts 2^60 values when it is written out."""

SPACE = b"cargparse\nNamespace\n)\x81"


def remade(kind: str) -> bytes:
    return called("copy_reg\n_reconstructor", b"c" + kind.encode() + b"\n", b"c__builtin__\nobject\n", b"N")


def number(kind: str, content: bytes, order: str = "<") -> bytes:
    dtype = (
        called("numpy\ndtype", text(kind), plain(0), plain(1)) + plain((3, order, None, None, None, -1, -1, 0)) + b"b"
    )
    return called("numpy.core.multiarray\nscalar", dtype, content)


ITEMS = b"}q\x00(" + b"".join(plain(index) + b"N" for index in range(20_000)) + b"u"

HOSTILE = {
    # Code
    "REDUCE": (called("posix\nsystem", text(COMMAND)), r"holds code \(posix\.system\), not data"),
    "INST": (b"(" + text(COMMAND) + b"iposix\nsystem\n", r"holds code \(posix\.system\)"),
    "OBJ": (b"(cposix\nsystem\n" + text(COMMAND) + b"o", r"holds code \(posix\.system\)"),
    "OBJ on a known class": (b"(ccollections\nOrderedDict\n" + text(COMMAND) + b"o", "holds code"),
    "STACK_GLOBAL": (text("posix") + text("system") + b"\x93" + text(COMMAND) + b"\x85R", r"code \(posix\.system\)"),
    "NEWOBJ": (b"ctorch\nFloatStorage\n)\x81", r"holds code \(torch\.FloatStorage\)"),
    "NEWOBJ of a function": (b"cposix\nsystem\n" + text(COMMAND) + b"\x85\x81", r"holds code \(posix\.system\)"),
    "NEWOBJ_EX": (b"ccollections\nOrderedDict\n)}\x92", r"holds code \(NEWOBJ_EX\)"),
    "BUILD": (text("x") + b"}b", r"holds code \(str\)"),
    "BUILD of a class": (b"cargparse\nNamespace\n}b", r"holds code \(argparse\.Namespace\)"),
    "BUILD of a namespace with code": (SPACE + b"}" + text("x") + b"cposix\nsystem\nsb", r"code \(posix\.system\)"),
    "BUILD of a namespace with slots": (SPACE + b"}}\x86b", r"holds code \(Namespace\)"),
    "BUILD of a dict with a list": (b"ccollections\nOrderedDict\n)R]b", r"holds code \(dict\)"),
    "a namespace that is given values": (called("argparse\nNamespace", b"]"), r"code \(argparse\.Namespace\)"),
    "another class made again": (remade("collections\nOrderedDict"), r"code \(copy_reg\._reconstructor\)"),
    "a class as a value": (b"cargparse\nNamespace\n", "holds a Global where a value belongs"),
    "a class of numpy": (b"cnumpy.core.multiarray\n_reconstruct\n", r"code \(numpy\.core\.multiarray\._reconstruct"),
    "a kind of number that is none": (called("numpy\ndtype", text("O8")), r"code \(numpy\.dtype\)"),
    "a kind of number that takes for ever": (called("numpy\ndtype", LAUGHS), r"code \(numpy\.dtype\)"),
    "a number that is too short": (number("f8", text("1234567")), DAMAGED),
    "a number of another byte order": (number("f8", text("12345678"), order=">"), DAMAGED),
    "a number of no kind": (called("numpy.core.multiarray\nscalar", b"N", text("x")), DAMAGED),
    "a long text to be encoded": (called("_codecs\nencode", text("x" * 9), text("latin1")), r"_codecs\.encode"),
    "a text of another encoding": (called("_codecs\nencode", text("x"), text("rot13")), r"_codecs\.encode"),
    "bytes as a value": (called("_codecs\nencode", text("x"), text("latin1")), "holds a bytes where a value belongs"),
    "EXT1": (b"\x82\x01", r"holds code \(1\)"),
    "EXT2": (b"\x83\x01\x01", "holds code"),
    "EXT4": (b"\x84\x01\x01\x01\x01", "holds code"),
    "getattr": (called("__builtin__\ngetattr", text("a"), text("b")), r"__builtin__\.getattr"),
    "a pickle in a pickle": (called("_pickle\nloads", text("cposix\nsystem\n.")), r"_pickle\.loads"),
    "what torch.load trusts": (called("torch._tensor\n_rebuild_from_type_v2", b"N"), "holds code"),
    "a call of a storage": (called("torch\nFloatStorage", plain(1 << 40)), r"holds code \(torch\.FloatStorage\)"),
    "a call of text": (text("posix.system") + text(COMMAND) + b"\x85R", r"holds code \(str\)"),
    "a dict made of no pairs": (called("collections\nOrderedDict", plain([[1, 2], [3]])), DAMAGED),
    "a dict made of a text": (called("collections\nOrderedDict", text("ab")), DAMAGED),
    "a dict made of pairs with a list as a key": (called("collections\nOrderedDict", plain([[[], 2]])), DAMAGED),
    "a name that writes on the screen": (b"cposix\nsystem\x1b[2J\n", r"posix\.system\\x1b"),
    "PERSID": (b"Pstorage\n", "more than plain data .*PERSID"),
    "a persistent id of another kind": (storage(tag="module"), DAMAGED),
    "bytes": (b"C\x02ab", "more than plain data .*SHORT_BINBYTES"),
    "a set": (called("__builtin__\nset", b"]"), "holds code"),
    # Storages and tensors
    "a giant storage": (tensor(place=storage(count=1 << 31)), "data/0 is not of the size"),
    "a storage without an entry": (tensor(place=storage(key="1")), "is not of the size"),
    "a storage outside": (tensor(place=storage(key="../0")), DAMAGED),
    "a storage declared twice": (b"(" + tensor() + tensor(place=storage(count=2)) + b"t", "declared twice"),
    "a storage of a negative size": (tensor(place=storage(count=-4)), DAMAGED),
    "a storage of a foreign device": (tensor(place=storage(location="meta")), DAMAGED),
    "an unknown type": (tensor(place=storage(kind="torch\nComplexDoubleStorage")), "ComplexDoubleStorage"),
    "a storage as a value": (storage(), "holds a StoragePlace where a value belongs"),
    "a function as a value": (b"ccollections\nOrderedDict\n", "holds a Global where a value belongs"),
    "a view of 2^40 numbers": (tensor(size=(1 << 40,), stride=(0,)), "does not lie in storage 0"),
    "a view of 2^93 numbers": (tensor(size=(1 << 31,) * 3, stride=(0, 0, 0)), "does not lie in storage 0"),
    "a stride of 0": (tensor(size=(3,), stride=(0,)), "does not lie in storage 0"),
    "a negative stride": (tensor(size=(3,), stride=(-1,)), DAMAGED),
    "a negative offset": (tensor(offset=-1), DAMAGED),
    "a negative size": (tensor(size=(-4,)), DAMAGED),
    "an offset behind the end": (tensor(offset=1), "does not lie in storage 0"),
    "rows that overlap": (tensor(size=(2, 2), stride=(1, 1)), "does not lie in storage 0"),
    "columns that overlap": (tensor(size=(2, 2), stride=(2, 2)), "does not lie in storage 0"),
    "columns that end outside": (tensor(size=(2, 2), stride=(1, 3)), "does not lie in storage 0"),
    "fewer strides than sizes": (tensor(size=(2, 2), stride=(1,)), DAMAGED),
    "a parameter of nothing": (called("torch._utils\n_rebuild_parameter", b"N", b"\x88", b"N"), "holds code"),
    "a view of a storage": (tensor(place=storage()[:-2] + plain(("1", 0, 4)) + b"tQ"), DAMAGED),
    "40 dimensions": (tensor(size=(1,) * 40, stride=(1,) * 40), DAMAGED),
    "a tensor that is a number wide": (tensor(size=(2.0,)), DAMAGED),
    "tensors that share numbers": (b"(" + tensor() * 3 + b"t", "share their numbers"),
    # Time and memory
    "a megabyte": (plain([0.5] * 120_000), "data.pkl has 1,.* bytes where 262,144 are the most"),
    "deep tuples": (b")" + b"\x85" * 200_000, "nested too deeply"),
    "deep lists": (b"]" * 100_000 + b"a" * 99_999, "nested too deeply"),
    "a list in itself": (b"]q\x00h\x00a", "nested too deeply"),
    "a tuple that doubles": (LAUGHS, "nested too deeply, or repeats itself"),
    "a key that takes for ever to hash": (b"}" + LAUGHS + b"Ns", DAMAGED),
    "a list as a key": (b"}]Ns", DAMAGED),
    "a long text many times": (b"(" + text("x" * 100_000) + b"q\x00" + b"h\x00" * 50_000 + b"t", "repeats itself"),
    "text longer than the file": (b"X\xff\xff\xff\x7fab", DAMAGED),
    "text of 2^60 bytes": (b"\x8d" + (1 << 60).to_bytes(8, "little") + b"ab", DAMAGED),
    "a number of 100,000 digits": (b"L" + b"9" * 100_000 + b"L\n", DAMAGED),
    "a number of 255 bytes": (b"\x8a\xff" + b"\x7f" * 255, DAMAGED),
    "a number of 2^31 bytes": (b"\x8b\xff\xff\xff\x7fab", DAMAGED),
    "one dict in many namespaces": (b"(" + ITEMS + (SPACE + b"h\x00b") * 4000 + b"t", "repeats itself"),
    "one list many times": (b"]q\x00" + b"(h\x00h\x00h\x00l" * 10, "more than plain data .*LIST"),
    # Nonsense
    "a short stack": (b"a", DAMAGED),
    "a mark that is missing": (b"t", DAMAGED),
    "nothing at the index": (b"h\x09", DAMAGED),
    "an unknown opcode": (b"\xff", DAMAGED),
    "items of a number": (b"K\x01Na", DAMAGED),
    "half a pair": (b"}(Nu", DAMAGED),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused(name, make_parts, zipped, refused):
    encoder, expected = HOSTILE[name]
    line = refused(zipped(make_parts(contents(encoder), _0=bytes(16))))
    assert re.search(expected, line), line


@pytest.mark.parametrize(
    ("end", "expected"),
    [(b".\x80\x02N.", "something follows"), (b"", "makes no sense"), (b"N.", "makes no sense")],
    ids=["a second pickle", "no end", "two values left"],
)
def test_a_pickle_is_one_value_and_nothing_else(make_parts, zipped, refused, end, expected):
    assert expected in refused(zipped(make_parts(contents(tensor(), end), _0=bytes(16))))


def test_a_plain_pickle_made_by_hand_is_read(make_parts, zipped, tmp_path):
    """So the hostile ones are refused for what is hostile in them."""
    path = tmp_path / "model.pt"
    numbers = torch.arange(4.0)
    body = b"(" + tensor(1, (2, 1), (1, 77)) + tensor(3, (), ()) + tensor(4, (0, 3), (5, 5))
    body += tensor(0, (2, 2), (1, 2)) + b"t"
    path.write_bytes(zipped(make_parts(contents(body), _0=numbers.numpy().tobytes())))
    pair, single, nothing, turned = read_plain(path)["encoder"]
    assert pair.tolist() == [[1.0], [2.0]]
    assert single.tolist() == 3.0
    assert nothing.shape == (0, 3)
    assert turned.tolist() == [[0.0, 2.0], [1.0, 3.0]]


@pytest.mark.parametrize("version", [b"2\n", b"3\n"])
def test_a_zip_as_torch_1_6_wrote_it_is_read(version, part, make_parts, zipped, tmp_path):
    """No entry but values, storages under the numbers of their addresses, and the version."""
    pickle = b"\x80\x02" + tensor(place=storage(key="94286217932784")) + b"."
    parts = [entry for entry in make_parts(pickle, _94286217932784=bytes(16)) if not entry.name.endswith("byteorder")]
    (tmp_path / "old.pt").write_bytes(zipped([*parts[:1], *parts[2:], part("archive/version", version)]))
    assert read_plain(tmp_path / "old.pt").tolist() == [0.0] * 4


@given(st.lists(st.sampled_from([bytes([code]) for code in range(256)] + [tensor(), storage(), LAUGHS]), max_size=40))
@settings(deadline=None)
def test_any_bytes_are_plain_data_or_refused(pieces):
    with suppress(DataError):  # any other error fails the test
        parse_pickle(b"\x80\x02" + b"".join(pieces) + b".", name="model.pt")


def test_a_changed_byte_in_a_sound_pickle_gives_data_or_is_refused(sound_parts):
    """The checksum would find it; whoever writes a hostile file writes that, too."""
    content = next(part.content for part in sound_parts if part.name.endswith("data.pkl"))
    draw, num_refused = random.Random(0), 0
    for _ in range(1000):
        position = draw.randrange(len(content))
        changed = content[:position] + bytes([draw.randrange(256)]) + content[position + 1 :]
        try:
            parse_pickle(changed, name="model.pt")
        except DataError:
            num_refused += 1
    assert num_refused > 300
