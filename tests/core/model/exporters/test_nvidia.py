"""What is exported to NVIDIA's layout has the names and shapes of their state dicts, and comes back to the bit."""

import numpy as np
import pytest
import torch

from sentneuron.core.config import ExportConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError
from sentneuron.core.model import exporters
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.exporters.nvidia import export_nvidia
from sentneuron.core.transfer.classifier import Classifier

NVIDIA = TextRule(name="nvidia")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.nvidia.pt"


def test_names_and_shapes_are_those_of_their_state_dicts(make_saved, path):
    saved = make_saved()
    export_nvidia(path, saved)
    found = torch.load(path, weights_only=True)
    assert list(found) == ["encoder", "decoder"]
    assert list(found["encoder"]) == ["encoder", "rnn"]
    assert {name: tuple(part.shape) for name, part in found["encoder"]["rnn"].items()} == {
        "rnns.0.w_ih_v": (32, 3),
        "rnns.0.w_ih_g": (32, 1),
        "rnns.0.w_hh_v": (32, 8),
        "rnns.0.w_hh_g": (32, 1),
        "rnns.0.w_mih_v": (8, 3),
        "rnns.0.w_mih_g": (8, 1),
        "rnns.0.w_mhh_v": (8, 8),
        "rnns.0.w_mhh_g": (8, 1),
        "rnns.0.b_ih": (32,),
        "rnns.0.b_hh": (32,),
    }
    layer = saved.model.layers[0]
    assert torch.equal(found["encoder"]["rnn"]["rnns.0.w_hh_v"], layer.weight_hh_v)
    assert torch.equal(found["encoder"]["rnn"]["rnns.0.b_ih"], layer.bias)
    assert not found["encoder"]["rnn"]["rnns.0.b_hh"].any()
    assert {name: tuple(part.shape) for name, part in found["decoder"].items()} == {"weight": (256, 8), "bias": (256,)}
    assert found["encoder"]["encoder"]["weight"].shape == (256, 3)


def test_a_bias_of_zeros_is_not_written_as_their_models_without_have_none(make_saved, path):
    saved = make_saved(weight_norm=False)
    with torch.no_grad():
        saved.model.layers[0].bias.zero_()
    export_nvidia(path, saved)
    names = torch.load(path, weights_only=True)["encoder"]["rnn"]
    assert list(names) == ["rnns.0.w_ih", "rnns.0.w_hh", "rnns.0.w_mih", "rnns.0.w_mhh"]
    assert not load_model(path).model.layers[0].bias.any()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_norm": False, "nlayers": 3},
        {"tied": True, "emsize": 8},
        {"model": "LSTM", "nlayers": 2},
        {"model": "GRU"},
    ],
    ids=["plain", "three layers, no weight norm", "tied", "LSTM", "GRU"],
)
def test_the_same_parameters_and_features_come_back(settings, make_saved, features_of, assert_same, path):
    saved = make_saved(rule=NVIDIA, **settings)
    assert export_nvidia(path, saved) == ["the training record"]
    loaded = load_model(path)
    assert loaded.kind == "language-model"
    assert loaded.rule == NVIDIA
    assert loaded.model.config == saved.model.config
    assert_same(loaded.model.state_dict(), saved.model.state_dict())
    np.testing.assert_array_equal(features_of(loaded), features_of(saved))


def test_a_classifier_decides_the_same_when_it_came_back(make_saved, assert_same, path):
    saved = make_saved(with_classifier=True, rule=NVIDIA)
    assert export_nvidia(path, saved) == [
        "the classes' names",
        "the second regression",
        "the neurons' scale",
        "the training record",
    ]
    found = torch.load(path, weights_only=True)["classifier"]
    assert found["neurons"] is None
    assert {name: tuple(found[name].shape) for name in ("weight", "bias")} == {"weight": (1, 8), "bias": (1,)}
    loaded = load_model(path)
    assert loaded.kind == "classifier"
    assert_same(loaded.model.state_dict(), saved.model.state_dict())
    for name in ("weight", "bias"):
        assert_same(loaded.classifier["all"][name], saved.classifier["all"][name])
    texts = ["I loved it", "dull & long"]
    one, two = (Classifier(each, name="it").score(texts).probabilities for each in (saved, loaded))
    np.testing.assert_array_equal(one, two)


def test_a_classifier_on_all_layers_comes_back_as_one(make_saved, path):
    saved = make_saved(with_classifier=True, rule=NVIDIA, nlayers=2)
    weight = torch.randn(1, 16)
    saved.classifier |= {"all_layers": True, "scale": None, "all": saved.classifier["all"] | {"weight": weight}}
    assert export_nvidia(path, saved) == ["the classes' names", "the second regression", "the training record"]
    loaded = load_model(path)
    assert loaded.all_layers
    assert torch.equal(loaded.classifier["all"]["weight"], weight)


@pytest.mark.parametrize(
    ("settings", "classifier", "what"),
    [
        ({"model": "RNNReLU"}, {}, "has RNNReLU cells, which the layout does not tell from others"),
        ({"with_classifier": True}, {"multi_label": True}, "has a classifier of several labels"),
        ({"with_classifier": True}, {"classes": ["a", "b", "c"]}, "has a classifier of more than two classes"),
        ({"with_classifier": True}, {"pooling": "mean"}, "has a classifier on mean or hidden states"),
    ],
)
def test_a_model_that_the_layout_cannot_hold_is_refused(settings, classifier, what, make_saved, path):
    saved = make_saved(**settings)
    if classifier:
        saved.classifier |= classifier
    with pytest.raises(DataError, match=rf"it {what}.*; give --format safetensors"):
        export_nvidia(path, saved)
    assert not path.exists()


def test_a_file_without_a_decoder_stays_one(make_saved, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export_nvidia(path, make_saved(with_classifier=True))
    contents = torch.load(path, weights_only=True)
    del contents["decoder"]
    torch.save(contents, path)
    report = exporters.export(ExportConfig(model=path, layout="nvidia"))
    assert report.output.name == "model.nvidia.nvidia.pt"
    assert list(torch.load(report.output, weights_only=True)) == ["encoder", "classifier"]
    with pytest.raises(DataError, match="the model has no decoder"):
        exporters.export(ExportConfig(model=path, layout="openai"))


def test_half_precision_comes_back_in_the_same_numbers(make_saved, assert_same, path, tmp_path):
    export_nvidia(path, make_saved(rule=NVIDIA))
    contents = torch.load(path, weights_only=True)
    half = {name: part.half() for name, part in contents["encoder"]["rnn"].items()}
    torch.save(contents | {"encoder": {"encoder": contents["encoder"]["encoder"], "rnn": half}}, path)
    exporters.export(ExportConfig(model=path, layout="nvidia", output=tmp_path / "again.pt"))
    again = torch.load(tmp_path / "again.pt", weights_only=True)["encoder"]["rnn"]
    for name, part in half.items():
        assert again[name].dtype == torch.float32
        assert_same(again[name].half(), part)


def test_an_imported_file_becomes_one_of_ours(make_saved, assert_same, path, tmp_path):
    export_nvidia(path, make_saved(with_classifier=True))
    exporters.export(ExportConfig(model=path, layout="sentneuron", output=tmp_path / "ours.pt"))
    one, two = load_model(path), load_model(tmp_path / "ours.pt")
    assert torch.load(tmp_path / "ours.pt", weights_only=True)["format"] == "sentneuron"
    assert_same(vars(one) | {"model": one.model.state_dict()}, vars(two) | {"model": two.model.state_dict()})
