"""Kernel pairs: `reference` against an oracle nobody here wrote, `sequence` against `reference`, outputs and gradients,
with and without recomputation. Faults planted in `sequence` show that the comparison can fail."""

import pytest
import torch
from torch import Tensor

from sentneuron.core.kernels import mlstm_reference, mlstm_sequence

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 5e-3, torch.bfloat16: 3e-2}
"""Against the reference in float64, on inputs rounded to the dtype. Half precision rounds what goes into each product;
`test_sequence_is_as_exact_as_the_reference_in_half_precision` has the finer rule."""

SHAPES = [(1, 1, 1), (17, 1, 37), (1, 3, 63), (17, 3, 63), (33, 2, 12), (3, 3, 500)]
"""T, B, H: one and many steps, streams and chunks, odd sizes; 500 is cut into two blocks."""

KERNELS = {
    "reference": (mlstm_reference.mlstm, False),
    "reference, recomputing": (mlstm_reference.mlstm, True),
    "sequence": (mlstm_sequence.mlstm, False),
    "sequence, recomputing": (mlstm_sequence.mlstm, True),
}


@pytest.fixture(params=KERNELS)
def kernel(request):
    run_window, recompute = KERNELS[request.param]
    return lambda *arguments: run_window(*arguments, recompute=recompute)


def make_inputs(num_steps: int, num_streams: int, size: int, *, dtype=torch.float64, num_rows=11) -> list[Tensor]:
    """Random arguments of a kernel up to the cell state, which is in fp32 or wider; leaves but for `ids`."""
    draw = torch.Generator().manual_seed(0)

    def leaf(*shape: int, scale: float = 1.0, dtype: torch.dtype = dtype) -> Tensor:
        return (torch.randn(*shape, generator=draw, dtype=torch.float64) * scale).to(dtype).requires_grad_()

    ids = torch.randint(0, num_rows, (num_steps, num_streams), generator=draw)
    tables = leaf(num_rows, size), leaf(num_rows, 4 * size)
    scale = size**-0.5  # as trained weights have; at scale 1 the recurrence is chaotic and multiplies rounding by 1000
    weights = leaf(size, size, scale=scale), leaf(4 * size, size, scale=scale)
    c = leaf(num_streams, size, dtype=torch.promote_types(dtype, torch.float32))
    return [ids, *tables, *weights, leaf(num_streams, size), c]


