"""Train byte-level mLSTM language models on reviews, find their sentiment neuron, classify and write with it.

From Python: `load` a model, or put `SentimentNeuronFeaturizer` or `SentimentNeuronClassifier` into a scikit-learn
pipeline. docs/python.md shows both. Importing the package imports none of what they need.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from sentneuron.core.errors import DataError, InputNotFoundError, SentneuronError, UsageError

if TYPE_CHECKING:
    from sentneuron.classification import Classification
    from sentneuron.estimators import SentimentNeuronClassifier, SentimentNeuronFeaturizer
    from sentneuron.interface import SentimentModel, load

__version__ = "0.1.0"

__all__ = [
    "Classification",
    "DataError",
    "InputNotFoundError",
    "SentimentModel",
    "SentimentNeuronClassifier",
    "SentimentNeuronFeaturizer",
    "SentneuronError",
    "UsageError",
    "__version__",
    "load",
]

_HOMES = {
    "Classification": "sentneuron.classification",
    "SentimentModel": "sentneuron.interface",
    "SentimentNeuronClassifier": "sentneuron.estimators",
    "SentimentNeuronFeaturizer": "sentneuron.estimators",
    "load": "sentneuron.interface",
}
"""Where the names lie that are imported when they are first asked for (PEP 562)."""

if not TYPE_CHECKING:  # a type checker that sees `__getattr__` lets every misspelt name pass

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | _HOMES.keys())
