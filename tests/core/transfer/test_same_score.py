"""A text's score does not depend on the other texts, their order or the batch size, with the model that ships.

The longest text is scored by a small model: one of 1,024 units takes a minute to read it alone.
"""

import random

import numpy as np
import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.classifier import Classifier
from sentneuron.core.transfer.features import featurize

SIZES = (1, 5, 63, 64, 65, 600)
LONG = 20_000
CLOSE = {"rtol": 0, "atol": 1e-5}

pytestmark = pytest.mark.slow


class Batches:
    """Computes features as a `FeaturePool` does, so many texts at a time."""

    def __init__(self, size):
        self.size = size

    def featurize(self, runner, texts, *, pooling, progress):
        return featurize(runner, texts, pooling=pooling, batch_size=self.size)


@pytest.fixture(scope="module")
def score():
    """Score texts in batches of a size; returns each text's probability and neuron, side by side [N, 2]."""
    saved = load_model(PRETRAINED)

    def score(texts, *, size=256):
        scored = Classifier(saved, name="the pretrained model", pool=Batches(size)).score(texts)
        return np.stack([scored.probabilities[:, 1], scored.neuron], axis=1)

    return score


def of_size(size: int) -> str:
    words = "It was a good film, I say; the acting and the story held me, and the end was dull. "
    return (words * (size // len(words) + 1))[: size - 1].rstrip().ljust(size, "!")


TEXTS = [of_size(size) for size in SIZES]
OTHERS = [f"{number} of {number * 7 % 13}: {'not ' * (number % 4)}bad" for number in range(1000 - len(TEXTS))]


def test_the_texts_are_as_long_as_they_should_be():
    assert [len(text.encode()) for text in TEXTS] == list(SIZES)
    assert len(set(TEXTS + OTHERS)) == 1000


def test_a_text_scores_alone_what_it_scores_among_a_thousand(score):
    among = score(OTHERS[:500] + TEXTS + OTHERS[500:])[500 : 500 + len(TEXTS)]
    alone = np.concatenate([score([text]) for text in TEXTS])
    np.testing.assert_allclose(among, alone, **CLOSE)
    assert np.ptp(among[:, 0]) > 0.05, "the texts should not all score the same"


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_order_and_batch_size_do_not_show(score, size):
    texts = TEXTS + OTHERS[:94]
    order = random.Random(size).sample(range(len(texts)), len(texts))
    shuffled = score([texts[place] for place in order], size=size)
    np.testing.assert_allclose(shuffled, score(texts)[order], **CLOSE)


def test_a_long_text_has_the_features_it_has_among_a_thousand():
    torch.manual_seed(0)
    runner = Runner(LanguageModel(ModelConfig(nhid=64)))
    texts = [text.encode() for text in (*OTHERS[:500], of_size(LONG), *OTHERS[500:])]
    for pooling in ("last", "mean"):
        among = featurize(runner, texts, pooling=pooling)[500]
        np.testing.assert_allclose(among, featurize(runner, texts[500:501], pooling=pooling)[0], **CLOSE)
