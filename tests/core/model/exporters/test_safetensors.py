"""A model that was exported as safetensors comes back to the bit, with all its parts; a damaged file does not."""

import json
import random

import pytest
import torch
from safetensors.torch import load_file

from sentneuron.core.config import ExportConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, StorageError
from sentneuron.core.model import exporters
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.exporters.safetensors import export_safetensors


def parts_of(content: bytes) -> tuple[dict, bytes]:
    """The header of such a file, and its numbers."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def file_of(header: object, numbers: bytes = b"") -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(content).to_bytes(8, "little") + content + numbers


@pytest.fixture
def sound(make_saved, tmp_path):
    """The bytes of a sound file."""
    export_safetensors(tmp_path / "sound.safetensors", make_saved(with_classifier=True))
    return (tmp_path / "sound.safetensors").read_bytes()


@pytest.mark.parametrize(
    "settings",
    [
        {"with_classifier": True},
        {"with_classifier": True, "weight_norm": False, "nlayers": 2},
        {"tied": True, "emsize": 8, "rule": TextRule()},
        {"model": "GRU"},
    ],
    ids=["classifier", "two layers, no weight norm", "tied", "GRU"],
)
def test_everything_comes_back_to_the_bit(settings, make_saved, assert_same, tmp_path):
    saved = make_saved(**settings)
    assert export_safetensors(tmp_path / "m.safetensors", saved) == []
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.kind == saved.kind
    assert loaded.model.config == saved.model.config
    assert loaded.rule == saved.rule
    assert_same(loaded.model.state_dict(), saved.model.state_dict())
    assert_same(loaded.classifier, saved.classifier)
    assert_same(loaded.training, saved.training)


def test_it_is_found_by_its_content_and_read_by_other_programs(make_saved, tmp_path):
    saved = make_saved()
    export_safetensors(tmp_path / "model.pt", saved)
    assert load_model(tmp_path / "model.pt").model.config == saved.model.config
    found = load_file(tmp_path / "model.pt")
    assert found.keys() == saved.model.state_dict().keys()
    assert torch.equal(found["layers.0.weight_hh_v"], saved.model.layers[0].weight_hh_v)


@pytest.mark.parametrize("name", ["", "n", "no", "nom"])
def test_numbers_start_where_they_may_be_read_in_place(name, make_saved, tmp_path):
    saved = make_saved()
    saved.training = {"name": name}
    export_safetensors(tmp_path / "m", saved)
    assert int.from_bytes((tmp_path / "m").read_bytes()[:8], "little") % 8 == 0


def test_the_same_model_gives_the_same_bytes_and_a_file_that_all_may_read(make_saved, tmp_path):
    for name in "ab":
        export_safetensors(tmp_path / name, make_saved(with_classifier=True))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_file_that_another_tool_rewrote_without_the_checksum_is_read(sound, tmp_path):
    header, numbers = parts_of(sound)
    del header["__metadata__"]["checksum"]
    (tmp_path / "m").write_bytes(file_of(header, numbers))
    assert load_model(tmp_path / "m").kind == "classifier"


def test_half_precision_is_read(sound, tmp_path):
    header, numbers = parts_of(sound)
    del header["__metadata__"]["checksum"]
    names = sorted((name for name in header if name != "__metadata__"), key=lambda name: header[name]["data_offsets"])
    for name in names:
        header[name] |= {"dtype": "F16", "data_offsets": [end // 2 for end in header[name]["data_offsets"]]}
    half = torch.frombuffer(bytearray(numbers), dtype=torch.float32).half()
    (tmp_path / "m").write_bytes(file_of(header, half.numpy().tobytes()))
    weight = load_model(tmp_path / "m").model.embedding.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight.half().flatten(), half[: weight.numel()])


def test_no_flipped_bit_gives_another_model(sound, tmp_path, assert_same):
    path = tmp_path / "m.safetensors"
    path.write_bytes(sound)
    whole = load_model(path)
    length = 8 + int.from_bytes(sound[:8], "little")
    chance = random.Random(1)
    places = [
        *range(64),
        *chance.sample(range(64, 8 * length), 60),
        *chance.sample(range(8 * length, 8 * len(sound)), 30),
    ]
    lines = []
    for place in places:
        flipped = bytearray(sound)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            loaded = load_model(path)
        except DataError as error:
            lines.append(str(error))
        else:
            assert_same(loaded.model.state_dict(), whole.model.state_dict())
            assert_same(loaded.classifier, whole.classifier)
            assert_same(loaded.training, whole.training)
            assert (loaded.rule, loaded.model.config) == (whole.rule, whole.model.config)
    assert len(lines) > 0.9 * len(places)
    assert all(line.startswith(str(path)) and line.isprintable() for line in lines)


@pytest.mark.parametrize("cut", [1, 9, 500, -500, -1])
def test_a_truncated_file_is_refused(cut, sound, refused):
    assert "damaged" in refused(sound[:cut])


def hostile_files(sound: bytes) -> dict[str, tuple[bytes, str]]:
    """Files that lie, each with what the line about it says."""
    header, numbers = parts_of(sound)
    plain = header["__metadata__"]
    weights = {name: place for name, place in header.items() if name != "__metadata__"}

    def changed(**metadata: str) -> bytes:
        given = {name: value for name, value in (plain | metadata).items() if name != "checksum"}
        return file_of({"__metadata__": given, **weights}, numbers)

    huge = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}
    empty = {"dtype": "F32", "shape": [1 << 62, 0], "data_offsets": [len(numbers), len(numbers)]}
    return {
        "no metadata": (file_of(weights, numbers), "does not say what model"),
        "another's metadata": (file_of({"__metadata__": {"format": "pt"}, **weights}, numbers), "does not say"),
        "newer version": (changed(sentneuron="2"), "version 2, this program reads 1"),
        "steering version": (changed(sentneuron="\x1b[2J"), "has version"),
        "unknown metadata": (changed(other="1"), "metadata holds other"),
        "no JSON": (changed(config="{"), "not a usable model"),
        "deep JSON": (changed(training="[" * 100_000 + "]" * 100_000), "not a usable model"),
        "long number": (changed(training='{"steps": ' + "9" * 5000 + "}"), "not a usable model"),
        "config is a list": (changed(config="[]"), "not a usable model"),
        "huge config": (changed(config='{"nhid": 1048576, "emsize": 4}'), "not a usable model"),
        "unknown rule": (changed(text='{"name": "other"}'), "text rule 'other' is unknown"),
        "classifier is a number": (changed(classifier="3"), "not a usable model"),
        "classifier is missing": (changed(classifier="null"), "not a usable model"),
        "training is a list": (changed(training="[]"), "training is no record"),
        "huge tensor": (file_of({"__metadata__": plain, "a": huge}), "damaged"),
        "empty tensor of huge shape": (file_of({**header, "a": empty}, numbers), "a"),
        "overlapping": (file_of({**header, "a": weights["embedding.weight"]}, numbers), "damaged"),
        "header of nothing": (file_of(b"{}"), "does not say"),
        "deep header": (file_of(b'{"a":' + b"[" * 100_000), "damaged"),
        "long header": ((1 << 40).to_bytes(8, "little") + b"{", "damaged"),
    }


@pytest.mark.parametrize("lie", hostile_files(file_of({"__metadata__": {}, "embedding.weight": {}})))
def test_a_hostile_file_is_refused_in_one_line(lie, sound, refused):
    content, expected = hostile_files(sound)[lie]
    assert expected in refused(content)


def test_weights_that_are_not_the_models_are_refused(sound, refused):
    header, numbers = parts_of(sound)
    del header["__metadata__"]["checksum"]
    header["layers.0.weight_xx"] = header.pop("layers.0.weight_hh_v")
    assert "layers.0.weight_hh_v is missing" in refused(file_of(header, numbers))


def test_what_json_cannot_hold_is_refused_and_the_old_file_stays(make_saved, tmp_path):
    saved, path = make_saved(), tmp_path / "m.safetensors"
    path.write_text("old")
    saved.training = {"what": b"bytes"}
    with pytest.raises(DataError, match="holds what JSON cannot"):
        export_safetensors(path, saved)
    saved.training = {"what": "x" * (1 << 20)}
    with pytest.raises(DataError, match="more than 1,048,576 bytes of metadata"):
        export_safetensors(path, saved)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_disk_that_fills_leaves_the_old_file(make_saved, tmp_path, monkeypatch):
    def fail(self, data):
        raise OSError(28, "No space left on device")

    (tmp_path / "m").write_text("old")
    monkeypatch.setattr("sentneuron.core.early_flush.EarlyFlushing.write", fail)
    with pytest.raises(StorageError, match=r"cannot write .*: No space left on device \(.* MB free\)"):
        export_safetensors(tmp_path / "m", make_saved())
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("m", "old")]


def test_the_command_takes_one_back_to_our_own_format(make_saved, assert_same, save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = make_saved(with_classifier=True)
    there = exporters.export(ExportConfig(model=save(saved), layout="safetensors"))
    assert there.output.name == "model.safetensors"
    assert there.num_bytes == there.output.stat().st_size
    back = exporters.export(ExportConfig(model=there.output, layout="sentneuron"))
    assert back.output.name == "model.sentneuron.pt"
    loaded = load_model(back.output)
    assert_same(vars(loaded) | {"model": loaded.model.state_dict()}, vars(saved) | {"model": saved.model.state_dict()})
