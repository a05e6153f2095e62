"""scikit-learn estimators on texts: a transformer to a model's features, and the probe on them as a classifier.

X is a column of raw strings (a list, an array, a pandas Series), not a table, as for scikit-learn's own vectorizers.
The model is read when it is first needed. Cloning and pickling keep its path, not its weights: they are read again
where they are needed, and an estimator that was fitted on other weights says so. Features are kept nowhere unless
`memory` says where: that of a `Pipeline`, or the classifier's own.
"""

import math
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_memory

from sentneuron.core.config import Pooling
from sentneuron.core.data.given import Texts, listed, require_several
from sentneuron.core.errors import DataError, UsageError
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.transfer.features import BATCH_SIZE
from sentneuron.core.transfer.probe import Probe, fit_path, heaviest_neurons, refit_probe
from sentneuron.core.values import require_at_most, require_positive
from sentneuron.interface import SentimentModel, load


class SentimentNeuronFeaturizer(TransformerMixin, BaseEstimator):
    """Turn texts into a language model's features, (N, H) float32; a row is NaN where there is no text.

    Stateless: `fit` reads the model and learns nothing, and `transform` needs no `fit`.

    `model` is a file's path, a loaded model, or None for the pretrained one; `pooling` last, mean, or None for the
    classifier's in the file; `device` auto, cpu, cuda or cuda:N (a loaded model stays where it is); `batch_size` the
    texts read side by side.

    After `fit`, `fingerprint_` is a hash of the model.
    """

    def __init__(
        self,
        model: str | Path | SentimentModel | None = None,
        *,
        pooling: Pooling | None = None,
        device: str = "auto",
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.model = model
        self.pooling = pooling
        self.device = device
        self.batch_size = batch_size

    def fit(self, X: Texts, y: object = None) -> Self:
        """Read the model; of `X` no more is looked at than whether it is a column.

        Raises:
            UsageError, DataError, InputNotFoundError, StorageError: as `sentneuron.load`; `X` is one string or a table.
        """
        require_several(X)
        self.fingerprint_ = self._read().fingerprint
        return self

    def transform(self, X: Texts) -> NDArray[np.float32]:
        """Return the features (N, H).

        Raises:
            UsageError: `X` holds something else than strings, or is one; an unknown pooling.
            DataError: the model's file holds another model than `fit` saw.
        """
        model = self._read()
        if getattr(self, "fingerprint_", model.fingerprint) != model.fingerprint:
            raise DataError(f"{model} is not the model that this was fitted with", hint="fit again, or put it back")
        return model.features(X, pooling=self.pooling, batch_size=self.batch_size)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return `neuron_0`, `neuron_1`, … (H,)."""
        return np.array([f"neuron_{unit}" for unit in range(self._read().num_units)], object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []  # float32 whatever comes in
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Leave the weights out; note the file's size and time, so that no cache mistakes one model for another."""
        state = {name: value for name, value in super().__getstate__().items() if name not in ("_model", "_file")}
        return state if isinstance(self.model, SentimentModel) else state | {"_file": _stamp(self.model)}

    def _read(self) -> SentimentModel:
        """Return the model, read if that has not been done; raises as `sentneuron.load`."""
        if isinstance(self.model, SentimentModel):
            return self.model
        asked = (self.model, self.device)
        known: tuple[object, SentimentModel] | None = self.__dict__.get("_model")
        if known is None or known[0] != asked:
            self._model = known = asked, load(self.model, device=self.device)
        return known[1]


class SentimentNeuronClassifier(ClassifierMixin, BaseEstimator):
    """Classify texts by logistic regression with an L1 penalty on a language model's features, as `transfer` does.

    `C` None: the best of 2^-8 … 2^0 on a stratified part of `validation_fraction`, ties to the smaller; then all rows
    are fitted with it. `neurons` None: all of them; N: the N with the largest weights, fitted again. `random_state`
    draws that part. `memory`, a folder or a joblib.Memory, keeps features, so that a search over `C` and `neurons`
    computes those of each fold once. The others as `SentimentNeuronFeaturizer`.

    After `fit`: `classes_`; `coef_` (K, H), zero for neurons that are not used, and `intercept_` (K,), K = 1 for two
    classes, towards the second, else a row a class against the rest; `C_`; `neurons_`, those used, heaviest first;
    `sentiment_neuron_`, the heaviest of the regression on all; `featurizer_`.

    A text with nothing in it is an error, in `fit` and later.
    """

    def __init__(
        self,
        model: str | Path | SentimentModel | None = None,
        *,
        neurons: int | None = None,
        C: float | None = None,
        pooling: Pooling | None = None,
        validation_fraction: float = 0.2,
        random_state: Any = 0,
        memory: Any = None,
        device: str = "auto",
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.model = model
        self.neurons = neurons
        self.C = C
        self.pooling = pooling
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.memory = memory
        self.device = device
        self.batch_size = batch_size

    def fit(self, X: Texts, y: ArrayLike) -> Self:
        """Fit the regression on texts `X` and their classes `y`, both (N,).

        Raises:
            UsageError: as the featurizer; `neurons`, `C` or `validation_fraction` out of range.
            DataError: a text with nothing in it.
            ValueError: `y` has another length, is no column of classes, has one class only, or, where C is chosen, a
                class with a single text.
        """
        require_positive(C=self.C, neurons=self.neurons)
        if not 0 < self.validation_fraction < 1:
            raise UsageError(f"validation_fraction is {self.validation_fraction}", hint="give a share of the texts")
        texts = listed(X)
        check_classification_targets(y)
        check_consistent_length(texts, y)
        self.classes_, truth = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class, {str(self.classes_[0])!r}; two are needed")
        self.featurizer_ = SentimentNeuronFeaturizer(
            self.model, pooling=self.pooling, device=self.device, batch_size=self.batch_size
        ).fit(texts)
        features = self._features(texts)
        num_units = features.shape[1]
        require_at_most(num_units, neurons=self.neurons)
        seed = int(check_random_state(self.random_state).randint(1 << 31))
        probe = self._fit_probe(features, truth, seed)
        self.neurons_ = heaviest_neurons(probe.weight, num_units)
        self.sentiment_neuron_ = self.neurons_[0]
        self.coef_, self.intercept_, self.C_ = probe.weight, probe.bias, probe.C
        if self.neurons is not None:
            self.neurons_ = self.neurons_[: self.neurons]
            probe = self._fit_probe(features[:, self.neurons_], truth, seed)
            self.coef_ = np.zeros_like(self.coef_)
            self.coef_[:, self.neurons_] = probe.weight
            self.intercept_, self.C_ = probe.bias, probe.C
        return self

    def predict(self, X: Texts) -> NDArray[Any]:
        """Return each text's likeliest class (N,); raises as `predict_proba`."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X: Texts) -> NDArray[np.float64]:
        """Return each class's probability (N, classes); of more than two each one's own, divided by their sum.

        Raises:
            NotFittedError: before `fit`.
            UsageError, DataError: as the featurizer; a text with nothing in it.
        """
        check_is_fitted(self)
        return self._probe().probabilities(self._features(listed(X)))

    def decision_function(self, X: Texts) -> NDArray[np.float64]:
        """Return each row's score: the second class's (N,) of two, else (N, classes); raises as `predict_proba`."""
        check_is_fitted(self)
        scores = self._probe().scores(self._features(listed(X)))
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _features(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the features (N, H), those in `memory` where they are there.

        Raises:
            DataError: a text with nothing in it.
        """
        features = check_memory(self.memory).cache(_features_of)(self.featurizer_, texts)
        empty = np.flatnonzero(np.isnan(features[:, 0]))
        if len(empty):
            raise DataError(f"texts[{empty[0]}] has no text in it", hint="leave such texts out")
        return features

    def _probe(self) -> Probe:
        return Probe(weight=self.coef_, bias=self.intercept_, C=self.C_)

    def _fit_probe(self, features: NDArray[np.float32], truth: NDArray[np.integer], seed: int) -> Probe:
        """Fit one probe on all rows, with the C given or the one chosen on a part of them."""
        if self.C is not None:
            return fit_path(features, truth, strengths=[self.C])[0]
        num_valid = max(len(self.classes_), math.ceil(self.validation_fraction * len(truth)))
        rows = np.arange(len(truth))
        _, valid = train_test_split(rows, test_size=num_valid, stratify=truth, random_state=seed)
        return refit_probe(features, truth, np.isin(rows, valid))


def _features_of(featurizer: SentimentNeuronFeaturizer, texts: list[str]) -> NDArray[np.float32]:
    """Return the texts' features: what `memory` keeps the results of, by name."""
    return featurizer.transform(texts)


def _stamp(model: str | Path | None) -> tuple[int, int] | None:
    """Return a model file's size and time of change; None where there is none."""
    path = PRETRAINED if model is None else Path(model)
    if not path.exists():
        return None
    found = path.stat()
    return found.st_size, found.st_mtime_ns
