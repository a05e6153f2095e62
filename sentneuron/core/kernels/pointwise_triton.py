"""What the multiplicative LSTM does between its matrix products, as Triton kernels: forward, and the gradients.

A step forward is product, `multiply`, product, `advance`; a step backward is `advance_backward`, product,
`multiply_backward`, product. Each program instance does BLOCK units of one row; a row is one stream of one step, so a
call takes the B rows of a step or the T * B rows of a window alike. Gate blocks lie in PyTorch's order i, f, g, o.

All arithmetic is in the cell state's dtype: fp32 for models in fp32, fp16 and bf16, float64 for float64. A reset is
folded into the masks of the loads, so that nothing of a forgotten state, not even a NaN, reaches what comes after.

Tensors are contiguous; `resets` is uint8 (or None); nothing is checked here. Limits: tanh is 2 sigmoid(2x) - 1, which
Triton's interpreter has; its absolute error is one rounding of 1, its relative error near 0 is not bounded.
"""

# Triton takes the annotations of a kernel's parameters for its own types, so they have none for mypy.
# mypy: disallow-untyped-defs=False

import triton
import triton.language as tl
from torch import Tensor

__all__ = ["IS_INTERPRETED", "advance", "advance_backward", "multiply", "multiply_backward"]

BLOCK = 1024
"""Most units a program instance: eight of each gate a thread, so that a load in half precision is 16 bytes wide."""


@triton.jit
def _tanh(x):
    return 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def _remembered(resets, row, unit, size):
    """Mask of the units whose past counts: none of a row that is reset."""
    limit = size
    if resets is not None:
        limit = tl.where(tl.load(resets + row) == 0, size, 0)
    return unit < limit


