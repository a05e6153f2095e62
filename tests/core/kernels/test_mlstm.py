"""Kernel pairs: `reference` against an oracle nobody here wrote, `sequence` against `reference`, outputs and
gradients."""

import pytest
import torch
from torch import Tensor

from sentneuron.core.kernels import mlstm_reference, mlstm_sequence

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
SHAPES = [(1, 1, 1), (7, 3, 5), (16, 2, 8), (33, 4, 12), (17, 5, 9)]


@pytest.fixture(autouse=True)
def poisoned_memory():
    """Fill new memory with NaN, so that a value nothing wrote cannot pass."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


def make_inputs(num_steps: int, num_streams: int, size: int, *, dtype=torch.float64, seed=0, num_rows=11):
    """Random arguments of a kernel, leaves that ask for gradients but for `ids`."""
    draw = torch.Generator().manual_seed(seed)

    def leaf(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(*shape, generator=draw, dtype=dtype) * scale).requires_grad_()

    ids = torch.randint(0, num_rows, (num_steps, num_streams), generator=draw)
    tables = leaf(num_rows, size), leaf(num_rows, 4 * size)
    scale = size**-0.5  # as trained weights have; at scale 1 the recurrence is chaotic and multiplies rounding by 1000
    weights = leaf(size, size, scale=scale), leaf(4 * size, size, scale=scale)
    state = leaf(num_streams, size), leaf(num_streams, size)
    return ids, *tables, *weights, *state


def make_resets(num_steps: int, num_streams: int) -> Tensor:
    draw = torch.Generator().manual_seed(5)
    return torch.rand(num_steps, num_streams, generator=draw) < 0.3


def run(kernel, inputs, resets):
    """Outputs and all gradients for a loss that weighs each output number differently."""
    outputs = kernel(*inputs, resets)
    draw = torch.Generator().manual_seed(9)
    loss = sum((out * torch.randn(out.shape, generator=draw, dtype=out.dtype)).sum() for out in outputs)
    return outputs, torch.autograd.grad(loss, inputs[1:])


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm().clamp_min(1e-30)).item()


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


@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_sequence_equals_reference_in_outputs_and_gradients(shape, dtype, with_resets):
    inputs = make_inputs(*shape, dtype=dtype)
    resets = make_resets(*shape[:2]) if with_resets else None
    outputs, gradients = run(mlstm_sequence.mlstm, inputs, resets)
    expected_outputs, expected_gradients = run(mlstm_reference.mlstm, inputs, resets)
    for found, expected in zip([*outputs, *gradients], [*expected_outputs, *expected_gradients], strict=True):
        assert relative_error(found, expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("kernel", [mlstm_reference.mlstm, mlstm_sequence.mlstm])
def test_gradients_equal_finite_differences_in_float64(kernel):
    inputs = make_inputs(4, 2, 3, num_rows=5)
    resets = make_resets(4, 2)
    resets[2, 0] = True
    assert torch.autograd.gradcheck(lambda *leaves: kernel(inputs[0], *leaves, resets), inputs[1:])


@pytest.mark.parametrize("kernel", [mlstm_reference.mlstm, mlstm_sequence.mlstm])
def test_two_windows_equal_one_long_window(kernel):
    ids, *rest, h, c = make_inputs(20, 3, 6)
    resets = make_resets(20, 3)
    whole, last_h, last_c = kernel(ids, *rest, h, c, resets)
    first, h, c = kernel(ids[:9], *rest, h, c, resets[:9])
    second, h, c = kernel(ids[9:], *rest, h, c, resets[9:])
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(h, last_h)
    assert torch.equal(c, last_c)


@pytest.mark.parametrize("kernel", [mlstm_reference.mlstm, mlstm_sequence.mlstm])
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
