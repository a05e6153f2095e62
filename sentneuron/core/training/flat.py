"""A model's parameters in one piece of memory, and their gradients in another.

So an exchange between ranks is one call on one buffer, and norm, clipping, optimizer and cast are one operation each.
"""

import torch
from torch import Tensor, nn

ALIGNMENT = 64
"""Parameters start at multiples of so many numbers: a cache line or more, and what GPU kernels like to load."""


class FlatParameters:
    """Parameters and gradients as views of two buffers of one type; what lies between them stays zero."""

    def __init__(self, model: nn.Module, dtype: torch.dtype, *, num_notes: int = 0) -> None:
        """Move a model's parameters into a buffer of `dtype`, rounding them; the gradients' one is zero.

        The gradients' buffer has `num_notes` numbers more, which travel with it.
        """
        named = dict(model.named_parameters())
        self.names = list(named)
        self.shapes = [parameter.shape for parameter in named.values()]
        self.starts: list[int] = []
        size = 0
        for shape in self.shapes:
            self.starts.append(size)
            size += -(-shape.numel() // ALIGNMENT) * ALIGNMENT
        self.size = size
        device = next(iter(named.values())).device
        self.weights = torch.zeros(size, dtype=dtype, device=device)
        self.exchanged = torch.zeros(size + num_notes, dtype=dtype, device=device)
        """Gradients, and the notes behind them."""
        self.gradients, self.notes = self.exchanged[:size], self.exchanged[size:]
        views = zip(named.values(), self.split(self.weights).values(), self.split(self.gradients).values(), strict=True)
        for parameter, weights, gradient in views:
            weights.copy_(parameter.detach())
            parameter.grad = None
            parameter.data = weights
            parameter.grad = gradient

    def split(self, buffer: Tensor) -> dict[str, Tensor]:
        """Return views of a buffer laid out as the weights, by the parameters' names."""
        places = zip(self.names, self.starts, self.shapes, strict=True)
        return {name: buffer[start : start + shape.numel()].view(shape) for name, start, shape in places}
