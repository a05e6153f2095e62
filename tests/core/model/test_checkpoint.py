"""Model files describe themselves, round-trip exactly, and are refused in one line when they cannot be used."""

import copy
from dataclasses import replace

import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, InputNotFoundError
from sentneuron.core.model.checkpoint import SavedModel, load_model, save_contents, save_model
from sentneuron.core.model.language_model import LanguageModel


def make_saved(**settings) -> SavedModel:
    torch.manual_seed(3)
    config = ModelConfig(**({"nhid": 10, "emsize": 4} | settings))
    training = {"steps": 7, "bits_per_byte": 2.5}
    return SavedModel(
        kind="language-model", model=LanguageModel(config), rule=TextRule(keep_unicode=True), training=training
    )


@pytest.mark.parametrize(
    "settings",
    [{}, {"nlayers": 2}, {"model": "GRU", "weight_norm": False}, {"tied": True, "emsize": 10}],
    ids=["plain", "two layers", "GRU without weight norm", "tied"],
)
def test_a_model_comes_back_exactly(tmp_path, settings):
    saved, path = make_saved(**settings), tmp_path / "model.pt"
    save_model(path, saved)
    loaded = load_model(path)
    assert loaded.model.config == saved.model.config
    assert loaded.rule == saved.rule
    assert loaded.training == saved.training
    assert loaded.kind == "language-model"
    for name, tensor in saved.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name


def test_a_classifier_without_scales_and_strengths_comes_back(tmp_path):
    """As an imported one is."""
    regression = {"weight": torch.ones(1, 10), "bias": torch.zeros(1), "C": None}
    classifier = {"classes": ["0", "1"], "multi_label": False, "pooling": "last", "all_layers": False, "scale": None}
    classifier |= {
        "all": regression,
        "neurons": copy.deepcopy(regression) | {"indices": list(range(10))},
        "sentiment_neuron": 0,
    }
    save_model(tmp_path / "it.pt", replace(make_saved(), kind="classifier", classifier=classifier))
    loaded = load_model(tmp_path / "it.pt")
    assert loaded.classifier is not None
    assert (loaded.classifier["scale"], loaded.classifier["all"]["C"], loaded.sentiment_neuron) == (None, None, 0)


def test_half_precision_halves_the_file_and_loads_as_fp32(tmp_path):
    saved = make_saved(nhid=128)
    save_model(tmp_path / "full.pt", saved)
    save_model(tmp_path / "half.pt", saved, dtype=torch.float16)
    assert (tmp_path / "half.pt").stat().st_size < 0.55 * (tmp_path / "full.pt").stat().st_size
    loaded = load_model(tmp_path / "half.pt").model
    for name, tensor in saved.model.state_dict().items():
        assert loaded.state_dict()[name].dtype == torch.float32
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(InputNotFoundError, match=r"no\.pt does not exist"):
        load_model(tmp_path / "no.pt")


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    save_model(path, make_saved(nhid=64))
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(DataError, match="damaged"):
        load_model(path)
    flipped = bytearray(good)
    offset = good.index(b"PK\x01\x02") // 2
    flipped[offset] ^= 1
    path.write_bytes(bytes(flipped))
    with pytest.raises(DataError, match="damaged"):
        load_model(path)


def test_a_text_file_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    path.write_text("label,text\n1,good\n")
    with pytest.raises(DataError, match="not a model file"):
        load_model(path)


class Payload:
    """What a hostile file would run on loading."""

    def __reduce__(self):
        return (print, ("ran",))


def test_code_in_a_file_is_not_run(tmp_path, capsys):
    path = tmp_path / "model.pt"
    torch.save({"format": "sentneuron", "version": 1, "encoder": Payload()}, path)
    with pytest.raises(DataError, match=r"holds code \(__builtin__\.print\), not data"):
        load_model(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "format version 2"),
        ({"format": "other"}, "not a sentneuron model"),
        ({"kind": "resume"}, "resume file, not a model"),
        ({"encoder": {}}, "not a usable model"),
        ({"training": {"sentiment_neuron": 10}}, "sentiment_neuron is none of 10 units"),
        ({"training": {"imported": 1}}, "training is no record"),
        ({"config": {"nhid": 11}}, "not a usable model"),
        ({"config": {"nhid": "many", "emsize": 4}}, "not a usable model"),
        ({"config": {"color": "red"}}, "not a usable model"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_reason(tmp_path, changes, message):
    path = tmp_path / "model.pt"
    save_model(path, make_saved())
    contents = torch.load(path, weights_only=True)
    save_contents(path, contents | changes)
    with pytest.raises(DataError, match=message):
        load_model(path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    saved = make_saved()
    with torch.no_grad():
        saved.model.decoder.bias[3] = float("nan")
    save_model(tmp_path / "model.pt", saved)
    with pytest.raises(DataError, match="not finite"):
        load_model(tmp_path / "model.pt")
