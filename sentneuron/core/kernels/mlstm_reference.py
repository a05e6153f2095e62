"""The multiplicative LSTM as the equations say it, under plain autograd: the oracle of every faster kernel.

    m = (W_mx x) * (W_mh h)        z = W_x x + b + W_m m
    i, f, o = sigmoid(z_i, z_f, z_o)    g = tanh(z_g)
    c' = f * c + i * g             h' = o * tanh(c')

The input never appears: `table_m` and `table_x` hold `W_mx x` and `W_x x + b` for each possible row x (256 bytes in the
first layer, the T * B outputs of the layer below elsewhere), and `ids` says which row a step takes. Gate blocks lie in
PyTorch's order i, f, g, o.

Source: Krause et al. 2016, "Multiplicative LSTM for sequence modelling", arXiv:1609.07959, equations 19 to 24.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

__all__ = ["mlstm", "mlstm_cells", "mlstm_step"]


def mlstm_step(
    rows_m: Tensor, rows_x: Tensor, weight_mhh: Tensor, weight_hh: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """Advance the state by one byte.

    Shapes: `rows_m` [B, H], `rows_x` [B, 4H], `weight_mhh` [H, H], `weight_hh` [4H, H], `h` and `c` [B, H].

    Returns:
        The new `h`, in the dtype it had, and `c`, which stays in fp32 where `h` is in half precision.
    """
    m = rows_m * linear(h, weight_mhh)
    i, f, g, o = (rows_x + linear(m, weight_hh)).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return (torch.sigmoid(o) * torch.tanh(c)).to(h.dtype), c


def mlstm(
    ids: Tensor,
    table_m: Tensor,
    table_x: Tensor,
    weight_mhh: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    c: Tensor,
    resets: Tensor | None = None,
    *,
    recompute: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a window of T steps on B streams.

    Shapes: `ids` [T, B] integer rows of the tables, `table_m` [N, H], `table_x` [N, 4H], the state `h` and `c` [B, H],
    `resets` [T, B] bool: true where the state is set to zero before the step. All numbers are of one dtype, but `c` is
    in fp32 where the others are in half precision.

    `recompute` keeps only the states between the steps for the backward pass, which computes the rest again.

    Returns:
        Hidden states [T, B, H], and the last `h` and `c`.
    """
    weights = table_m, table_x, weight_mhh, weight_hh
    hidden = []
    for step, row in enumerate(ids):
        reset = None if resets is None else resets[step]
        if recompute:
            h, c = checkpoint(_step, row, *weights, h, c, reset, use_reentrant=False, preserve_rng_state=False)
        else:
            h, c = _step(row, *weights, h, c, reset)
        hidden.append(h)
    return torch.stack(hidden), h, c


def mlstm_cells(
    ids: Tensor, table_m: Tensor, table_x: Tensor, weight_mhh: Tensor, weight_hh: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """Run a window as `mlstm` does, and return the hidden and the cell states after each step, [T, B, H] both."""
    states = []
    for row in ids:
        h, c = mlstm_step(table_m[row], table_x[row], weight_mhh, weight_hh, h, c)
        states.append((h, c))
    hidden, cells = zip(*states, strict=True)
    return torch.stack(hidden), torch.stack(cells)


def _step(
    row: Tensor,
    table_m: Tensor,
    table_x: Tensor,
    weight_mhh: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    c: Tensor,
    reset: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Advance the state by the bytes of `row` [B]; where `reset` [B] is true, from zero."""
    if reset is not None:
        keep = (~reset).to(h.dtype).unsqueeze(1)
        h, c = h * keep, c * keep
    return mlstm_step(table_m[row], table_x[row], weight_mhh, weight_hh, h, c)
