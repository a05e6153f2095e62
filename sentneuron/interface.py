"""From Python: a model is loaded once, and asked for features, classes, a neuron's trace, or more text.

The engines are those of the commands, and so are the numbers. Texts are raw strings, which the model's own rule cleans;
they may come as a list, a tuple, a numpy array, a pandas Series or any other iterable but a single string. None, NaN
and a text of which cleaning leaves nothing are no text: their row is NaN, their label None.

What a caller can get wrong is a `sentneuron.SentneuronError`, whose text calls a setting by the command's option.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Self, get_args, overload

import numpy as np
from numpy.typing import NDArray

from sentneuron.classification import Classification
from sentneuron.core.config import GenerateConfig, ModelConfig, NeuronName, Pooling, Precision
from sentneuron.core.data.blanks import NOTHING
from sentneuron.core.data.given import Texts, listed
from sentneuron.core.errors import DataError, InputNotFoundError, UsageError
from sentneuron.core.generation import generate as generation
from sentneuron.core.generation.heatmap import values_at, without_surrogates
from sentneuron.core.generation.neurons import choose_neuron
from sentneuron.core.generation.watch import make_watch
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.classifier_parts import few_indices
from sentneuron.core.model.device import pick_device
from sentneuron.core.model.fingerprint import weights_fingerprint
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.classifier import Classifier
from sentneuron.core.transfer.features import BATCH_SIZE, featurize, require_finite, traces
from sentneuron.core.values import require_positive

TEXTS_AT_ONCE = 4096
"""Texts whose features `classify` holds at a time."""


class SentimentModel:
    """A language model, with its classifier where it has one; made by `load`.

    Methods may be called from several threads, one of which computes at a time. A call leaves nothing behind that
    another one could see. Pickling keeps the file's path, not the weights: they are read again, and must be the same.
    """

    def __init__(self, path: Path, *, name: str, device: str = "auto", precision: Precision = "fp32") -> None:
        """Read a model file, called `name` in messages; raises as `load`."""
        self._saved = load_model(path, device=pick_device(device))
        self._runner = Runner(self._saved.model, precision=precision, all_layers=self._saved.all_layers)
        self._path = path.absolute()
        self._name = name
        self._asked: dict[str, Any] = {"device": device, "precision": precision}
        self._lock = Lock()
        """Held while the runner's buffers are in use."""

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self._saved.model.config

    @property
    def training(self) -> dict[str, Any]:
        """What the training left in the file: steps, bytes, bits per byte, settings, versions."""
        return self._saved.training

    @property
    def num_units(self) -> int:
        """Features of a text: the units of the top layer, or of all where the classifier stands on all layers."""
        return self._runner.num_units

    @property
    def classes(self) -> list[str]:
        """The classifier's class names, in order; none without a classifier."""
        return list((self._saved.classifier or {}).get("classes", []))

    @property
    def neurons(self) -> list[int]:
        """Units of the classifier's second regression; none without a classifier."""
        classifier = self._saved.classifier
        return [] if classifier is None else few_indices(classifier)

    @property
    def sentiment_neuron(self) -> int | None:
        """The unit with the largest weight in the regression on all; without a classifier the one that such a model is
        known for, or None."""
        return self._saved.sentiment_neuron

    @property
    def pooling(self) -> Pooling:
        """How `features` pools by default: as the classifier's were, `last` without a classifier."""
        pooling: Pooling = (self._saved.classifier or {}).get("pooling", "last")
        return pooling

    def features(
        self, texts: Texts, *, pooling: Pooling | None = None, batch_size: int = BATCH_SIZE
    ) -> NDArray[np.float32]:
        """Return a row of features (N, H) for each text; NaN where there is no text.

        `last` is the top layer's cell state after the text's last byte (the hidden state for cells that have none),
        `mean` the mean of its tanh over all bytes, `hidden` the hidden state after the last one; with a classifier on
        all layers it is that of all, bottom first.
        `batch_size` texts are read side by side; how many changes a feature by rounding only.

        Raises:
            UsageError: texts are not strings, or one string; an unknown pooling.
            DataError: a feature is not finite.
        """
        pooling = pooling or self.pooling
        require_positive(batch_size=batch_size)
        if pooling not in get_args(Pooling):
            raise UsageError(f"pooling is {pooling!r}", hint=f"give {' or '.join(get_args(Pooling))}")
        cleaned = self._saved.rule.clean_all(listed(texts))
        is_text = np.array([clean != NOTHING for clean in cleaned], bool)
        given = [clean for clean in cleaned if clean != NOTHING]
        with self._lock:
            found = require_finite(featurize(self._runner, given, pooling=pooling, batch_size=batch_size))
        if is_text.all():
            return found
        features = np.full((len(cleaned), found.shape[1]), np.nan, np.float32)
        features[is_text] = found
        return features

    def classify(self, texts: Texts, *, neurons: int | None = None) -> Classification:
        """Return each text's class and its probability, and the sentiment neuron's value.

        All neurons decide; `neurons` takes the second regression, and must be the number that it stands on.

        Raises:
            DataError: a language model without a classifier; a feature is not finite.
            UsageError: texts are not strings, or one string; another number of neurons.
        """
        classifier = Classifier(self._saved, name=self._name, neurons=neurons, runner=self._runner)
        given = listed(texts)
        scored = []
        for start in range(0, max(len(given), 1), TEXTS_AT_ONCE):
            with self._lock:
                scored.append(classifier.score(given[start : start + TEXTS_AT_ONCE]))
        return Classification.from_scores(classifier, scored)

    def trace(self, text: str, neuron: NeuronName | None = None) -> NDArray[np.float32]:
        """Return the neuron's cell value after each character's last byte: one value a character of `text` as given.

        A character that yields no byte repeats the value before it. The neuron is the sentiment neuron unless named;
        `all` gives the classifier's score, as if the text's features were those of that moment.

        Raises:
            UsageError: `text` is no string; there is no such neuron, or no sentiment neuron and none named; all of
                them without a classifier of two classes.
        """
        _require_string(text)
        saved = self._saved
        shown = choose_neuron(saved.classifier, self.num_units, requested=neuron, known=saved.sentiment_neuron)
        if shown is None:
            raise UsageError(
                f"{self._name} is a language model without a sentiment neuron", hint="name one with neuron=I"
            )
        data, offsets = generation.prompt_bytes(self._saved.rule, without_surrogates(text))
        with self._lock:
            [byte_values] = traces(self._runner, [data], make_watch(self._runner, shown, saved.classifier))
        return np.array(values_at(offsets, byte_values), np.float32)

    @overload
    def generate(
        self,
        text: str = ...,
        length: int = ...,
        *,
        temperature: float = ...,
        top_k: int | None = ...,
        top_p: float | None = ...,
        seed: int = ...,
        overwrite: float | Mapping[int, float] | None = ...,
        neuron: NeuronName | None = ...,
        num_samples: None = ...,
    ) -> str: ...

    @overload
    def generate(
        self,
        text: str = ...,
        length: int = ...,
        *,
        temperature: float = ...,
        top_k: int | None = ...,
        top_p: float | None = ...,
        seed: int = ...,
        overwrite: float | Mapping[int, float] | None = ...,
        neuron: NeuronName | None = ...,
        num_samples: int,
    ) -> list[str]: ...

    def generate(
        self,
        text: str = GenerateConfig.text,
        length: int = generation.DEFAULT_LENGTH,
        *,
        temperature: float = GenerateConfig.temperature,
        top_k: int | None = GenerateConfig.top_k,
        top_p: float | None = GenerateConfig.top_p,
        seed: int = GenerateConfig.seed,
        overwrite: float | Mapping[int, float] | None = None,
        neuron: NeuronName | None = GenerateConfig.neuron,
        num_samples: int | None = None,
    ) -> str | list[str]:
        """Return `text` with `length` bytes more behind it; a list of texts where `num_samples` says how many.

        `temperature` divides the logits (0 takes the likeliest byte), `top_k` and `top_p` keep the likeliest bytes; the
        same `seed` gives the same text. `overwrite` pins cell values at every step: a number the neuron's, in the
        direction of the positive class, a mapping from units to values those, as given.

        Raises:
            UsageError: a setting out of range, a neuron that does not exist or has to be named, or nothing to steer.
            DataError: the model's output is not finite.
        """
        _require_string(text)
        config = GenerateConfig(
            text=text,
            gen_length=length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            overwrite=_overwrite_words(overwrite),
            neuron=neuron,
            num_samples=1 if num_samples is None else num_samples,
        )
        with self._lock:
            made = generation.generate(self._saved, config, runner=self._runner)
        samples = [sample.text for sample in made.samples]
        return samples[0] if num_samples is None else samples

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all in the file that an answer depends on: weights, text rule, classifier."""
        digest = hashlib.sha256(weights_fingerprint(self._saved.model).encode())
        rest = [self._saved.rule.to_dict(), self._saved.classifier]
        digest.update(json.dumps(rest, sort_keys=True, default=lambda tensor: tensor.tolist()).encode())
        return digest.hexdigest()

    def __repr__(self) -> str:
        what = f"{self.config.model}, {self.num_units:,} units"
        if self._saved.classifier is not None:
            what += f", classes {', '.join(self.classes)}, sentiment neuron {self.sentiment_neuron}"
        return f"<SentimentModel {self._name}: {what}, {self._asked['precision']} on {self._runner.device}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Nothing in it changes: scikit-learn's `clone` gets the same model, not one read again."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _read_again, (self._path, self._name, self._asked, self.fingerprint)


def load(path: str | Path | None = None, *, device: str = "auto", precision: Precision = "fp32") -> SentimentModel:
    """Read a model file; None: the pretrained model in the package.

    `device`: auto (the GPU where there is one), cpu, cuda or cuda:N. `precision` is that of an mLSTM's weights.

    Raises:
        InputNotFoundError: there is no such file.
        DataError: it is damaged, or no model.
        StorageError: it cannot be read.
        UsageError: no such device; a precision that this model or this machine cannot have.
    """
    if path is not None:
        return SentimentModel(Path(path), name=str(path), device=device, precision=precision)
    if not PRETRAINED.exists():
        raise InputNotFoundError("this installation holds no pretrained model", hint="give load() a model file")
    return SentimentModel(PRETRAINED, name="the pretrained model", device=device, precision=precision)


def _read_again(path: Path, name: str, asked: dict[str, Any], fingerprint: str) -> SentimentModel:
    """Rebuild a pickled model; raises as `load`, and DataError where the file now holds another one."""
    model = SentimentModel(path, name=name, **asked)
    if model.fingerprint != fingerprint:
        raise DataError(f"{path} is not the model that was pickled", hint="put that file back, or pickle this one")
    return model


def _require_string(text: object) -> None:
    """Check that `text` is one text; raises UsageError."""
    if not isinstance(text, str):
        raise UsageError(f"text is a {type(text).__name__}, not a string", hint="give one text")


def _overwrite_words(overwrite: float | Mapping[int, float] | None) -> str | None:
    """Return the value or the pairs as `--overwrite` has them."""
    if isinstance(overwrite, Mapping):
        return ",".join(f"{unit}={float(value)!r}" for unit, value in overwrite.items()) or None
    return None if overwrite is None else repr(float(overwrite))
