"""Model files of version 1 that lie in tests/data: whatever becomes of the format, they are read, and mean the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.classifier import Classifier
from sentneuron.core.transfer.features import featurize

DATA = Path(__file__).parents[2] / "data"
PLAIN, CLASSIFIER = DATA / "version_1.pt", DATA / "version_1_classifier.pt"
TEXT = "A café, and I loved it <3"
TRAINING = {
    "steps": 1708,
    "bytes": 13991936,
    "bits_per_byte": 1.7579301678356587,
    "valid_bits_per_byte": 1.7620252510020984,
    "seconds": 7116.846466392999,
    "data_fingerprint": "8e67cc31ceb34d95",
    "settings": {"optim": "Adam", "lr": 0.006, "max_steps": None, "weight_norm": True},
    "versions": {"torch": "2.13.0+cpu", "python": "3.11.7"},
    "test_bits_per_byte": 1.7488437027866155,
}
LAST = [0.2074282, -0.2635201, 0.1576753, -0.5464364, -0.1569595, 1.377930, -0.2075578, 0.2016305]
LOGITS = [-1.1057782, 0.8498627, 0.9495697]
MEAN = [0.2856532, -0.3481619, 0.3136576, -0.2595924, 0.01677656, 0.6198553, -0.3010953, -0.03538361]
BY_ALL, BY_TWO = 0.4920508, 0.3826478
"""Computed when the files were made."""
SHAPES = {
    "embedding.weight": (256, 3),
    "layers.0.weight_ih": (32, 3),
    "layers.0.weight_hh": (32, 8),
    "layers.0.bias": (32,),
    "layers.0.weight_mih": (8, 3),
    "layers.0.weight_mhh": (8, 8),
    "decoder.weight": (256, 8),
    "decoder.bias": (256,),
}


def numbers(*shape: int, start: int = 0) -> torch.Tensor:
    """What the files hold; as in tests/data/README.md."""
    return ((torch.arange(start, start + int(np.prod(shape))) * 37 % 101 - 50) / 64).reshape(shape)


def expected_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    values = {name: numbers(*shapes[name], start=start) for start, name in enumerate(sorted(shapes))}
    return {name: value.abs() if name.endswith("_g") else value for name, value in values.items()}


def weight_normed(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    found = {}
    for name, shape in shapes.items():
        is_normed = name.startswith("layers.") and name != "layers.0.bias"
        found |= {f"{name}_v": shape, f"{name}_g": shape[:1]} if is_normed else {name: shape}
    return found


@pytest.mark.parametrize(
    ("path", "weight_norm", "shapes"), [(PLAIN, True, weight_normed(SHAPES)), (CLASSIFIER, False, SHAPES)]
)
def test_weights_and_record_are_read(path, weight_norm, shapes):
    saved = load_model(path)
    assert saved.model.config == ModelConfig(model="mLSTM", nhid=8, emsize=3, nlayers=1, weight_norm=weight_norm)
    state = saved.model.state_dict()
    expected = expected_weights(shapes)
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        assert state[name].dtype == torch.float32
        assert torch.equal(state[name], tensor), name
    assert saved.training == TRAINING


def test_a_language_model_means_the_same():
    saved = load_model(PLAIN)
    assert (saved.kind, saved.classifier) == ("language-model", None)
    assert saved.rule == TextRule(name="sentneuron", version=1, keep_unicode=False)
    assert saved.rule.clean(TEXT) == b"\n A cafe, and I loved it <3 "
    found = featurize(Runner(saved.model), [saved.rule.clean(TEXT)])[0]
    np.testing.assert_allclose(found, LAST, rtol=1e-5)
    ids = torch.tensor([list(saved.rule.clean("I loved"))])
    logits, _ = saved.model(ids, saved.model.initial_state(1))
    np.testing.assert_allclose(logits[0, -1, [0, 32, 122]].detach(), LOGITS, rtol=1e-5)


def test_a_classifier_means_the_same():
    saved = load_model(CLASSIFIER)
    values = saved.classifier
    assert saved.kind == "classifier"
    assert saved.rule == TextRule(name="sentneuron", version=1, keep_unicode=True)
    plain = {name: value for name, value in values.items() if name not in ("all", "neurons", "scale")}
    assert plain == {
        "classes": ["neg", "pos"],
        "multi_label": False,
        "pooling": "mean",
        "all_layers": False,
        "sentiment_neuron": 7,
    }
    assert values["all"].keys() == {"weight", "bias", "C"}
    assert torch.equal(values["all"]["weight"], numbers(1, 8))
    assert torch.equal(values["all"]["bias"], numbers(1, start=3))
    assert values["all"]["C"] == 0.25
    assert values["neurons"].keys() == {"indices", "weight", "bias", "C"}
    assert values["neurons"]["indices"] == [7, 2]
    assert torch.equal(values["neurons"]["weight"], numbers(1, 2, start=5))
    assert torch.equal(values["neurons"]["bias"], numbers(1, start=9))
    assert values["neurons"]["C"] == 1.0
    assert torch.equal(values["scale"], numbers(8).abs() + 0.125)

    text = saved.rule.clean(TEXT)
    assert text == "\n A café, and I loved it <3 ".encode()
    np.testing.assert_allclose(featurize(Runner(saved.model), [text], pooling="mean")[0], MEAN, rtol=1e-5)
    for neurons, probability in ((None, BY_ALL), (2, BY_TWO)):
        scored = Classifier(saved, name="it", neurons=neurons).score([TEXT])
        np.testing.assert_allclose(scored.probabilities, [[1 - probability, probability]], rtol=1e-5)
        np.testing.assert_allclose(scored.neuron, MEAN[-1:], rtol=1e-5)
