"""An encoder and a head on its features that learn together, a batch of texts at a time.

The loss is the classes' negative log-likelihood plus LANGUAGE times that of the texts' next bytes, which keeps the
encoder a language model and makes it one of these texts. With `bf16` a copy of the model in that precision reads the
texts, whose gradients change the fp32 weights.

Source: Radford et al. 2018, "Improving language understanding by generative pre-training", section 3.2, LANGUAGE too.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, linear, logsigmoid

from sentneuron.core.config import TransferConfig
from sentneuron.core.model.checkpoint import SavedModel
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.features import Progress, featurize
from sentneuron.core.transfer.pooled import pooled_features, side_by_side
from sentneuron.core.transfer.probe import Probe

HEAD = 3.0
"""Learning rate of the head, in those of the encoder."""
LANGUAGE = 0.5
CLIP = 1.0
"""Norm that the gradient of a step is scaled down to."""


class Head(nn.Module):
    """A probe that learns: gives the probabilities that `Probe.probabilities` does."""

    def __init__(self, probe: Probe) -> None:
        super().__init__()
        self._probe = probe
        self.weight = nn.Parameter(torch.tensor(probe.weight))
        self.bias = nn.Parameter(torch.tensor(probe.bias))

    def probe(self) -> Probe:
        """Return the probe that this is now."""
        weight, bias = (part.detach().cpu().numpy().copy() for part in (self.weight, self.bias))
        return replace(self._probe, weight=weight, bias=bias)

    def loss(self, features: Tensor, truth: Tensor) -> Tensor:
        """Return the mean negative log-likelihood of the classes [B], or of the labels [B, K] of 0 and 1."""
        scores = linear(features, self.weight, self.bias)
        if self._probe.multi_label:
            return binary_cross_entropy_with_logits(scores, truth.to(scores.dtype))
        if scores.shape[1] == 1:
            return binary_cross_entropy_with_logits(scores[:, 0], truth.to(scores.dtype))
        return cross_entropy(logsigmoid(scores), truth)  # sigmoids divided by their sum


class Tuner:
    """A saved model, which is changed, and the head on it."""

    def __init__(self, saved: SavedModel, probe: Probe, config: TransferConfig) -> None:
        """Start from the model and from a probe on all of its features."""
        self._config = config
        self._model = saved.model
        self._device = saved.model.decoder.weight.device
        self._has_decoder = saved.has_decoder
        self.head = Head(probe).to(self._device)
        self._reader = deepcopy(self._model).bfloat16() if config.precision == "bf16" else self._model
        self._parameters = [*self._model.parameters(), *self.head.parameters()]
        groups = [
            {"params": list(self._model.parameters()), "in_rates": 1.0},
            {"params": list(self.head.parameters()), "in_rates": HEAD},
        ]
        self._optimizer = torch.optim.Adam(groups)

    def step(self, texts: Sequence[bytes], truth: NDArray[np.int64], *, learning_rate: float) -> tuple[float, float]:
        """Learn from texts and what they are; return the loss before the step, in nats a text and in nats a byte."""
        ids, lengths = (part.to(self._device) for part in side_by_side(texts))
        self._round()
        features, hidden = pooled_features(
            self._reader, ids, lengths, pooling=self._config.pooling, all_layers=self._config.all_layers
        )
        loss = self.head.loss(features.float(), torch.from_numpy(truth).to(self._device))
        language = self._language_loss(hidden, ids, lengths)
        self._optimizer.zero_grad()
        (loss + LANGUAGE * language).backward()
        self._widen_gradients()
        nn.utils.clip_grad_norm_(self._parameters, CLIP)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate * group["in_rates"]
        self._optimizer.step()
        return loss.item(), language.item()

    def score(self, texts: Sequence[bytes], truth: NDArray[np.int64], *, progress: Progress) -> tuple[float, float]:
        """Return the accuracy (`Probe.accuracy`) and the loss in nats a text, on whole texts."""
        runner = Runner(self._model, precision=self._config.precision, all_layers=self._config.all_layers)
        features = featurize(runner, texts, pooling=self._config.pooling, progress=progress)
        with torch.no_grad():
            given = torch.from_numpy(features).to(self._device)
            loss = self.head.loss(given, torch.from_numpy(truth).to(self._device))
        return self.head.probe().accuracy(features, truth), loss.item()

    def weights(self) -> dict[str, Tensor]:
        """Return copies of the model's weights."""
        return {name: value.clone() for name, value in self._model.state_dict().items()}

    def _language_loss(self, hidden: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean negative log-likelihood of each text's bytes but its first, from hidden states [T, B, H]."""
        if not self._has_decoder or len(ids) == 1:
            return hidden.new_zeros(())
        is_target = torch.arange(1, len(ids), device=ids.device).unsqueeze(1) < lengths
        return cross_entropy(self._reader.decoder(hidden[:-1][is_target]).float(), ids[1:][is_target])

    @torch.no_grad()
    def _round(self) -> None:
        """Give the reader the weights, where it is a copy."""
        if self._reader is self._model:
            return
        for part, weight in zip(self._reader.parameters(), self._model.parameters(), strict=True):
            part.copy_(weight)

    def _widen_gradients(self) -> None:
        """Move the reader's gradients to the weights, where it is a copy."""
        if self._reader is self._model:
            return
        for part, weight in zip(self._reader.parameters(), self._model.parameters(), strict=True):
            weight.grad = None if part.grad is None else part.grad.float()
            part.grad = None
