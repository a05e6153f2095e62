"""Which model is taken when none is named."""

from pathlib import Path

import pytest

from sentneuron.core.errors import InputNotFoundError
from sentneuron.core.model import locate


def test_the_named_model_comes_first_then_the_one_here_then_the_pretrained_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pretrained = tmp_path / "package" / "classifier.pt"
    monkeypatch.setattr(locate, "PRETRAINED", pretrained)
    with pytest.raises(InputNotFoundError, match="no pretrained model"):
        locate.find_model(None)
    pretrained.parent.mkdir()
    pretrained.touch()
    assert locate.find_model(None) == (pretrained, "the pretrained model")
    (tmp_path / "model_transfer").mkdir()
    (tmp_path / "model_transfer" / "classifier.pt").touch()
    assert locate.find_model(None)[1] == "model_transfer/classifier.pt"
    (tmp_path / "mine.pt").touch()
    assert locate.find_model("mine.pt")[1] == "mine.pt"


def test_a_named_model_that_is_missing_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputNotFoundError, match=r"mine\.pt does not exist"):
        locate.find_model("mine.pt")


def test_features_are_those_of_the_model_named_then_the_one_here_then_the_pretrained_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pretrained = tmp_path / "pretrained.pt"
    monkeypatch.setattr(locate, "PRETRAINED", pretrained)
    with pytest.raises(InputNotFoundError, match="no pretrained model"):
        locate.find_language_model(None)
    pretrained.touch()
    assert locate.find_language_model(None) == (pretrained, "the pretrained model")
    Path("model.pt").touch()
    assert locate.find_language_model(None) == (Path("model.pt"), "model.pt")
    assert locate.find_language_model("mine.pt") == (Path("mine.pt"), "mine.pt")
