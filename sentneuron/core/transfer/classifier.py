"""A classifier file, ready to score texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from sentneuron.core.config import Pooling, Precision
from sentneuron.core.data.blanks import NOTHING
from sentneuron.core.errors import DataError, UsageError
from sentneuron.core.model.assembly import told
from sentneuron.core.model.checkpoint import SavedModel, load_model
from sentneuron.core.model.classifier_parts import asked_neurons, few_indices, run_network
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.feature_pool import FeaturePool
from sentneuron.core.transfer.features import Progress, no_progress
from sentneuron.core.transfer.probe import Probe


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of texts, in the order given; NaN where there was no text."""

    probabilities: NDArray[np.float32]
    """Each class's probability [N, classes]."""
    neuron: NDArray[np.float32]
    """The sentiment neuron's value [N], pooled as the features are."""


class Classifier:
    """Scores texts by a language model's features and one of the two probes that `transfer` fitted on them."""

    def __init__(
        self,
        saved: SavedModel,
        *,
        name: str,
        neurons: int | None = None,
        precision: Precision = "fp32",
        pool: FeaturePool | None = None,
        runner: Runner | None = None,
    ) -> None:
        """Prepare a loaded model called `name`; `neurons` picks the second probe; `pool` computes features.

        `runner` is the model's, with `saved.all_layers`, where there is one already, and `precision` then the runner's.

        Raises:
            DataError: a language model without a classifier, or with one that its importer had to leave out.
            UsageError: the second probe stands on another number of neurons; a precision as `Runner`.
        """
        if saved.classifier is None and "left_out" in saved.imported:
            raise DataError(
                f"{name}: its classifier is {told(saved.imported['left_out'])}, which cannot be computed here",
                hint=f"make one on its language model with 'sentneuron transfer {name}'",
            )
        if saved.classifier is None:
            raise DataError(
                f"{name} is a language model without a classifier", hint=f"make one with 'sentneuron transfer {name}'"
            )
        self._parts = saved.classifier
        self.indices = few_indices(saved.classifier)
        self.sentiment_neuron: int = saved.classifier["sentiment_neuron"]
        """The neuron with the largest weight."""
        count, _ = asked_neurons(saved.classifier, saved.model.config.num_features(all_layers=saved.all_layers))
        if neurons is not None and not self.indices:
            raise UsageError(f"--neurons {neurons}: {name} has a network on all neurons", hint="leave it out")
        if neurons is not None and neurons != count:
            raise UsageError(
                f"--neurons {neurons}: {name} was transferred with --neurons {count}",
                hint=f"give --neurons {count}, or run transfer again",
            )
        self.classes: list[str] = list(saved.classifier["classes"])
        self.multi_label: bool = saved.classifier["multi_label"]
        self.pooling: Pooling = saved.classifier["pooling"]
        probe = saved.classifier["all" if neurons is None else "neurons"]
        self.probe = Probe.from_dict(probe, multi_label=self.multi_label)
        self._columns = slice(None) if neurons is None else self.indices
        self._rule = saved.rule
        self._runner = runner or Runner(saved.model, precision=precision, all_layers=saved.all_layers)
        self._pool = pool or FeaturePool()

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        device: str | torch.device = "cpu",
        neurons: int | None = None,
        precision: Precision = "fp32",
        pool: FeaturePool | None = None,
    ) -> Self:
        """Read a classifier file.

        Raises:
            InputNotFoundError: there is no such file.
            DataError, UsageError: as `__init__` and `load_model`.
        """
        return cls(load_model(path, device=device), name=str(path), neurons=neurons, precision=precision, pool=pool)

    def score(self, texts: Sequence[str], *, progress: Progress = no_progress) -> Scored:
        """Score texts; one of which cleaning leaves nothing is no text. `progress` counts bytes of clean text.

        Raises:
            DataError, LostRankError: as `FeaturePool.featurize`.
        """
        cleaned = self._rule.clean_all(texts)
        present = np.array([clean != NOTHING for clean in cleaned], bool)
        probabilities = np.full((len(texts), len(self.classes)), np.nan, np.float32)
        neuron = np.full(len(texts), np.nan, np.float32)
        given = [clean for clean, is_text in zip(cleaned, present, strict=True) if is_text]
        features = self._pool.featurize(self._runner, given, pooling=self.pooling, progress=progress)
        seen = run_network(self._parts, torch.from_numpy(features)).numpy()
        probabilities[present] = self.probe.probabilities(seen[:, self._columns])
        neuron[present] = features[:, self.sentiment_neuron]
        return Scored(probabilities=probabilities, neuron=neuron)

    def serve(self) -> None:
        """Compute features for the pool's first rank until it needs no more; raises as `FeaturePool.serve`."""
        self._pool.serve(self._runner, pooling=self.pooling)
