"""The multiplicative LSTM over a whole window on a GPU: same signature as `mlstm_reference.mlstm`.

Matrix products are the library's; everything between them is one Triton kernel a product (`pointwise_triton`). The
backward loop makes two products a step; weight gradients are products over all T * B rows at the end, and so are the
gradients of the byte tables, with a one-hot matrix. Shapes are static and nothing is asked of the device on the way, so
that a window can be captured in a CUDA graph. The cell state, and its gradient, is in fp32 for models in half
precision.

Memory, counted for H = 8,192, T = 256, B = 128 in fp16, where a unit U = T * B * H numbers is 0.54 GB: kept for the
backward pass 9 U = 4.8 GB (gates 4, W_mh h, m, h, and c, which is in fp32), with `recompute` 3 U = 1.6 GB (h and c);
made by the backward pass 6 U = 3.2 GB (4 for the gates, 2 for m and W_mh h), beside 1 U that comes in, or with
`recompute` 12 U for RECOMPUTED of T steps, 0.8 GB; weights and their gradients 0.7 GB each. Together 9.9 GB, and 4.3
with `recompute`.

Limits: no gradients of gradients. Has not been run on a GPU yet; its tests run in Triton's interpreter, on the CPU.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from sentneuron.core.kernels import pointwise_triton as pointwise

__all__ = ["mlstm"]

RECOMPUTED = 32
"""Steps whose gates are computed again at a time: 4,096 rows at 128 streams, enough to fill a GPU."""

ONE_HOT_ROWS = 1024
"""Largest table whose gradient is a product: at 256 rows it adds 2 % to a window's arithmetic at H = 4,096, and needs
no atomic additions. Larger tables are the layer below, each row of which is used once."""


class _Mlstm(Function):
    @staticmethod
    def forward(
        ctx: Any,
        ids: Tensor,
        table_m: Tensor,
        table_x: Tensor,
        weight_mhh: Tensor,
        weight_hh: Tensor,
        h: Tensor,
        c: Tensor,
        resets: Tensor | None,
        recompute: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        num_steps, num_streams = ids.shape
        size = h.shape[1]
        num_kept = 1 if recompute else num_steps
        mhh = h.new_empty(num_kept, num_streams, size)
        m = torch.empty_like(mhh)
        gates = h.new_empty(num_kept, num_streams, 4 * size)
        hidden = h.new_empty(num_steps + 1, num_streams, size)  # row t: what step t starts from, before its reset
        cells = c.new_empty(num_steps + 1, num_streams, size)
        hidden[0], cells[0] = h, c
        weight_mhh_t, weight_hh_t = weight_mhh.t(), weight_hh.t()
        with torch.cuda.device_of(h):
            for step in range(num_steps):
                kept = step % num_kept
                row, reset = ids[step], None if resets is None else resets[step]
                torch.mm(hidden[step], weight_mhh_t, out=mhh[kept])
                pointwise.multiply(mhh[kept], table_m, row, reset, m=m[kept])
                torch.mm(m[kept], weight_hh_t, out=gates[kept])
                pointwise.advance(
                    gates[kept], table_x, row, reset, cells[step], c_out=cells[step + 1], h_out=hidden[step + 1]
                )
        products = (None, None, None) if recompute else (mhh, m, gates)
        ctx.save_for_backward(ids, resets, table_m, table_x, weight_mhh, weight_hh, hidden, cells, *products)
        ctx.chunk = min(RECOMPUTED, num_steps) if recompute else num_steps
        return hidden[1:], hidden[-1].clone(), cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        ids, resets, table_m, table_x, weight_mhh, weight_hh, hidden, cells, *products = ctx.saved_tensors
        d_hidden = grad_outputs[0].contiguous()
        dh, dc = (grad.clone(memory_format=torch.contiguous_format) for grad in grad_outputs[1:])
        num_steps, num_streams, size = d_hidden.shape
        d_tables = torch.zeros_like(table_m), torch.zeros_like(table_x)
        d_weight_mhh, d_weight_hh = torch.zeros_like(weight_mhh), torch.zeros_like(weight_hh)
        dz_chunk = dh.new_empty(ctx.chunk, num_streams, 4 * size)
        dm_chunk = dh.new_empty(ctx.chunk, num_streams, size)
        d_mhh_chunk = torch.empty_like(dm_chunk)
        with torch.cuda.device_of(dh):
            for stop in range(num_steps, 0, -ctx.chunk):
                start = max(0, stop - ctx.chunk)
                steps = slice(start, stop)
                rows, reset_rows = ids[steps], None if resets is None else resets[steps]
                if products[0] is None:
                    tables, weights = (table_m, table_x), (weight_mhh, weight_hh)
                    mhh, m, gates = _multiply_out(rows, reset_rows, tables, weights, hidden[steps], cells[steps])
                else:
                    mhh, m, gates = products
                for at in range(stop - start - 1, -1, -1):
                    reset = None if reset_rows is None else reset_rows[at]
                    step = start + at
                    dz, dm, d_mhh = dz_chunk[at], dm_chunk[at], d_mhh_chunk[at]
                    pointwise.advance_backward(
                        d_hidden[step], dh, dc, gates[at], cells[step], cells[step + 1], reset, dz=dz
                    )
                    torch.mm(dz, weight_hh, out=dm)
                    pointwise.multiply_backward(dm, mhh[at], table_m, rows[at], reset, d_mhh=d_mhh)
                    torch.mm(d_mhh, weight_mhh, out=dh)
                num_rows = (stop - start) * num_streams
                dz, dm, d_mhh = (part.flatten(0, 1)[:num_rows] for part in (dz_chunk, dm_chunk, d_mhh_chunk))
                d_weight_hh.addmm_(dz.t(), m.flatten(0, 1))
                d_weight_mhh.addmm_(d_mhh.t(), hidden[steps].flatten(0, 1))
                _add_rows(d_tables, rows.flatten(), (dm, dz))
        return None, *d_tables, d_weight_mhh, d_weight_hh, dh, dc, None, None


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
    """Run a window of T steps on B streams; shapes and result as `mlstm_reference.mlstm`.

    Tables, weights and `h` have one dtype: float64, fp32, fp16 or bf16; `c` is taken and returned in fp32 or wider.
    With `recompute` only states are kept for the backward pass, 2H numbers a byte instead of 8H, and the two forward
    products are made again; where no gradient is asked for, no more than that is kept either.
    """
    tensors = (table_m, table_x, weight_mhh, weight_hh, h)
    is_kept = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (*tensors, c)) and not recompute
    flags = None if resets is None else resets.contiguous().view(torch.uint8)
    wide = c.to(torch.promote_types(h.dtype, torch.float32))
    return _Mlstm.apply(ids.contiguous(), *(tensor.contiguous() for tensor in tensors), wide, flags, not is_kept)


def _multiply_out(
    ids: Tensor,
    resets: Tensor | None,
    tables: tuple[Tensor, Tensor],
    weights: tuple[Tensor, Tensor],
    hidden: Tensor,
    cells: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Make W_mh h, m and the gates of several steps again, from the states they started from, in two products."""
    flat_ids, flat_resets = ids.flatten(), None if resets is None else resets.flatten()
    mhh = torch.mm(hidden.flatten(0, 1), weights[0].t())
    m = torch.empty_like(mhh)
    pointwise.multiply(mhh, tables[0], flat_ids, flat_resets, m=m)
    gates = torch.mm(m, weights[1].t())
    pointwise.advance(gates, tables[1], flat_ids, flat_resets, cells.flatten(0, 1))
    return mhh.view_as(hidden), m.view_as(hidden), gates.view(*ids.shape, -1)


def _add_rows(d_tables: tuple[Tensor, Tensor], ids: Tensor, rows: tuple[Tensor, Tensor]) -> None:
    """Add to each table's gradient the rows that its rows were gathered into."""
    num_rows = len(d_tables[0])
    if num_rows > ONE_HOT_ROWS:
        for d_table, part in zip(d_tables, rows, strict=True):
            d_table.index_add_(0, ids, part)
        return
    one_hot = (torch.arange(num_rows, device=ids.device).unsqueeze(1) == ids).to(rows[0].dtype)
    for d_table, part in zip(d_tables, rows, strict=True):
        d_table.addmm_(one_hot, part)