@triton.jit
def _multiply_kernel(mhh, table_m, ids, resets, m, size, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    byte = tl.load(ids + row).to(tl.int64)
    factor = tl.load(table_m + byte * size + unit, mask=unit < size, other=0)
    past = tl.load(mhh + row * size + unit, mask=_remembered(resets, row, unit, size), other=0)
    wide = tl.float64 if m.dtype.element_ty == tl.float64 else tl.float32
    tl.store(m + row * size + unit, (factor.to(wide) * past.to(wide)).to(m.dtype.element_ty), mask=unit < size)


@triton.jit
def _advance_kernel(z, table_x, ids, resets, c_in, c_out, h_out, size, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < size
    byte = tl.load(ids + row).to(tl.int64)
    wide = c_in.dtype.element_ty
    narrow = z.dtype.element_ty
    here = z + row * 4 * size + unit
    rows_x = table_x + byte * 4 * size + unit
    i = tl.load(here, mask=inside, other=0).to(wide) + tl.load(rows_x, mask=inside, other=0).to(wide)
    f = tl.load(here + size, mask=inside, other=0).to(wide) + tl.load(rows_x + size, mask=inside, other=0).to(wide)
    g = tl.load(here + 2 * size, mask=inside, other=0).to(wide)
    g += tl.load(rows_x + 2 * size, mask=inside, other=0).to(wide)
    o = tl.load(here + 3 * size, mask=inside, other=0).to(wide)
    o += tl.load(rows_x + 3 * size, mask=inside, other=0).to(wide)
    i, f, g, o = tl.sigmoid(i), tl.sigmoid(f), _tanh(g), tl.sigmoid(o)
    tl.store(here, i.to(narrow), mask=inside)
    tl.store(here + size, f.to(narrow), mask=inside)
    tl.store(here + 2 * size, g.to(narrow), mask=inside)
    tl.store(here + 3 * size, o.to(narrow), mask=inside)
    if c_out is not None:
        past = tl.load(c_in + row * size + unit, mask=_remembered(resets, row, unit, size), other=0)
        c = f * past + i * g
        tl.store(c_out + row * size + unit, c, mask=inside)
        tl.store(h_out + row * size + unit, (o * _tanh(c)).to(narrow), mask=inside)


@triton.jit
def _advance_backward_kernel(d_hidden, dh, dc, gates, c_in, c_out, resets, dz, size, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < size
    remembered = _remembered(resets, row, unit, size)
    at = row * size + unit
    wide = c_in.dtype.element_ty
    narrow = dz.dtype.element_ty
    here = gates + row * 4 * size + unit
    i = tl.load(here, mask=inside, other=0).to(wide)
    f = tl.load(here + size, mask=inside, other=0).to(wide)
    g = tl.load(here + 2 * size, mask=inside, other=0).to(wide)
    o = tl.load(here + 3 * size, mask=inside, other=0).to(wide)
    past = tl.load(c_in + at, mask=remembered, other=0)
    tanh_c = _tanh(tl.load(c_out + at, mask=inside, other=0))
    d_h = tl.load(d_hidden + at, mask=inside, other=0).to(wide) + tl.load(dh + at, mask=inside, other=0).to(wide)
    d_c = tl.load(dc + at, mask=inside, other=0) + d_h * o * (1 - tanh_c * tanh_c)
    there = dz + row * 4 * size + unit
    tl.store(there, (d_c * g * i * (1 - i)).to(narrow), mask=inside)
    tl.store(there + size, (d_c * past * f * (1 - f)).to(narrow), mask=inside)
    tl.store(there + 2 * size, (d_c * i * (1 - g * g)).to(narrow), mask=inside)
    tl.store(there + 3 * size, (d_h * tanh_c * o * (1 - o)).to(narrow), mask=inside)
    tl.store(dc + at, tl.where(remembered, d_c * f, 0), mask=inside)


@triton.jit
def _multiply_backward_kernel(dm, mhh, table_m, ids, resets, d_mhh, size, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < size
    remembered = _remembered(resets, row, unit, size)
    at = row * size + unit
    byte = tl.load(ids + row).to(tl.int64)
    wide = tl.float64 if dm.dtype.element_ty == tl.float64 else tl.float32
    narrow = dm.dtype.element_ty
    d_m = tl.load(dm + at, mask=remembered, other=0).to(wide)
    past = tl.load(mhh + at, mask=remembered, other=0).to(wide)
    factor = tl.load(table_m + byte * size + unit, mask=inside, other=0).to(wide)
    tl.store(d_mhh + at, (d_m * factor).to(narrow), mask=inside)
    tl.store(dm + at, (d_m * past).to(narrow), mask=inside)


IS_INTERPRETED = not isinstance(_multiply_kernel, triton.JITFunction)
"""Whether Triton was imported with TRITON_INTERPRET=1: then the kernels run on tensors of the CPU, slowly."""


def multiply(mhh: Tensor, table_m: Tensor, ids: Tensor, resets: Tensor | None, *, m: Tensor) -> None:
    """Write m = table_m[ids] * mhh, with mhh taken as 0 where a row is reset.

    Shapes: `mhh` and `m` [N, H], `table_m` [rows, H], `ids` and `resets` [N].
    """
    grid, size, block = _plan(mhh)
    _multiply_kernel[grid](mhh, table_m, ids, resets, m, size, BLOCK=block)


def advance(
    z: Tensor,
    table_x: Tensor,
    ids: Tensor,
    resets: Tensor | None,
    c_in: Tensor,
    *,
    c_out: Tensor | None = None,
    h_out: Tensor | None = None,
) -> None:
    """Turn z = W_hh m [N, 4H] into the four gates, in place, and write the new state.

    Shapes: `table_x` [rows, 4H], `ids` and `resets` [N], `c_in`, `c_out` and `h_out` [N, H]. Without `c_out` and
    `h_out` only the gates are made.
    """
    grid, size, block = _plan(c_in)
    _advance_kernel[grid](z, table_x, ids, resets, c_in, c_out, h_out, size, BLOCK=block)


def advance_backward(
    d_hidden: Tensor,
    dh: Tensor,
    dc: Tensor,
    gates: Tensor,
    c_in: Tensor,
    c_out: Tensor,
    resets: Tensor | None,
    *,
    dz: Tensor,
) -> None:
    """Write the gradient of z, and replace `dc`, the gradient of c_out through later steps, by that of c_in.

    The gradient of the step's h is `d_hidden` (where it was an output) plus `dh` (through later steps). Shapes: `gates`
    and `dz` [N, 4H], the others [N, H].
    """
    grid, size, block = _plan(c_in)
    _advance_backward_kernel[grid](d_hidden, dh, dc, gates, c_in, c_out, resets, dz, size, BLOCK=block)


def multiply_backward(
    dm: Tensor, mhh: Tensor, table_m: Tensor, ids: Tensor, resets: Tensor | None, *, d_mhh: Tensor
) -> None:
    """Write the gradient of mhh, and replace `dm`, the gradient of m, by that of the gathered rows of `table_m`.

    Shapes as `multiply`; both are 0 where a row is reset.
    """
    grid, size, block = _plan(dm)
    _multiply_backward_kernel[grid](dm, mhh, table_m, ids, resets, d_mhh, size, BLOCK=block)


def _plan(states: Tensor) -> tuple[tuple[int, int], int, int]:
    """The grid (rows, blocks of units), H, and the units of a block."""
    num_rows, size = states.shape
    block = min(BLOCK, triton.next_power_of_2(size))
    return (num_rows, triton.cdiv(size, block)), size, block
