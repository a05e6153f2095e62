"""Files as `torch.save` wrote them before torch 1.6: sound ones are read; cut, changed and hostile ones are refused."""

import os
import pickle
import random
import re
from argparse import Namespace
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sentneuron.core.errors import DataError
from sentneuron.core.model import legacy_file
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.envelope import read_plain

SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
DICT = b"ccollections\nOrderedDict\n"
ITEMS = [(f"{index:05}", b"N") for index in range(1000)]


def dumped(value: object) -> bytes:
    return pickle.dumps(value, 2)


def text(value: str) -> bytes:
    """Text as Python 2 wrote it."""
    return b"U" + bytes([len(value)]) + value.encode()


def storage(key="12345678901234", count=4, more=b"N", kind="FloatStorage") -> bytes:
    head = b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cuda:0")
    return head + dumped(count)[2:-1] + more + b"tQ"


def tensor(function="_rebuild_tensor", more=b"", place=None) -> bytes:
    head = b"ctorch._utils\n" + function.encode() + b"\n("
    return head + (place or storage()) + b"K\x00K\x04\x85K\x01\x85" + more + b"tR"


def numbers(count: int = 4, *, told: int | None = None) -> bytes:
    return (count if told is None else told).to_bytes(8, "little", signed=True) + bytes(range(4 * count))


def legacy(values: bytes, *content: bytes, keys: object = ("12345678901234",), system: object = SYSTEM) -> bytes:
    """The file of a pickle's opcodes and storages."""
    keys = list(keys) if isinstance(keys, tuple) else keys
    return legacy_file.MAGIC + dumped(system) + b"\x80\x02" + values + b"." + dumped(keys) + b"".join(content)


V2 = "_rebuild_tensor_v2"
HOOKS = b"\x89" + DICT + b")R"

SOUND = {
    "torch 0.1": tensor(),
    "torch 0.4": tensor(V2, HOOKS),
    "a parameter": b"ctorch._utils\n_rebuild_parameter\n" + tensor(V2, HOOKS) + b"\x88" + DICT + b")R\x87R",
}


@pytest.mark.parametrize("name", SOUND)
def test_a_tensor_as_each_torch_wrote_it_is_read(name, tmp_path):
    (tmp_path / "old.pt").write_bytes(legacy(SOUND[name], numbers()))
    found = read_plain(tmp_path / "old.pt")
    assert found.numpy().tobytes() == bytes(range(16))


def test_what_python_2_wrote_is_read(tmp_path):
    """An ordered dict is made of pairs there, and text of bytes."""
    pairs = b"](](" + text("a") + tensor() + b"e](" + text("b") + b"T\x02\x00\x00\x00xye" + b"e"
    (tmp_path / "old.pt").write_bytes(legacy(DICT + pairs + b"\x85R", numbers()))
    found = read_plain(tmp_path / "old.pt")
    assert list(found) == ["a", "b"]
    assert found["b"] == "xy"


def test_storages_are_found_in_the_order_of_their_keys(tmp_path):
    values = b"(" + tensor(place=storage("9")) + tensor(place=storage("10", 5)) + b"t"
    (tmp_path / "old.pt").write_bytes(legacy(values, numbers(5), numbers(), keys=("10", "9")))
    first, second = read_plain(tmp_path / "old.pt")
    assert (first.untyped_storage().nbytes(), second.untyped_storage().nbytes()) == (16, 20)


def test_a_namespace_as_the_old_protocols_wrote_it_is_read(tmp_path):
    made = b"ccopy_reg\n_reconstructor\n(cargparse\nNamespace\nc__builtin__\nobject\nNtR}" + text("nhid") + b"K\x40sb"
    (tmp_path / "old.pt").write_bytes(legacy(made, keys=()))
    assert read_plain(tmp_path / "old.pt") == {"nhid": 64}


