"""Plain data in a sound envelope that make no model: refused with the reason, before memory is taken for them."""

import re

import pytest
import torch

from sentneuron.core.errors import DataError
from sentneuron.core.model.checkpoint import load_contents, load_model, save_contents

NUM_UNITS = 4
CLASSIFIER = {
    "classes": ["0", "1"],
    "multi_label": False,
    "pooling": "mean",
    "all_layers": False,
    "all": {"weight": torch.ones(1, NUM_UNITS), "bias": torch.zeros(1), "C": 1.0},
    "neurons": {"weight": torch.ones(1, 2), "bias": torch.zeros(1), "C": 1.0, "indices": [3, 0]},
    "sentiment_neuron": 3,
    "scale": torch.tensor([1.0, 2.0, 3.0, 4.0]),
}
BIAS = "layers.0.bias"

HOSTILE = {
    "a model of 10^9 units": ({"config": {"nhid": 10**9}}, "not a usable"),
    "a model of 2^62 units": ({"config": {"nhid": 2**62}}, "not a usable"),
    "a model of 2^20 units": ({"config": {"nhid": 1 << 20}}, r"decoder\.weight is \[256, 4\], not \[256, 1048576\]"),
    "10^9 layers": ({"config": {"nlayers": 10**9}}, "--nlayers is above"),
    "128 layers": ({"config": {"nlayers": 128}}, r"layers\.1\.bias is missing"),
    "no units": ({"config": {"nhid": 0}}, "--nhid is 0"),
    "units that are text": ({"config": {"nhid": "4"}}, "not a usable"),
    "half a unit": ({"config": {"nhid": 4.5}}, "not a usable"),
    "a config that is a list": ({"config": [1]}, "not a usable"),
    "an unknown cell": ({"config": {"model": "cell"}}, "not a usable"),
    "a cell that is a list": ({"config": {"model": []}}, "not a usable"),
    "another cell": ({"config": {"model": "GRU"}}, r"layers\.0\.bias is \[16\], not \[12\]"),
    "dropout that is not a number": ({"config": {"dropout": float("nan")}}, "--dropout is nan"),
    "wrong shape": ({"encoder": {BIAS: torch.zeros(15)}}, r"layers\.0\.bias is \[15\], not \[16\]"),
    "wrong dimensions": ({"encoder": {BIAS: torch.zeros(16, 1)}}, r"layers\.0\.bias is \[16, 1\], not \[16\]"),
    "not a number": ({"encoder": {BIAS: torch.full((16,), float("nan"))}}, "numbers that are not finite"),
    "infinite in half": ({"encoder": {BIAS: torch.full((16,), 1e9).half()}}, "numbers that are not finite"),
    "whole numbers": ({"encoder": {BIAS: torch.zeros(16, dtype=torch.long)}}, r"of type torch\.int64"),
    "doubles": ({"encoder": {BIAS: torch.zeros(16).double()}}, r"of type torch\.float64"),
    "a weight that is a list": ({"encoder": {BIAS: [0.0] * 16}}, r"layers\.0\.bias is missing"),
    "a weight too many": ({"encoder": {"x\x1b[2J": torch.zeros(2)}}, "is no weight of such a model"),
    "a weight without a name": ({"encoder": {7: torch.zeros(2)}}, "7 is no weight of such a model"),
    "no encoder": ({"encoder": None}, "not a usable"),
    "a decoder that is a list": ({"decoder": [1]}, "not a usable"),
    "no text rule": ({"text": None}, "not a usable"),
    "an unknown text rule": ({"text": {"name": "x"}}, "text rule 'x' is unknown"),
    "a training record that is text": ({"training": "x"}, "training is no record"),
    "a kind that is a list": ({"kind": ["x"] * 1000}, "file, not a model"),
    "a version that is a list": ({"version": ["x"] * 1000}, "format version"),
    "one class": ({"classifier": {"classes": ["0"]}}, "classes are not"),
    "a class without a name": ({"classifier": {"classes": ["0", 1]}}, "classes are not"),
    "a class too many": ({"classifier": {"classes": ["0", "1", "2"]}}, r"all\.weight is \[1, 4\], not \[3, 4\]"),
    "an unknown pooling": ({"classifier": {"pooling": "x"}}, "pooling is unknown"),
    "no regression": ({"classifier": {"all": None}}, "not a usable"),
    "a strength that is not finite": ({"classifier": {"all": CLASSIFIER["all"] | {"C": float("inf")}}}, "all.C is not"),
    "a neuron that is not there": ({"classifier": {"neurons": {"indices": [4, 0]}}}, "indices are not those of 4"),
    "no neuron": ({"classifier": {"neurons": {"indices": []}}}, "indices are not those of 4 units"),
    "a neuron that is true": ({"classifier": {"neurons": {"indices": [True, 0]}}}, "indices are not those of 4 units"),
    "another neuron": ({"classifier": {"sentiment_neuron": 4}}, "sentiment_neuron is none of 4 units"),
    "a neuron before the first": ({"classifier": {"sentiment_neuron": -1}}, "sentiment_neuron is none of 4 units"),
    "a neuron that is a list": ({"classifier": {"sentiment_neuron": [0]}}, "sentiment_neuron is none of 4 units"),
    "a neuron without a scale": ({"classifier": {"scale": torch.ones(3)}}, r"scale is \[3\], not \[4\]"),
    "a neuron that fills at 0": ({"classifier": {"scale": torch.tensor([1, 2, 0, 1.0])}}, "scale is not above zero"),
    "a neuron that never fills": ({"classifier": {"scale": torch.full((4,), float("inf"))}}, "scale holds numbers"),
    "a scale that is a list": ({"classifier": {"scale": [1.0] * 4}}, "scale is missing"),
    "labels that are no claim": ({"classifier": {"multi_label": 1}}, "is neither true nor false"),
    "layers that are no claim": ({"classifier": {"all_layers": None}}, "is neither true nor false"),
    "labels without rows": ({"classifier": {"multi_label": True}}, r"all\.weight is \[1, 4\], not \[2, 4\]"),
    "labels that are none": ({"classifier": {"multi_label": True, "classes": []}}, "classes are not 1 names"),
    "a classifier that is a list": ({"classifier": [1]}, "not a usable"),
}