def make_resets(num_steps: int, num_streams: int) -> Tensor:
    resets = torch.rand(num_steps, num_streams, generator=torch.Generator().manual_seed(5)) < 0.3
    resets[num_steps // 2, 0] = True
    return resets


def run(kernel, inputs: list[Tensor], resets: Tensor | None, **options) -> list[Tensor]:
    """Outputs and all gradients, in float64, for a loss that weighs each output number differently."""
    outputs = kernel(*inputs, resets, **options)
    draw = torch.Generator().manual_seed(9)
    weights = [torch.randn(out.shape, generator=draw, dtype=torch.float64).to(out.dtype) for out in outputs]
    return [part.detach().double() for part in (*outputs, *torch.autograd.grad(outputs, inputs[1:], weights))]


def exact(inputs: list[Tensor], resets: Tensor | None) -> list[Tensor]:
    """What the reference gives in float64 for the same numbers."""
    wide = [inputs[0], *(part.detach().double().requires_grad_() for part in inputs[1:])]
    return run(mlstm_reference.mlstm, wide, resets)


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Of the whole tensor; infinite where a number is NaN."""
    error = (found - expected).norm() / expected.norm().clamp_min(1e-30)
    return error.nan_to_num(torch.inf).item()


def errors(found: list[Tensor], expected: list[Tensor]) -> list[float]:
    return [relative_error(one, two) for one, two in zip(found, expected, strict=True)]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_new_memory_is_poisoned(dtype):
    like = torch.zeros(5, 3, dtype=dtype)
    assert all(new.isnan().all() for new in (torch.empty(7, dtype=dtype), torch.empty_like(like), like.new_empty(2, 4)))


@pytest.mark.parametrize("shape", SHAPES)
def test_reference_equals_torch_lstm_cell_fed_m_for_h(shape):
    num_steps, _, size = shape
    ids, table_m, table_x, weight_mhh, weight_hh, h, c = make_inputs(*shape)
    cell = torch.nn.LSTMCell(4 * size, size, dtype=torch.float64)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.eye(4 * size))
        cell.weight_hh.copy_(weight_hh)
        cell.bias_ih.zero_()
        cell.bias_hh.zero_()
        hidden, last_h, last_c = mlstm_reference.mlstm(ids, table_m, table_x, weight_mhh, weight_hh, h, c)
        for step in range(num_steps):
            m = table_m[ids[step]] * (h @ weight_mhh.t())
            h, c = cell(table_x[ids[step]], (m, c))
            assert relative_error(hidden[step], h) < 1e-12
    assert relative_error(last_h, h) < 1e-12
    assert relative_error(last_c, c) < 1e-12


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_sequence_equals_reference_in_outputs_and_gradients(shape, dtype, with_resets, with_state):
    inputs = make_inputs(*shape, dtype=dtype)
    if not with_state:
        inputs[5:] = [torch.zeros_like(part).requires_grad_() for part in inputs[5:]]
    resets = make_resets(*shape[:2]) if with_resets else None
    expected = exact(inputs, resets)
    for recompute in (False, True):
        assert max(errors(run(mlstm_sequence.mlstm, inputs, resets, recompute=recompute), expected)) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_states_of_all_steps_and_their_gradients_are_the_same_of_both_kernels(shape, dtype):
    inputs = make_inputs(*shape, dtype=dtype)
    wide = [inputs[0], *(part.detach().double().requires_grad_() for part in inputs[1:])]

    def states(kernel):
        return lambda *arguments: kernel.mlstm_cells(*arguments[:-1])

    expected = run(states(mlstm_reference), wide, None)
    assert max(errors(run(states(mlstm_sequence), inputs, None), expected)) < TOLERANCE[dtype]
    hidden, _, last_c = mlstm_reference.mlstm(*wide)
    assert torch.equal(expected[0], hidden)
    assert torch.equal(expected[1][-1], last_c)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sequence_is_as_exact_as_the_reference_in_half_precision(dtype, recompute):
    inputs, resets = make_inputs(33, 4, 64, dtype=dtype), make_resets(33, 4)
    expected = exact(inputs, resets)
    found = errors(run(mlstm_sequence.mlstm, inputs, resets, recompute=recompute), expected)
    allowed = [1.5 * error for error in errors(run(mlstm_reference.mlstm, inputs, resets), expected)]
    assert all(one <= two for one, two in zip(found, allowed, strict=True)), (found, allowed)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_states_keep_their_dtypes_in_half_precision(kernel, dtype):
    inputs = make_inputs(3, 2, 4, dtype=dtype)
    hidden, h, c = kernel(*inputs)
    assert (hidden.dtype, h.dtype, c.dtype) == (dtype, dtype, torch.float32)
    gradients = torch.autograd.grad(hidden.sum() + c.sum(), inputs[1:])
    assert [part.dtype for part in gradients] == [part.dtype for part in inputs[1:]]


def test_gradients_equal_finite_differences_in_float64(kernel):
    inputs, resets = make_inputs(4, 2, 3, num_rows=5), make_resets(4, 2)
    assert torch.autograd.gradcheck(lambda *leaves: kernel(inputs[0], *leaves, resets), inputs[1:])


def test_two_windows_equal_one_long_window(kernel):
    ids, *rest, h, c = make_inputs(20, 3, 6)
    resets = make_resets(20, 3)
    whole, last_h, last_c = kernel(ids, *rest, h, c, resets)
    first, h, c = kernel(ids[:9], *rest, h, c, resets[:9])
    second, h, c = kernel(ids[9:], *rest, h, c, resets[9:])
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(h, last_h)
    assert torch.equal(c, last_c)


def test_a_reset_stream_forgets_everything_before(kernel):
    ids, *rest, h, c = make_inputs(10, 2, 4)
    resets = torch.zeros(10, 2, dtype=torch.bool)
    resets[6, 1] = True
    hidden, _, _ = kernel(ids, *rest, h, c, resets)
    fresh, _, _ = kernel(ids[6:], *rest, torch.zeros_like(h), torch.zeros_like(c))
    kept, _, _ = kernel(ids, *rest, h, c)
    assert torch.allclose(hidden[6:, 1], fresh[:, 1], rtol=0, atol=1e-12)
    assert torch.equal(hidden[:, 0], kept[:, 0])
    assert not torch.allclose(hidden[6:, 1], kept[6:, 1])


@pytest.mark.parametrize(("recompute", "least", "most"), [(False, 6.5, 7.5), (True, 1.5, 2.3)])
def test_recomputing_keeps_two_numbers_a_unit_and_byte_instead_of_seven(recompute, least, most):
    inputs = make_inputs(64, 4, 32)
    kept: dict[int, int] = {part.data_ptr(): 0 for part in inputs}  # what the caller holds is not counted

    def pack(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.data_ptr(), tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        mlstm_sequence.mlstm(*inputs, recompute=recompute)
    assert least < sum(kept.values()) / (64 * 4 * 32) < most


def swap_two_gate_gradients(monkeypatch):
    whole = mlstm_sequence._retreat

    def faulty(*arguments, d_gates, scratch):
        di, df, dg, do = d_gates
        whole(*arguments, d_gates=(df, di, dg, do), scratch=scratch)

    monkeypatch.setattr(mlstm_sequence, "_retreat", faulty)


def skip_every_seventh_store_of_h(monkeypatch):
    whole = mlstm_sequence._advance

    def faulty(gates, c_in, *, c_out, tanh_c, h_out):
        before = h_out[..., ::7].clone()
        whole(gates, c_in, c_out=c_out, tanh_c=tanh_c, h_out=h_out)
        h_out[..., ::7] = before

    monkeypatch.setattr(mlstm_sequence, "_advance", faulty)


def skip_every_seventh_store_of_a_gradient(monkeypatch):
    whole = mlstm_sequence._retreat

    def faulty(*arguments, d_gates, scratch):
        before = d_gates[2][..., ::7].clone()
        whole(*arguments, d_gates=d_gates, scratch=scratch)
        d_gates[2][..., ::7] = before

    monkeypatch.setattr(mlstm_sequence, "_retreat", faulty)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    "plant", [swap_two_gate_gradients, skip_every_seventh_store_of_h, skip_every_seventh_store_of_a_gradient]
)
def test_a_planted_fault_is_found_by_the_comparison(monkeypatch, plant, dtype):
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        test_sequence_equals_reference_in_outputs_and_gradients((17, 3, 63), dtype, True, True)
