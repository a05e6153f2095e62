"""All neurons together: their values are the classifier's score, byte by byte, whatever it stands on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sentneuron.core.config import GenerateConfig, ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import UsageError
from sentneuron.core.generation.generate import generate
from sentneuron.core.generation.neurons import ALL, ShownNeuron
from sentneuron.core.generation.watch import make_watch
from sentneuron.core.model.checkpoint import SavedModel
from sentneuron.core.model.classifier_parts import make_network
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.classifier import Classifier

TEXT = "I loved it, until the end"
UNITS = 8


def make_classifier(pooling="mean", *, cell="mLSTM", nlayers=1, network=False):
    torch.manual_seed(2)
    model = LanguageModel(ModelConfig(model=cell, nhid=UNITS, emsize=4, nlayers=nlayers))
    with torch.no_grad():
        model.decoder.weight.mul_(20)
    features = UNITS * nlayers
    hidden = [(torch.randn(6, features), torch.randn(6))] if network else []
    parts = {
        "classes": ["negative", "positive"],
        "multi_label": False,
        "pooling": pooling,
        "all_layers": nlayers > 1,
        "all": {"weight": torch.randn(1, 6 if network else features), "bias": torch.tensor([0.3]), "C": 1.0},
        "neurons": None if network else {
            "indices": [3], "weight": torch.ones(1, 1), "bias": torch.zeros(1), "C": 1.0
        },
        "sentiment_neuron": 3,
        "scale": torch.full((features,), 0.25),
    }  # fmt: skip
    if network:
        parts["network"] = make_network(hidden, 0.1)
    return SavedModel(kind="classifier", model=model, rule=TextRule(), classifier=parts)


def log_odds(saved, text):
    probability = Classifier(saved, name="model").score([text]).probabilities[0, 1].astype(np.float64)
    return np.log(probability / (1 - probability))


def watched(saved, text):
    """What is watched after each byte that a classifier reads of a text."""
    runner = Runner(saved.model, all_layers=saved.all_layers)
    watch = make_watch(runner, ShownNeuron(index=ALL), saved.classifier)
    state, values = runner.initial_state(1), []
    for byte in saved.rule.clean(text):
        state = runner.step(torch.tensor([byte]), state)
        values.append(float(watch(state)))
    return values


def values_of(saved, text, **more):
    return generate(saved, GenerateConfig(text=text, neuron="all", gen_length=0, **more)).samples[0].values


@pytest.mark.parametrize(
    "form",
    [
        {"pooling": "last"},
        {"pooling": "hidden"},
        {"pooling": "last", "network": True},
        {"pooling": "hidden", "network": True},
        {"pooling": "last", "nlayers": 2},
        {"pooling": "last", "cell": "GRU"},
    ],
    ids=str,
)
def test_the_last_value_is_the_score_of_the_text_so_far(form):
    saved = make_classifier(**form)
    for length in (1, 7, 11):
        text = TEXT[:length]
        assert watched(saved, text)[-1] == pytest.approx(log_odds(saved, text), abs=1e-4)


@pytest.mark.parametrize("nlayers", [1, 2])
def test_with_means_over_the_text_the_score_is_the_mean_of_the_bytes_values(nlayers):
    saved = make_classifier("mean", nlayers=nlayers)
    assert np.mean(watched(saved, TEXT)) == pytest.approx(log_odds(saved, TEXT), abs=1e-4)


def test_the_heatmap_shows_these_values():
    saved = make_classifier()
    by_byte = watched(saved, TEXT)  # before the text a line break and a space, behind it a space
    assert values_of(saved, TEXT) == pytest.approx(by_byte[2:-1], abs=1e-5)


def test_the_scale_has_two_named_sides_and_is_the_models_own():
    saved = make_classifier()
    made = [generate(saved, GenerateConfig(text=text, neuron="all", heatmap=True)) for text in ("a", TEXT)]
    assert made[0].scale == made[1].scale
    scale = made[0].scale
    assert scale.limit > 0
    assert scale.describe() == (f"scale: red {scale.red} (negative) … green {scale.green} (positive), all neurons")
    assert (scale.direction, scale.red[0], scale.green[0]) == (1, "-", "+")
    assert made[0].samples[0].to_dict()["neuron"] == "all"
    flipped = generate(saved, GenerateConfig(text="a", neuron="all", heatmap=True, negate=True)).scale
    assert (flipped.direction, flipped.red_class) == (-1, "positive")


def test_what_is_pinned_beside_it_is_the_heaviest_neuron():
    saved = make_classifier()
    said = []
    made = generate(saved, GenerateConfig(text="a", gen_length=9, neuron="all", overwrite="+1"), announce=said.append)
    sign = 1 if saved.classifier["all"]["weight"][0, 3] > 0 else -1
    assert said == [f"neuron 3 is held at {sign:+d}, the side of positive"]
    assert (
        made.samples[0].text == generate(saved, GenerateConfig(text="a", gen_length=9, overwrite="+1")).samples[0].text
    )


def test_without_a_classifier_of_two_classes_all_say_nothing():
    saved = make_classifier()
    alone = replace(saved, kind="language-model", classifier=None)
    with pytest.raises(UsageError, match="no classifier to ask"):
        values_of(alone, "a")
    three = replace(saved, classifier=saved.classifier | {"classes": ["a", "b", "c"]})
    with pytest.raises(UsageError, match="knows 3 labels"):
        values_of(three, "a")
    several = replace(saved, classifier=saved.classifier | {"multi_label": True})
    with pytest.raises(UsageError, match="knows 2 labels, any of which may hold"):
        values_of(several, "a")
