"""The multiplicative LSTM over a whole window as one autograd function: same signature as `mlstm_reference.mlstm`.

Plain eager autograd spends its time on small operations, on matrix products with few rows, and on one weight-gradient
product a step. Here

- weights are cut into blocks of columns once a window, and a step's product is a batch over the blocks. So the library
  reaches 72 to 100 % of a square product's rate at H = 4,096 with 32 rows, and 40 to 61 % with the matrix whole; 83 to
  94 % and 57 to 94 % at H = 512 with 64 rows (MKL, one and two threads of a Xeon);
- what the products yield, and the cell state, lie in blocks too: [H / WIDTH, B, WIDTH]. What goes into a product lies
  in rows: [B, H]. `_blocks` shows rows as blocks, without a copy;
- the backward loop carries only dh and dc; weight gradients are products over CHUNK steps at once.

Kept for the backward pass: 7H numbers a byte (four gates, W_mh h, c, h), or with `recompute` 2H (c, h): gates are then
computed again a chunk at a time, all of whose inputs are known, by two products.

Works on any device with torch's own operations; no compilation. Limits: gradients of gradients are not available; the
blocked weights are a copy, made once in each pass (together 0.6 s for W_hh at H = 4,096 on one thread, where a step of
32 streams takes 0.25 s).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

__all__ = ["mlstm", "mlstm_cells"]

Gates = tuple[Tensor, ...]
"""i, f, g and o, or their gradients, [H / width, B, width] each; views."""

CHUNK = 16
"""Steps whose gradients are multiplied together: all at once is unstable in time on a CPU, one makes small products."""

WIDTH = 256
"""Columns of a block at most; products with 128 to 1,024 were timed at H = 512 and 4,096, on one and two threads."""


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
        with_cells: bool,
    ) -> tuple[Tensor, ...]:
        num_steps, num_streams = ids.shape
        width = _block_width(h.shape[1])
        keep = None if resets is None else (~resets).to(h.dtype).unsqueeze(2)
        weight_mhh_blocks, weight_hh_blocks = _cut(weight_mhh.t(), width), _cut(weight_hh.t(), width)
        table_x_blocks, c_blocks = _cut(table_x, width), _blocks(c, width)

        num_kept = 1 if recompute else num_steps
        mhh = h.new_empty(num_kept, len(c_blocks), num_streams, width)
        gates = h.new_empty(num_kept, 4 * len(c_blocks), num_streams, width)
        hidden = h.new_empty(num_steps + 1, *h.shape)  # row t: what step t starts from, before its reset
        cells = c.new_empty(num_steps + 1, *c_blocks.shape)
        hidden[0], cells[0] = h, c_blocks
        tanh_c = torch.empty_like(cells[0])
        for step, row in enumerate(ids):
            h_in, c_in, c_out = hidden[step], cells[step], cells[step + 1]
            mhh_step, gates_step = mhh[step % num_kept], gates[step % num_kept]
            if keep is not None:
                h_in, c_in = h_in * keep[step], c_in * keep[step]
            torch.bmm(*_batch(h_in, weight_mhh_blocks), out=mhh_step)
            m = table_m.index_select(0, row)
            _blocks(m, width).mul_(mhh_step)
            torch.index_select(table_x_blocks, 1, row, out=gates_step)
            gates_step.baddbmm_(*_batch(m, weight_hh_blocks))
            _advance(_activate_(gates_step), c_in, c_out=c_out, tanh_c=tanh_c, h_out=_blocks(hidden[step + 1], width))
        products = (None, None) if recompute else (mhh, gates)
        ctx.save_for_backward(ids, table_m, table_x, weight_mhh, weight_hh, keep, hidden, cells, *products)
        result = hidden[1:], hidden[-1].clone(), _rows(cells[-1])
        return (*result, cells[1:]) if with_cells else result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, dh, dc = grad_outputs[:3]
        d_cells = grad_outputs[3] if len(grad_outputs) == 4 else None
        ids, table_m, table_x, weight_mhh, weight_hh, keep, hidden, cells, mhh, gates = ctx.saved_tensors
        num_steps, num_streams = ids.shape
        size = dh.shape[1]
        width = _block_width(size)
        weight_mhh_blocks, weight_hh_blocks = _cut(weight_mhh, width), _cut(weight_hh, width)
        d_weight_mhh, d_weight_hh = torch.zeros_like(weight_mhh), torch.zeros_like(weight_hh)
        d_table_m, d_table_x = torch.zeros_like(table_m), torch.zeros_like(table_x)

        # Rows of a chunk: the gradients of the preactivations z, of W_mh h, and of the rows of table_m.
        shape = min(CHUNK, num_steps), num_streams
        dz, d_mhh, d_rows = (dh.new_empty(*shape, n) for n in (4 * size, size, size))
        dz_blocks, d_mhh_blocks, d_rows_blocks = (_blocks(part, width) for part in (dz, d_mhh, d_rows))
        d_hidden, hidden_blocks = _blocks(d_hidden, width), _blocks(hidden, width)
        dh, dc = _cut(dh, width), _cut(dc, width)
        dm, scratch = torch.empty_like(dh), (torch.empty_like(dc), torch.empty_like(dc))
        for stop in range(num_steps, 0, -CHUNK):
            start = max(0, stop - CHUNK)
            row = ids[start:stop].reshape(-1)
            rows_m = table_m.index_select(0, row).view(-1, num_streams, size)
            rows_m_blocks = _blocks(rows_m, width)
            h_in, c_in = hidden[start:stop], cells[start:stop]
            if keep is not None:
                h_in, c_in = h_in * keep[start:stop], c_in * keep[start:stop].unsqueeze(1)
            if gates is None:
                mhh_chunk, gates_chunk = _recompute(h_in, rows_m, table_x.index_select(0, row), weight_mhh, weight_hh)
                mhh_chunk, gates_chunk = _blocks(mhh_chunk, width), _blocks(gates_chunk, width)
                _activate_(gates_chunk)
            else:
                mhh_chunk, gates_chunk = mhh[start:stop], gates[start:stop]
            for index in range(stop - start - 1, -1, -1):
                step = start + index
                dh += d_hidden[step]
                if d_cells is not None:
                    dc += d_cells[step]
                _retreat(
                    gates_chunk[index].chunk(4),
                    c_in[index],
                    cells[step + 1],
                    hidden_blocks[step + 1],
                    dh,
                    dc,
                    d_gates=dz_blocks[index].chunk(4),
                    scratch=scratch,
                )
                torch.bmm(*_batch(dz[index], weight_hh_blocks), out=dm)
                torch.mul(dm, mhh_chunk[index], out=d_rows_blocks[index])
                torch.mul(dm, rows_m_blocks[index], out=d_mhh_blocks[index])
                torch.bmm(*_batch(d_mhh[index], weight_mhh_blocks), out=dh)
                if keep is not None:
                    dh *= keep[step]
                    dc *= keep[step]
            dz_flat, d_mhh_flat, d_rows_flat = (part[: stop - start].flatten(0, 1) for part in (dz, d_mhh, d_rows))
            rows_m_blocks.mul_(mhh_chunk)  # rows_m is m from here on
            d_weight_hh.addmm_(dz_flat.t(), rows_m.flatten(0, 1))
            d_weight_mhh.addmm_(d_mhh_flat.t(), h_in.flatten(0, 1))
            d_table_x.index_add_(0, row, dz_flat)
            d_table_m.index_add_(0, row, d_rows_flat)
        return None, d_table_m, d_table_x, d_weight_mhh, d_weight_hh, _rows(dh), _rows(dc), None, None, None


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
    """Run a window of T steps on B streams; arguments and result as `mlstm_reference.mlstm`."""
    return _Mlstm.apply(ids, table_m, table_x, weight_mhh, weight_hh, h, c, resets, recompute, False)


def mlstm_cells(
    ids: Tensor, table_m: Tensor, table_x: Tensor, weight_mhh: Tensor, weight_hh: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the hidden and the cell states of a window; as `mlstm_reference.mlstm_cells`."""
    hidden, _, _, cells = _Mlstm.apply(ids, table_m, table_x, weight_mhh, weight_hh, h, c, None, False, True)
    return hidden, cells.transpose(1, 2).flatten(2)


