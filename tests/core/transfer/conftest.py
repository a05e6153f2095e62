import numpy as np
import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.model.checkpoint import SavedModel, save_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.features import featurize

NUM_UNITS = 12
REFERENCE = [b"\n I loved it ", b"\n dull, flat and long ", b"\n Creme brulee ", b"\n 007 ", b"\n NA "]


class SumRunner:
    """Adds every byte to the state, of which unit u holds (u + 1) / 1,000: features can be worked out by hand."""

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


def classifier_values(runner, classes, *, pooling="mean", indices=(4, 7), multi_label=False):
    """Weights of both probes that tell the reference texts apart: the middle one has a score of 0.1."""
    rng = np.random.default_rng(5)
    num_rows = 1 if len(classes) == 2 and not multi_label else len(classes)
    weight = (rng.normal(size=(num_rows, NUM_UNITS)) * 20).astype(np.float32)
    features = featurize(runner, REFERENCE, pooling=pooling)
    chosen = list(indices)
    return {
        "classes": list(classes),
        "multi_label": multi_label,
        "pooling": pooling,
        "all_layers": False,
        "all": {
            "weight": torch.from_numpy(weight),
            "bias": 0.1 - torch.from_numpy(np.median(features @ weight.T, axis=0)),
            "C": 0.5,
        },
        "neurons": {
            "indices": chosen,
            "weight": torch.from_numpy(weight[:, chosen].copy()),
            "bias": 0.1 - torch.from_numpy(np.median(features[:, chosen] @ weight[:, chosen].T, axis=0)),
            "C": 0.25,
        },
        "sentiment_neuron": chosen[0],
        "scale": torch.ones(NUM_UNITS),
    }


@pytest.fixture
def make_classifier(language_model, tmp_path):
    """Return a function that writes a classifier file for classes and gives its path."""

    def make(classes=("0", "1"), **options):
        path = tmp_path / "classifier.pt"
        values = classifier_values(Runner(language_model.model), classes, **options)
        save_model(
            path,
            SavedModel(kind="classifier", model=language_model.model, rule=language_model.rule, classifier=values),
        )
        return path

    return make


@pytest.fixture
def model(make_classifier):
    """A classifier of the classes 0 and 1, as it is named in a configuration."""
    return str(make_classifier())


@pytest.fixture
def _here(tmp_path, monkeypatch):
    """Stand in the folder where the files of the test are."""
    monkeypatch.chdir(tmp_path)
