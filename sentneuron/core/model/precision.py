"""Products with a fixed weight, as inference does one a step: fp32, fp16, bf16 or int8 weights.

Inputs and outputs are the model's own precision whatever the weights are; so are state and gates.

bf16: weights and inputs are rounded to 8 significant bits, fp16: to 11. int8: weights are rounded to 8 bits a number,
with a scale for each output unit, inputs to 7 bits, with a scale for each row, sums are exact; so a row's result does
not depend on the others. int8 runs on a CPU, through torch's dynamic quantization, which torch has announced to remove
and offers no other public operation for; where it is gone, asking for int8 is an error.

What each gains and costs is in docs/performance.md.
"""

import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from sentneuron.core.config import Precision
from sentneuron.core.errors import UsageError

SMALLEST = 1e-30
"""What a row of zeros is divided by."""


class Product:
    """`inputs` [B, K] times a weight [N, K], transposed and laid out once."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight.t().contiguous()

    def __call__(self, inputs: Tensor, out: Tensor, *, add: bool = False) -> None:
        """Write the product to `out` [B, N], or add it to what is there."""
        out.addmm_(inputs, self._weight, beta=1 if add else 0)


class HalfProduct(Product):
    """The same with weight and inputs in bf16 or fp16."""

    def __init__(self, weight: Tensor, *, dtype: torch.dtype) -> None:
        super().__init__(weight.to(dtype))

    def __call__(self, inputs: Tensor, out: Tensor, *, add: bool = False) -> None:
        product = torch.mm(inputs.to(self._weight.dtype), self._weight)
        if add:
            out.add_(product)
        else:
            out.copy_(product)


class Int8Product(Product):
    """The same with weight and inputs in int8.

    torch takes one scale from the smallest and the largest input of a whole batch. Here each row is divided by its
    largest number first, and two columns of +1 and -1 that meet weights of zero hold that scale fixed.
    """

    def __init__(self, weight: Tensor) -> None:
        num_outputs, self._num_inputs = weight.shape
        self._linear = quantized(torch.cat([weight, weight.new_zeros(num_outputs, 2)], dim=1))
        self._scaled = weight.new_empty(0, self._num_inputs + 2)

    def __call__(self, inputs: Tensor, out: Tensor, *, add: bool = False) -> None:
        num_rows = len(inputs)
        if num_rows > len(self._scaled):
            self._scaled = inputs.new_ones(num_rows, self._num_inputs + 2)
            self._scaled[:, -1] = -1
        scaled = self._scaled[:num_rows]
        sizes = torch.linalg.vector_norm(inputs, float("inf"), dim=1, keepdim=True).clamp_(min=SMALLEST)
        torch.div(inputs, sizes, out=scaled[:, : self._num_inputs])
        product = self._linear(scaled)
        if add:
            out.addcmul_(product, sizes)
        else:
            torch.mul(product, sizes, out=out)


def make_product(weight: Tensor, precision: Precision) -> Product:
    """Return the product with `weight` [N, K] at a precision.

    Raises:
        UsageError: an unknown precision; int8 on a GPU, or with a torch that has no such products.
    """
    kinds: dict[str, Callable[[Tensor], Product]] = {
        "fp32": Product,
        "fp16": partial(HalfProduct, dtype=torch.float16),
        "bf16": partial(HalfProduct, dtype=torch.bfloat16),
        "int8": Int8Product,
    }
    if precision not in kinds:
        raise UsageError(f"--precision {precision}", hint=f"give {', '.join(kinds)}")
    if precision == "int8" and weight.device.type != "cpu":
        raise UsageError(f"--precision int8 on {weight.device}", hint="give --device cpu, or --precision bf16")
    return kinds[precision](weight)


def quantized(weight: Tensor) -> nn.Module:
    """Return a linear module without bias on int8 weights, one scale a row.

    Raises:
        UsageError: torch has no dynamic quantization, or none for this processor.
    """
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight = nn.Parameter(weight.float(), requires_grad=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its removal: see above
            from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

            model = quantize_dynamic(nn.Sequential(linear), {nn.Linear: per_channel_dynamic_qconfig})
    except (ImportError, RuntimeError) as error:
        raise UsageError(
            f"--precision int8: torch {torch.__version__} has no int8 products here", hint="give fp32, fp16 or bf16"
        ) from error
    return model[0]
