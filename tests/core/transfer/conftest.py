import numpy as np
import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.model.checkpoint import SavedModel, save_model
from sentneuron.core.model.language_model import LanguageModel

NUM_UNITS = 12


class SumRunner:
    """Adds every byte to the state: unit u holds (u + 1) / 1,000 of the sum, so that a feature can be worked out by hand."""

    num_units = 3
    device = torch.device("cpu")

    def initial_state(self, num_streams):
        return [(torch.zeros(num_streams, 3),)]

    def step(self, ids, state):
        return [(state[0][0] + ids.float().unsqueeze(1) * torch.tensor([1e-3, 2e-3, 3e-3]),)]

    def cells(self, state):
        return state[0][0]


@pytest.fixture
def sum_runner():
    return SumRunner()


@pytest.fixture(scope="session")
def language_model():
    torch.manual_seed(3)
    return SavedModel(
        kind="language-model",
        model=LanguageModel(ModelConfig(nhid=NUM_UNITS, emsize=8)).eval(),
        rule=TextRule(),
    )


@pytest.fixture
def model_file(language_model, tmp_path):
    save_model(tmp_path / "model.pt", language_model)
    return tmp_path / "model.pt"


def classifier_values(classes=("0", "1"), *, pooling="mean", indices=(4, 7)):
    """Weights of both probes that make texts differ; the second of two classes is called where the score is above zero."""
    rng = np.random.default_rng(5)
    num_rows = 1 if len(classes) == 2 else len(classes)
    weight = torch.from_numpy(rng.normal(size=(num_rows, NUM_UNITS)).astype(np.float32)) * 20
    return {
        "classes": list(classes),
        "pooling": pooling,
        "all": {"weight": weight, "bias": torch.zeros(num_rows), "C": 0.5},
        "neurons": {
            "indices": list(indices),
            "weight": weight[:, list(indices)].clone(),
            "bias": torch.zeros(num_rows),
            "C": 0.25,
            "scale": [1.0] * len(indices),
        },
    }


@pytest.fixture
def make_classifier(language_model, tmp_path):
    """Return a function that writes a classifier file for classes and gives its path."""

    def make(classes=("0", "1"), **options):
        path = tmp_path / "classifier.pt"
        values = classifier_values(classes, **options)
        save_model(
            path,
            SavedModel(kind="classifier", model=language_model.model, rule=language_model.rule, classifier=values),
        )
        return path

    return make
