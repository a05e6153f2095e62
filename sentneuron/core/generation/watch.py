"""What is read from the model's state after every byte: a neuron's cell value, or what all neurons say together.

All together they say the classifier's score, the logarithm of the odds of the later class, as if the text's features
were those of this moment. With features that are means over the text, the text's own score is the mean of these, but
for a network's hidden layers: each byte's value is what it adds.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sentneuron.core.generation.neurons import ALL, ShownNeuron
from sentneuron.core.model.classifier_parts import run_network
from sentneuron.core.model.language_model import State
from sentneuron.core.model.runner import Runner

Watch = Callable[[State], Tensor]
"""Takes a state of B streams, and returns B values."""


def make_watch(runner: Runner, neuron: ShownNeuron, classifier: dict[str, Any] | None) -> Watch:
    """Return what reads a neuron's value, or for all of them the classifier's score."""
    index = neuron.index
    if index != ALL:
        return lambda state: runner.cells(state)[:, index]
    assert classifier is not None, "all neurons were chosen without a classifier"
    pooling = classifier["pooling"]
    weight, bias = (classifier["all"][part].float() for part in ("weight", "bias"))

    def score(state: State) -> Tensor:
        features = runner.hidden(state) if pooling == "hidden" else runner.cells(state)
        if pooling == "mean":
            features = torch.tanh(features)
        return (run_network(classifier, features.cpu()) @ weight.t() + bias)[:, 0]  # classifiers stay on the CPU

    return score