HOSTILE = {
    "another byte order": (legacy(b"N", keys=(), system=SYSTEM | {"little_endian": False}), "kind of processor"),
    "no system": (legacy(b"N", keys=(), system=[1]), "kind of processor"),
    "another version": (legacy(b"N").replace(b"M\xe9\x03.", b"M\xea\x03.", 1), "is a plain pickle"),
    "no keys": (legacy(tensor(), numbers(), keys=()), "its list of storages is not that of its values"),
    "a key too many": (legacy(b"N", numbers()), "its list of storages is not that of its values"),
    "a key twice": (legacy(tensor(), numbers(), numbers(), keys=("12345678901234",) * 2), "list of storages is not"),
    "another key": (legacy(tensor(), numbers(), keys=("1",)), "list of storages is not"),
    "keys that are numbers": (legacy(tensor(), numbers(), keys=(1,)), "the list of its storages makes no sense"),
    "keys that are text": (legacy(tensor(), numbers(), keys="12345678901234"), "storages makes no sense"),
    "a storage of another size": (legacy(tensor(), numbers(told=5)), "is not of the size that the list of its values"),
    "a storage of a negative size": (legacy(tensor(), numbers(told=-4)), "is not of the size that the list"),
    "a giant storage": (legacy(tensor(place=storage(count=1 << 40)), numbers(told=1 << 40)), "it is cut short"),
    "a storage of 2^62 numbers": (legacy(tensor(place=storage(count=1 << 62)), numbers()), "it is cut short"),
    "a storage of 2^64 numbers": (legacy(tensor(place=storage(count=1 << 64)), numbers()), "makes no sense"),
    "a view of a storage": (legacy(tensor(place=storage(more=b"(U\x011K\x00K\x04t")), numbers()), "makes no sense"),
    "something behind": (legacy(tensor(), numbers(), b"x"), "something follows its end"),
    "a second file behind": (legacy(tensor(), numbers()) * 2, "something follows its end"),
    "tensors that share numbers": (legacy(b"(" + tensor() * 3 + b"t", numbers()), "share their numbers"),
    "code": (legacy(b"cposix\nsystem\n" + text("touch canary") + b"\x85R"), r"holds code \(posix\.system\), not data"),
    "code in the system": (legacy(b"N").replace(b"}q\x00", b"cposix\nsystem\n)R}q\x00", 1), r"code \(posix\.system\)"),
    "code in a module": (legacy(b"(" + text("module") + b"cmodels\nStackedLSTM\nNNtQ"), r"\(models\.StackedLSTM\)"),
    "a pickle of a megabyte": (legacy(b"(" + b"N" * 1_000_000 + b"t", keys=()), "more than 262,144 bytes"),
    "deep tuples": (legacy(b")" + b"\x85" * 20_000, keys=()), "nested too deeply"),
    "no values": (legacy_file.MAGIC, "it is cut short"),
    "no data": (legacy(b"N", keys=()), "not a sentneuron model file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name, refused):
    content, expected = HOSTILE[name]
    line = refused(content)
    assert re.search(expected, line), line


def test_one_list_cannot_be_copied_many_times(refused):
    """Copied, it would be 200 million values, each of which may be small."""
    pairs = b"](" + b"".join(b"](" + text(key) + value + b"e" for key, value in ITEMS) + b"e"
    many = b"(" + pairs + b"q\x00" + (DICT + b"h\x00\x85R") * 7_000 + b"t"
    refused(legacy(many, keys=()))


@pytest.fixture(scope="module")
def old_model(tmp_path_factory):
    """A file of a module's state, as NVIDIA's are."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("old") / "model.pt"
    args = Namespace(nhid=4, load="x.pt", lr=5e-4, data=["a.csv"])
    state = {"encoder": torch.nn.LSTM(3, 4).state_dict(), "decoder": torch.nn.Linear(4, 8).state_dict(), "args": args}
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_every_cut_is_found(step, old_model, tmp_path):
    """At every byte of a small file, which are more than a thousand, and here and there in a real one."""
    path, real = tmp_path / "cut.pt", old_model.read_bytes()
    small = legacy(tensor(place=storage(count=200)), (200).to_bytes(8, "little") + bytes(800))
    assert len(small) > 1000
    cuts = [small[:length] for length in range(0, len(small), step)]
    for cut in cuts + [real[: len(real) * part // 40] for part in range(40)]:
        path.write_bytes(cut)
        with pytest.raises(DataError, match=r"cut\.pt is (empty|damaged: it is cut short|a plain pickle|not a model)"):
            read_plain(path)


def test_a_flipped_bit_is_found_or_changes_values_only(old_model, tmp_path):
    """There are no checksums: what the pickles and counts do not show changes a number or a text, and runs nothing."""
    content, path = old_model.read_bytes(), tmp_path / "flipped.pt"
    draw, num_found, num_changed = random.Random(0), 0, 0
    start = content.index(b"encoder")
    for number in range(200):
        position = draw.randrange(start if number % 2 else 0, len(content))
        flipped = bytes([content[position] ^ 1 << draw.randrange(8)])
        path.write_bytes(content[:position] + flipped + content[position + 1 :])
        try:
            read_plain(path)
            num_changed += 1
        except DataError:
            num_found += 1
    print(f"{num_found} found, {num_changed} not")
    assert num_found > 50


def test_pickled_modules_are_refused_by_their_name_and_not_run(tmp_path, refused):
    class Payload(torch.nn.Linear):
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "canary"),))

    torch.save({"rnn": torch.nn.LSTM(2, 3), "epoch": 1}, tmp_path / "x.pt", _use_new_zipfile_serialization=False)
    assert "holds code (torch.nn.modules.rnn.LSTM), not data" in refused(tmp_path / "x.pt")
    torch.save({"rnn": Payload(2, 3)}, tmp_path / "x.pt", _use_new_zipfile_serialization=False)
    assert "holds code (posix.mkdir), not data" in refused(tmp_path / "x.pt")


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "old.pt"
    path.write_bytes(legacy(tensor(), numbers()))
    with open(path, "rb", buffering=0) as file:
        found = legacy_file.LegacyFile(file, name="old.pt")
        os.truncate(path, path.stat().st_size - 1)
        with pytest.raises(DataError, match=r"old\.pt is damaged: it became shorter"):
            found.read_into(memoryview(bytearray(16)), "12345678901234")


PIECES = [bytes([code]) for code in range(256)] + [tensor(), storage(), numbers(), dumped(SYSTEM), dumped([]), DICT]
PIECES += [b"cargparse\nNamespace\n)\x81", dumped(["12345678901234"]), b"\x80\x02", b"cnumpy\ndtype\n", b"."]


@given(st.lists(st.sampled_from(PIECES), max_size=40))
@settings(deadline=None)
def test_any_bytes_behind_the_magic_number_are_data_or_refused(tmp_path_factory, pieces):
    path = tmp_path_factory.getbasetemp() / "fuzzed.pt"
    path.write_bytes(legacy_file.MAGIC + dumped(SYSTEM) + b"".join(pieces))
    with suppress(DataError):  # any other error fails the test
        load_model(path)
