"""Features under autograd against those that a classifier computes."""

from typing import get_args

import numpy as np
import pytest
import torch

from sentneuron.core.config import ModelConfig, Pooling
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.features import featurize
from sentneuron.core.transfer.pooled import pooled_features, side_by_side

TEXTS = [b"\n I loved it ", b"\n ", b"\n dull, flat and long, and then some more of it ", b"x"]


def make_model(cell, nlayers=2):
    torch.manual_seed(1)
    return LanguageModel(ModelConfig(model=cell, nhid=9, emsize=5, nlayers=nlayers))


@pytest.mark.parametrize("pooling", get_args(Pooling))
@pytest.mark.parametrize("all_layers", [False, True])
@pytest.mark.parametrize("cell", ["mLSTM", "LSTM", "GRU", "RNNTanh"])
def test_features_under_autograd_are_those_of_a_classifier(cell, all_layers, pooling):
    model = make_model(cell)
    found, hidden = pooled_features(model, *side_by_side(TEXTS), pooling=pooling, all_layers=all_layers)
    expected = featurize(Runner(model, all_layers=all_layers), TEXTS, pooling=pooling)
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)
    ids = torch.tensor([list(TEXTS[2])])
    alone, _ = model.hidden(ids, model.initial_state(1))
    np.testing.assert_allclose(hidden[:, 2].detach(), alone[:, 0].detach(), atol=1e-5)


@pytest.mark.parametrize("cell", ["mLSTM", "LSTM", "GRU"])
def test_gradients_reach_the_embedding_and_every_weight_of_every_layer(cell):
    model = make_model(cell)
    features, _ = pooled_features(model, *side_by_side(TEXTS), pooling="mean")
    features.square().sum().backward()
    for name, parameter in model.named_parameters():
        if not name.startswith("decoder"):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_what_lies_behind_a_text_changes_neither_its_features_nor_its_gradients():
    found = []
    for others in ([], [b"a text that is longer by far than the first one"]):
        model = make_model("mLSTM")
        features, _ = pooled_features(model, *side_by_side([TEXTS[0], *others]), pooling="mean")
        features[0].sum().backward()
        found.append([features[0].detach(), *(part.grad for part in model.layers.parameters())])
    for alone, beside in zip(*found, strict=True):
        torch.testing.assert_close(alone, beside, atol=1e-6, rtol=1e-5)
