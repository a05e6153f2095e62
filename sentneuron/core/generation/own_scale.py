"""Where a heatmap's colour is full, for a plain language model: what the model's own statistics say.

A classifier of ours brings the scale of every unit from its validation text. A language model has no text, nor has a
classifier from elsewhere, so it makes some: from a fixed seed, whatever seed the user gave, so that one model has one
scale.
"""

import numpy as np

from sentneuron.core.data.text import TextRule
from sentneuron.core.generation.sampling import sample
from sentneuron.core.generation.watch import Watch
from sentneuron.core.model.runner import Runner

NUM_STREAMS, LENGTH = 64, 128
"""Texts generated side by side, and bytes of each."""
PERCENTILE = 99
SCALE_WITHOUT_DECODER = 1.0
"""For a model that can make no text. Source: the limits of NVIDIA's own heatmaps, sentiment-discovery's generate.py."""


def own_scale(runner: Runner, rule: TextRule, watch: Watch) -> float:
    """Return the 99th percentile of the size of what is watched, over text of the model's own; above zero.

    1 for what is zero everywhere.

    Raises:
        DataError: the model's output is not finite.
    """
    made = sample(runner, rule.clean("").removesuffix(b" "), length=LENGTH, num_samples=NUM_STREAMS, watch=watch)
    return float(np.percentile(np.abs(np.array(made.sample_values)), PERCENTILE)) or 1.0
