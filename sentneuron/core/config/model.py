"""The architecture of a model, and how its recurrence is computed."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from sentneuron.core.errors import UsageError
from sentneuron.core.values import require_at_most, require_positive

Cell = Literal["mLSTM", "LSTM", "GRU", "RNNTanh", "RNNReLU"]
Kernel = Literal["auto", "reference", "sequence", "fused"]
Pooling = Literal["last", "mean", "hidden"]
POOLINGS: dict[Pooling, str] = {
    "last": "final cell state",
    "mean": "mean of tanh(cell state) over the text",
    "hidden": "final hidden state",
}
"""What a text's features are, for people."""
Precision = Literal["fp32", "fp16", "bf16", "int8"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture of a language model; stored in every model file."""

    model: Cell = "mLSTM"
    """Recurrent cell."""
    nhid: int = 4096
    """Hidden units a layer."""
    emsize: int = 64
    """Numbers in a byte's embedding."""
    nlayers: int = 1
    """Recurrent layers."""
    dropout: float = 0.0
    """Share of a layer's outputs dropped between layers and before the decoder, 0 to below 1."""
    tied: bool = False
    """Decoder shares the embedding's weights; needs emsize equal to nhid."""
    weight_norm: bool = True
    """Recurrent-layer matrices as a direction and a length per output unit."""

    def __post_init__(self) -> None:
        require_positive(nhid=self.nhid, emsize=self.emsize, nlayers=self.nlayers)
        require_at_most(1 << 20, nhid=self.nhid, emsize=self.emsize)
        require_at_most(128, nlayers=self.nlayers)
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout is {self.dropout}", hint="give a number from 0 to below 1")
        if self.tied and self.emsize != self.nhid:
            raise UsageError(f"--tied with --emsize {self.emsize} and --nhid {self.nhid}", hint="make them equal")

    def num_features(self, *, all_layers: bool) -> int:
        """Return the width of a text's features: the top layer's units, or those of all layers."""
        return self.nhid * (self.nlayers if all_layers else 1)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild from a model file's `config`; unknown names raise TypeError."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a model file."""
        return asdict(self)