def merged(values: object, changes: object) -> object:
    if not (isinstance(values, dict) and isinstance(changes, dict)):
        return changes
    return values | {name: merged(values.get(name), change) for name, change in changes.items()}


@pytest.fixture
def written(small_model, tmp_path):
    """Write a classifier file with changes, and return its content."""

    def write(changes):
        contents = load_contents(small_model) | {"kind": "classifier", "classifier": CLASSIFIER}
        path = tmp_path / "changed.pt"
        save_contents(path, merged(contents, changes))
        return path

    return write


@pytest.mark.parametrize("name", HOSTILE)
def test_contents_that_make_no_model_are_refused(name, written, refused):
    changes, expected = HOSTILE[name]
    line = refused(written(changes).read_bytes())
    assert re.search(expected, line), line


def test_without_a_change_they_make_one(written):
    assert load_model(written({})).classifier["classes"] == ["0", "1"]


def test_one_label_of_its_own_is_enough(written):
    path = written({"classifier": {"classes": ["anger"], "multi_label": True}})
    assert load_model(path).classifier["classes"] == ["anger"]


@pytest.mark.slow
def test_every_entry_of_a_classifier_is_needed(written, tmp_path, refused):
    path = written({})
    contents = load_contents(path)
    for name in CLASSIFIER:
        less = {key: value for key, value in CLASSIFIER.items() if key != name}
        save_contents(tmp_path / "less.pt", contents | {"classifier": less})
        assert f"'{name}'" in refused((tmp_path / "less.pt").read_bytes())


def test_missing_entries_are_named(written, small_model, tmp_path, refused):
    contents = load_contents(small_model)
    for name in contents.keys() - {"format", "version", "kind"}:
        save_contents(tmp_path / "less.pt", {key: value for key, value in contents.items() if key != name})
        assert f"'{name}'" in refused((tmp_path / "less.pt").read_bytes())


def test_what_could_not_be_read_again_is_not_written(written, tmp_path):
    path = written({})
    before = path.read_bytes()
    many = [f"{number:09}" for number in range(30_000)]
    for training in ({"steps": 2**70}, {"names": many}, {"tensor": torch.zeros(2, 3).t()}):
        with pytest.raises(DataError, match=r"changed\.pt"):
            written({"training": training})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["changed.pt"]
