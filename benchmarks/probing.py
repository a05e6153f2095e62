"""Probes on both poolings of a model, from one pass over the texts; for what needs accuracies and no files.

The engine of `transfer` reads the texts once a pooling; here the state is stepped once, and both features are taken.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from baselines import Parts, truth_of
from numpy.typing import NDArray

from sentneuron.core.config import Pooling
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.features import BATCH_SIZE, sweep
from sentneuron.core.transfer.packing import pack
from sentneuron.core.transfer.probe import fit_probe, heaviest_neurons

POOLINGS: tuple[Pooling, ...] = ("last", "mean")

Features = NDArray[np.float32]


@torch.inference_mode()
def featurize_both(runner: Runner, texts: Sequence[bytes]) -> dict[Pooling, Features]:
    """Return the features [N, H] of both poolings, equal to those of `features.featurize`."""
    found: dict[Pooling, Features] = {name: np.zeros((len(texts), runner.num_units), np.float32) for name in POOLINGS}
    lengths = [len(text) for text in texts]
    streams = pack(lengths, num_streams=BATCH_SIZE)
    sums = torch.zeros(len(streams), runner.num_units, device=runner.device)
    for step in sweep(runner, texts, streams):
        sums[: len(step.values)] += torch.tanh(step.values)
        if step.slots is not None:
            found["last"][step.ended] = step.values.index_select(0, step.slots).cpu().numpy()
            found["mean"][step.ended] = sums.index_select(0, step.slots).cpu().numpy()
            sums.index_fill_(0, step.slots, 0)
    found["mean"] /= np.maximum(lengths, 1, dtype=np.float32)[:, None]
    return found


def featurize_parts(runner: Runner, parts: Parts) -> dict[Pooling, dict[str, Features]]:
    """Return each part's features, by pooling."""
    both = {part: featurize_both(runner, [example.clean for example in examples]) for part, examples in parts.items()}
    return {pooling: {part: both[part][pooling] for part in parts} for pooling in POOLINGS}


def probe_scores(
    features: Mapping[Pooling, Mapping[str, Features]], parts: Parts, classes: list[str]
) -> dict[str, dict[str, Any]]:
    """Fit on train, choose C on valid, score on test: all neurons and one, both poolings; as `transfer` does."""
    truth = {part: truth_of(examples, classes) for part, examples in parts.items()}
    scores: dict[str, dict[str, Any]] = {}
    for pooling, x in features.items():
        everything = fit_probe(x["train"], truth["train"], x["valid"], truth["valid"])
        neurons = heaviest_neurons(everything.weight, 1)
        single = fit_probe(x["train"][:, neurons], truth["train"], x["valid"][:, neurons], truth["valid"])
        scores[pooling] = {
            "valid": everything.valid_accuracy,
            "test": everything.accuracy(x["test"], truth["test"]),
            "test_one_neuron": single.accuracy(x["test"][:, neurons], truth["test"]),
            "neuron": neurons[0],
            "C": everything.C,
        }
    return scores
