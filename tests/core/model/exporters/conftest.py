"""Models to export, and what it means that one came back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.model.assembly import SavedModel
from sentneuron.core.model.checkpoint import save_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.features import featurize

TEXTS = [b"\n I loved it ", b"\n caf\xc3\xa9, dull and long ", b"\n  "]
TRAINING = {"steps": 7, "bits_per_byte": 1.1 + 2.2, "settings": {"max_steps": None, "lr": 5e-4}, "name": "café \ud800"}


def make_saved(*, with_classifier: bool = False, rule: TextRule | None = None, **settings: object) -> SavedModel:
    """A model whose every number is random, with a classifier or without."""
    torch.manual_seed(5)
    model = LanguageModel(ModelConfig(**({"nhid": 8, "emsize": 3} | settings)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.rand_like(parameter) + 0.5 if name.endswith("_g") else torch.randn_like(parameter))
    nhid = model.config.nhid
    classifier = {
        "classes": ["neg", "pos"],
        "multi_label": False,
        "pooling": "last",
        "all_layers": False,
        "all": {"weight": torch.randn(1, nhid), "bias": torch.randn(1), "C": 2**-5},
        "neurons": {"indices": [5, 2], "weight": torch.randn(1, 2), "bias": torch.randn(1), "C": 1 / 3},
        "sentiment_neuron": 5,
        "scale": torch.rand(nhid) + 0.1,
    }
    return SavedModel(
        kind="classifier" if with_classifier else "language-model",
        model=model.eval(),
        rule=rule or TextRule(keep_unicode=True),
        classifier=classifier if with_classifier else None,
        training=TRAINING,
    )


def assert_same(one: object, two: object) -> None:
    """Hold plain values and tensors against each other, to the bit."""
    if isinstance(one, torch.Tensor):
        assert isinstance(two, torch.Tensor)
        assert one.dtype == two.dtype
        assert torch.equal(one, two)
    elif isinstance(one, dict):
        assert isinstance(two, dict)
        assert one.keys() == two.keys()
        for name in one:
            assert_same(one[name], two[name])
    else:
        assert type(one) is type(two)
        assert one == two


def features_of(saved: SavedModel) -> np.ndarray:
    """Features of three texts, each its own bytes whatever the rule."""
    return featurize(Runner(saved.model), TEXTS)


@pytest.fixture(name="make_saved")
def _make_saved():
    return make_saved


@pytest.fixture(name="assert_same")
def _assert_same():
    return assert_same


@pytest.fixture(name="features_of")
def _features_of():
    return features_of


@pytest.fixture
def save(tmp_path):
    """Save a model in our own format, and return the path."""

    def save(saved: SavedModel) -> Path:
        save_model(tmp_path / "model.pt", saved)
        return tmp_path / "model.pt"

    return save
