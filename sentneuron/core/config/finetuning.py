"""Settings of `transfer --finetune`."""

from dataclasses import dataclass

from sentneuron.core.values import require_at_most, require_positive

MAX_EPOCHS = 10_000


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """How encoder and classifier are trained together."""

    epochs: int = 3
    """Passes over the training texts at the most; the rate falls to zero at the end of them."""
    lr: float = 1e-3
    """Peak learning rate of the encoder."""

    def __post_init__(self) -> None:
        require_positive(epochs=self.epochs, lr=self.lr)
        require_at_most(MAX_EPOCHS, epochs=self.epochs)
        require_at_most(1, lr=self.lr)