def _block_width(size: int) -> int:
    """Return the width of the blocks that `size` columns are cut into: halved while even and above WIDTH."""
    while size > WIDTH and size % 2 == 0:
        size //= 2
    return size


def _blocks(rows: Tensor, width: int) -> Tensor:
    """Show [..., B, N] as blocks of columns, [..., N / width, B, width]; a view."""
    return rows.unflatten(-1, (-1, width)).transpose(-3, -2)


def _cut(rows: Tensor, width: int) -> Tensor:
    """Copy [B, N] into blocks of columns."""
    return _blocks(rows, width).clone(memory_format=torch.contiguous_format)


def _rows(blocks: Tensor) -> Tensor:
    """Copy blocks [N / width, B, width] into rows [B, N]; the opposite of `_cut`."""
    return blocks.transpose(0, 1).flatten(1).clone()


def _batch(rows: Tensor, weight_blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Return both sides of the batched product of the same rows with each block of a weight."""
    return rows.expand(len(weight_blocks), -1, -1), weight_blocks


def _activate_(gates: Tensor) -> Gates:
    """Turn preactivations [..., 4H / width, B, width] into gates, in place, and return i, f, g, o."""
    i, f, g, o = gates.chunk(4, dim=-3)
    for gate in (i, f, o):
        gate.sigmoid_()
    g.tanh_()
    return i, f, g, o


def _advance(gates: Gates, c_in: Tensor, *, c_out: Tensor, tanh_c: Tensor, h_out: Tensor) -> None:
    """Write the state after a step."""
    i, f, g, o = gates
    torch.mul(f, c_in, out=c_out).addcmul_(i, g)
    torch.tanh(c_out, out=tanh_c)
    torch.mul(o, tanh_c, out=h_out)


def _retreat(
    gates: Gates,
    c_in: Tensor,
    c_out: Tensor,
    h_out: Tensor,
    dh: Tensor,
    dc: Tensor,
    *,
    d_gates: Gates,
    scratch: tuple[Tensor, Tensor],
) -> None:
    """Write the gradients of a step's preactivations, and turn `dc` from that of `c_out` into that of `c_in`.

    The derivative of a sigmoid s is s * (1 - s), so a gradient y becomes ys - ys * s, where ys = y * s often is there
    already: dh * o * tanh(c) is dh * h.
    """
    i, f, g, o = gates
    di, df, dg, do = d_gates
    first, second = scratch
    torch.mul(dh, h_out, out=first)
    torch.addcmul(first, first, o, value=-1, out=do)
    torch.tanh(c_out, out=second)
    dc.addcmul_(dh, o).addcmul_(first, second, value=-1)
    torch.mul(dc, i, out=first)
    torch.mul(first, g, out=second)
    torch.addcmul(second, second, i, value=-1, out=di)
    torch.addcmul(first, second, g, value=-1, out=dg)
    dc *= f
    torch.mul(dc, c_in, out=first)
    torch.addcmul(first, first, f, value=-1, out=df)


def _recompute(
    h_in: Tensor, rows_m: Tensor, rows_x: Tensor, weight_mhh: Tensor, weight_hh: Tensor
) -> tuple[Tensor, Tensor]:
    """Return W_mh h and the preactivations of the gates for a chunk of steps [steps, B, H] that start from `h_in`;
    overwrites `rows_x`."""
    mhh = h_in.flatten(0, 1) @ weight_mhh.t()
    rows_x.addmm_(rows_m.flatten(0, 1) * mhh, weight_hh.t())
    return mhh.view_as(h_in), rows_x.view(*h_in.shape[:2], -1)
