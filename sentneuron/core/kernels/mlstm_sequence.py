"""The multiplicative LSTM over a whole window as one autograd function: same signature as `mlstm_reference.mlstm`.

Plain eager autograd spends its time on small operations and on one weight-gradient product a step. Here the backward
loop carries only dh and dc; weight gradients are products over CHUNK steps at once, table gradients one `index_add_` a
chunk. Saved for the backward pass: 8H numbers a byte (four gates, W_mh h, c, tanh c, h).

Works on any device with torch's own operations; no compilation. Limits: gradients of gradients are not available.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

__all__ = ["mlstm"]

CHUNK = 16
"""Steps whose gradients are multiplied together: all at once is unstable in time on a CPU, one makes small products."""


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
    ) -> tuple[Tensor, Tensor, Tensor]:
        num_steps, num_streams = ids.shape
        size = h.shape[1]
        keep = None if resets is None else (~resets).to(h.dtype).unsqueeze(2)
        mhh = h.new_empty(num_steps, num_streams, size)
        gates = h.new_empty(num_steps, num_streams, 4 * size)
        tanh_c = torch.empty_like(mhh)
        hidden = h.new_empty(num_steps + 1, num_streams, size)  # row t: what step t starts from, before its reset
        cells = torch.empty_like(hidden)
        hidden[0], cells[0] = h, c
        weight_mhh_t, weight_hh_t = weight_mhh.t(), weight_hh.t()
        for start in range(0, num_steps, CHUNK):
            rows = ids[start : start + CHUNK]
            rows_m, rows_x = _gather(table_m, rows), _gather(table_x, rows)
            for step in range(start, start + len(rows)):
                h_in, c_in = hidden[step], cells[step]
                if keep is not None:
                    h_in, c_in = h_in * keep[step], c_in * keep[step]
                torch.mm(h_in, weight_mhh_t, out=mhh[step])
                m = rows_m[step - start].mul_(mhh[step])
                torch.addmm(rows_x[step - start], m, weight_hh_t, out=gates[step])
                i, f, g, o = gates[step].chunk(4, dim=1)
                gates[step, :, : 2 * size].sigmoid_()
                g.tanh_()
                o.sigmoid_()
                torch.mul(f, c_in, out=cells[step + 1])
                cells[step + 1].addcmul_(i, g)
                torch.tanh(cells[step + 1], out=tanh_c[step])
                torch.mul(o, tanh_c[step], out=hidden[step + 1])
        ctx.save_for_backward(ids, table_m, weight_mhh, weight_hh, mhh, gates, cells, tanh_c, hidden, keep)
        ctx.num_rows = table_m.shape[0]
        return hidden[1:], hidden[-1].clone(), cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, dh, dc = grad_outputs
        ids, table_m, weight_mhh, weight_hh, mhh, gates, cells, tanh_c, hidden, keep = ctx.saved_tensors
        num_steps, num_streams = ids.shape
        size = dh.shape[1]
        d_table_m = dh.new_zeros(ctx.num_rows, size)
        d_table_x = dh.new_zeros(ctx.num_rows, 4 * size)
        d_weight_mhh, d_weight_hh = torch.zeros_like(weight_mhh), torch.zeros_like(weight_hh)
        chunk = min(CHUNK, num_steps)
        dz_chunk = dh.new_empty(chunk, num_streams, 4 * size)
        dm_chunk = dh.new_empty(chunk, num_streams, size)
        dh, dc = dh.clone(), dc.clone()
        for stop in range(num_steps, 0, -CHUNK):
            start = max(0, stop - CHUNK)
            rows = ids[start:stop]
            rows_m = _gather(table_m, rows)
            for step in range(stop - 1, start - 1, -1):
                i, f, g, o = gates[step].chunk(4, dim=1)
                c_in = cells[step] if keep is None else cells[step] * keep[step]
                dz, dm = dz_chunk[step - start], dm_chunk[step - start]
                di, df, dg, do = dz.chunk(4, dim=1)
                dh += d_hidden[step]
                dh_o = dh * o
                dc += torch.ops.aten.tanh_backward(dh_o, tanh_c[step])
                torch.mul(dh, tanh_c[step], out=do)
                torch.mul(dc, g, out=di)
                torch.mul(dc, c_in, out=df)
                torch.mul(dc, i, out=dg)
                _sigmoid_backward_(di, i)
                _sigmoid_backward_(df, f)
                _tanh_backward_(dg, g)
                _sigmoid_backward_(do, o)
                dc *= f
                torch.mm(dz, weight_hh, out=dm)
                torch.mm(dm * rows_m[step - start], weight_mhh, out=dh)
                if keep is not None:
                    dh *= keep[step]
                    dc *= keep[step]
            length = stop - start
            flat_ids = rows.reshape(-1)
            dz, dm = dz_chunk[:length].view(-1, 4 * size), dm_chunk[:length].view(-1, size)
            rows_m, rows_mhh = rows_m.view(-1, size), mhh[start:stop].view(-1, size)
            h_in = hidden[start:stop] if keep is None else hidden[start:stop] * keep[start:stop]
            d_weight_hh.addmm_(dz.t(), rows_m * rows_mhh)
            d_weight_mhh.addmm_((dm * rows_m).t(), h_in.reshape(-1, size))
            d_table_x.index_add_(0, flat_ids, dz)
            d_table_m.index_add_(0, flat_ids, dm * rows_mhh)
        return None, d_table_m, d_table_x, d_weight_mhh, d_weight_hh, dh, dc, None


def mlstm(
    ids: Tensor,
    table_m: Tensor,
    table_x: Tensor,
    weight_mhh: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    c: Tensor,
    resets: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a window of T steps on B streams; shapes and result as `mlstm_reference.mlstm`."""
    return _Mlstm.apply(ids, table_m, table_x, weight_mhh, weight_hh, h, c, resets)


def _gather(table: Tensor, rows: Tensor) -> Tensor:
    """Rows of a table for a chunk of steps, [steps, B, ...]; always a copy."""
    return table.index_select(0, rows.reshape(-1)).view(*rows.shape, -1)


def _sigmoid_backward_(grad: Tensor, output: Tensor) -> None:
    grad *= output * (1 - output)


def _tanh_backward_(grad: Tensor, output: Tensor) -> None:
    grad *= 1 - output * output
