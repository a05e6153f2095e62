"""Settings of `generate`."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sentneuron.core.config.model import Precision
from sentneuron.core.errors import UsageError
from sentneuron.core.values import require_at_most, require_file_name, require_positive, require_seed

NeuronName = int | Literal["all"]
"""A neuron's number, or what all say together."""


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """One run of `generate`."""

    text: str = ""
    """Text to continue, or to analyse."""
    gen_length: int | None = None
    """Bytes to generate after the text; default: 200, or none with --heatmap alone."""
    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest byte."""
    top_k: int | None = None
    """Sample among the k likeliest bytes."""
    top_p: float | None = None
    """Sample among the likeliest bytes that hold this probability together."""
    num_samples: int = 1
    """Samples."""
    model: str | None = None
    """Model; default: model_transfer/classifier.pt here, then the pretrained one."""
    heatmap: bool = False
    """Colour each character by the neuron's value."""
    neuron: NeuronName | None = None
    """Neuron to show and to overwrite, or all, whose score is shown; default: the classifier's heaviest."""
    overwrite: str | None = None
    """Pin the neuron's cell state: +1, -1, VALUE, or NEURON=VALUE,…"""
    negate: bool = False
    """Flip the colours."""
    save: Path | None = None
    """File for the samples; .jsonl writes one object a sample."""
    seed: int = 0
    """Seed of the sampling."""
    precision: Precision = "fp32"
    """Weights of an mLSTM's products."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        require_positive(num_samples=self.num_samples, top_k=self.top_k)
        require_at_most(1 << 20, num_samples=self.num_samples)
        require_file_name(save=self.save)
        require_seed(self.seed)
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UsageError(f"--temperature is {self.temperature}", hint="give a number, 0 or more")
        if self.gen_length is not None and self.gen_length < 0:
            raise UsageError(f"--gen-length is {self.gen_length}", hint="give a number of bytes, 0 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(f"--top-p is {self.top_p}", hint="give a share above 0, up to 1")
