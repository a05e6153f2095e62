"""What follows from a model file's `classifier`: its second regression, and its hidden layers where it has some.

Hidden layers stand between the features and the regression, as in NVIDIA's later classifiers:

    a <- W a + b        a <- max(a, 0) + slope * min(a, 0)

for each layer, from the features on; the regression `all` then stands on what the last one gives. They are under
`network`, which most files do not have. Imports no torch, which commands must not wait for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Classifier = dict[str, Any]


def layers_of(classifier: Classifier) -> "list[tuple[Tensor, Tensor]]":
    """Return weight [M, N] and bias [M] of each hidden layer, from the features on; none without a network."""
    network = classifier.get("network")
    if network is None:
        return []
    layers = network["layers"]
    return [(layers[str(number)]["weight"], layers[str(number)]["bias"]) for number in range(len(layers))]


def run_network(classifier: Classifier, features: "Tensor") -> "Tensor":
    """Return what `all` stands on [N, M] for features [N, F]: themselves where there is no network."""
    for weight, bias in layers_of(classifier):
        products = features @ weight.float().t() + bias.float()
        features = products.clamp(min=0) + classifier["network"]["slope"] * products.clamp(max=0)
    return features


def feature_weights(classifier: Classifier) -> "Tensor":
    """Return the weights [K, F] towards each row of `all`; through a network, as if its slope were 1."""
    weight = classifier["all"]["weight"].float()
    for hidden, _ in reversed(layers_of(classifier)):
        weight = weight @ hidden.float()
    return weight


def make_network(layers: "list[tuple[Tensor, Tensor]]", slope: float) -> dict[str, Any]:
    """Return the `network` of a model file."""
    numbered = {str(number): {"weight": weight, "bias": bias} for number, (weight, bias) in enumerate(layers)}
    return {"layers": numbered, "slope": slope}


def few_indices(classifier: Classifier) -> list[int]:
    """Return the units of the second regression; none where there is a network, which has no such regression."""
    return [] if classifier["neurons"] is None else list(classifier["neurons"]["indices"])


def asked_neurons(classifier: Classifier, num_features: int) -> tuple[int, bool]:
    """Return the N that `transfer --neurons N` was asked for, and whether it was to drop them.

    The heaviest neuron is among the N, or `--drop-neurons` has left out these N.
    """
    indices = few_indices(classifier)
    is_dropped = classifier["sentiment_neuron"] not in indices
    return (num_features - len(indices) if is_dropped else len(indices)), is_dropped
