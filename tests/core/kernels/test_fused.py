"""The kernels for GPUs against the reference: outputs and all gradients, on poisoned memory. Runs on a GPU where there
is one, and in Triton's interpreter elsewhere."""

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is not installed; it comes with torch for CUDA")

from sentneuron.core.kernels import mlstm_fused, mlstm_reference, pointwise_triton

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 5e-3, torch.bfloat16: 3e-2}
"""Against the reference in float64, on inputs rounded to the dtype. Half precision rounds what goes into each product;
the interpreter cuts bf16 off instead of rounding it, which doubles that error."""


def make_inputs(num_steps: int, num_streams: int, size: int, *, dtype=torch.float32, num_rows=11) -> list[Tensor]:
    """Random arguments of a kernel up to the cell state, which is in fp32 or wider."""
    draw = torch.Generator().manual_seed(3)

    def leaf(*shape: int, scale: float = 1.0, dtype: torch.dtype = dtype) -> Tensor:
        return (torch.randn(*shape, generator=draw, dtype=torch.float64) * scale).to(DEVICE, dtype).requires_grad_()

    ids = torch.randint(0, num_rows, (num_steps, num_streams), generator=draw).to(DEVICE)
    tables = leaf(num_rows, size), leaf(num_rows, 4 * size)
    scale = size**-0.5  # as trained weights have; at scale 1 the recurrence multiplies rounding errors
    weights = leaf(size, size, scale=scale), leaf(4 * size, size, scale=scale)
    c = leaf(num_streams, size, dtype=torch.promote_types(dtype, torch.float32))
    return [ids, *tables, *weights, leaf(num_streams, size), c]


def make_resets(num_steps: int, num_streams: int) -> Tensor:
    resets = torch.rand(num_steps, num_streams, generator=torch.Generator().manual_seed(5)) < 0.3
    resets[num_steps // 2, 0] = True
    return resets.to(DEVICE)


def run(kernel, inputs: list[Tensor], resets: Tensor | None, **options) -> list[Tensor]:
    """Outputs and all gradients, in float64, for a loss that weighs each output number differently."""
    outputs = kernel(*inputs, resets, **options)
    draw = torch.Generator().manual_seed(9)
    weights = [torch.randn(out.shape, generator=draw, dtype=torch.float64) for out in outputs]
    upstream = [weight.to(out) for weight, out in zip(weights, outputs, strict=True)]
    return [part.detach().double() for part in (*outputs, *torch.autograd.grad(outputs, inputs[1:], upstream))]


def expected(inputs: list[Tensor], resets: Tensor | None) -> list[Tensor]:
    wide = [inputs[0], *(part.detach().double().requires_grad_() for part in inputs[1:])]
    return run(mlstm_reference.mlstm, wide, resets)


def errors(found: list[Tensor], wanted: list[Tensor]) -> list[float]:
    """Relative error of each tensor; a NaN is the largest of all."""
    pairs = zip(found, wanted, strict=True)
    return [((one - two).norm() / two.norm().clamp_min(1e-30)).nan_to_num(torch.inf).item() for one, two in pairs]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("shape", "with_resets"),
    [((1, 1, 1), True), ((4, 3, 5), False), ((4, 3, 5), True), ((4, 1, 37), True), ((1, 3, 63), False)],
)
def test_fused_equals_reference_in_outputs_and_gradients(shape, with_resets, dtype):
    inputs = make_inputs(*shape, dtype=dtype)
    resets = make_resets(*shape[:2]) if with_resets else None
    found = run(mlstm_fused.mlstm, inputs, resets)
    assert max(errors(found, expected(inputs, resets))) < TOLERANCE[dtype]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(17, 3, 37), (17, 1, 63), (17, 3, 500)])
def test_fused_equals_reference_at_odd_sizes_over_many_steps(shape, dtype):
    inputs, resets = make_inputs(*shape, dtype=dtype), make_resets(*shape[:2])
    assert max(errors(run(mlstm_fused.mlstm, inputs, resets), expected(inputs, resets))) < TOLERANCE[dtype]


@pytest.mark.skipif(DEVICE.type == "cpu", reason="hours in the interpreter; runs on a GPU")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(17, 128, 1024), (5, 8, 4096)])
def test_fused_equals_reference_at_real_sizes(shape, dtype):
    inputs, resets = make_inputs(*shape, dtype=dtype, num_rows=256), make_resets(*shape[:2])
    for recompute in (False, True):
        found = run(mlstm_fused.mlstm, inputs, resets, recompute=recompute)
        assert max(errors(found, expected(inputs, resets))) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_units_are_parted_into_blocks_without_a_gap(monkeypatch, dtype):
    monkeypatch.setattr(pointwise_triton, "BLOCK", 16)
    inputs, resets = make_inputs(2, 2, 37, dtype=dtype), make_resets(2, 2)
    assert max(errors(run(mlstm_fused.mlstm, inputs, resets), expected(inputs, resets))) < TOLERANCE[dtype]


@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("recomputed", [2, pytest.param(32, marks=pytest.mark.slow)])
def test_recomputation_changes_nothing_but_memory(monkeypatch, recomputed, with_resets):
    monkeypatch.setattr(mlstm_fused, "RECOMPUTED", recomputed)
    inputs = make_inputs(5, 2, 6)
    resets = make_resets(5, 2) if with_resets else None
    kept = run(mlstm_fused.mlstm, inputs, resets)
    again = run(mlstm_fused.mlstm, inputs, resets, recompute=True)
    assert max(errors(again, kept)) < 2e-6
    assert torch.equal(again[0], kept[0])


@pytest.mark.slow
def test_what_is_kept_for_the_backward_pass_is_what_the_docstring_says():
    def numbers_kept(**options) -> float:
        inputs = make_inputs(24, 1, 4)
        own = {part.untyped_storage().data_ptr() for part in inputs}
        kept: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes() // tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            mlstm_fused.mlstm(*inputs, **options)
        return sum(kept.values()) / (24 * 4)

    assert numbers_kept() == pytest.approx(8, abs=0.2)
    assert numbers_kept(recompute=True) == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("one_hot_rows", [1024, 8])
def test_tables_of_the_layer_above_get_their_gradients(monkeypatch, one_hot_rows):
    """There every position has a row of its own; tables too large for a one-hot product take another way."""
    monkeypatch.setattr(mlstm_fused, "ONE_HOT_ROWS", one_hot_rows)
    ids, *rest = make_inputs(4, 3, 5, num_rows=12)
    inputs = [torch.arange(12, device=DEVICE).view(4, 3), *rest]
    assert max(errors(run(mlstm_fused.mlstm, inputs, None), expected(inputs, None))) < TOLERANCE[torch.float32]
    repeated = [ids, *rest]
    assert max(errors(run(mlstm_fused.mlstm, repeated, None), expected(repeated, None))) < TOLERANCE[torch.float32]


@pytest.mark.slow
def test_gradients_equal_finite_differences_in_float64():
    inputs = make_inputs(2, 2, 2, dtype=torch.float64, num_rows=3)
    resets = make_resets(2, 2)

    def loss(*leaves: Tensor) -> Tensor:
        hidden, h, c = mlstm_fused.mlstm(inputs[0], *leaves, resets)
        return hidden.square().sum() + (h * c).sum()

    torch.autograd.gradcheck(loss, inputs[1:], fast_mode=True)


def test_views_of_any_layout_are_taken():
    ids, table_m, table_x, weight_mhh, weight_hh, h, c = make_inputs(4, 3, 5)
    resets = make_resets(4, 3)
    wanted = run(mlstm_fused.mlstm, [ids, table_m, table_x, weight_mhh, weight_hh, h, c], resets)
    turned = [part.detach().t().contiguous().t().requires_grad_(part.requires_grad) for part in (weight_mhh, weight_hh)]
    narrow_ids = ids.t().contiguous().t().to(torch.uint8)
    found = run(mlstm_fused.mlstm, [narrow_ids, table_m, table_x, *turned, h, c], resets.t().contiguous().t())
    assert max(errors(found, wanted)) < 2e-6


def test_a_reset_forgets_even_what_is_not_finite():
    ids, *rest, h, c = make_inputs(3, 2, 5)
    resets = torch.zeros(3, 2, dtype=torch.bool, device=DEVICE)
    resets[0, 1] = True
    with torch.no_grad():
        h[1], c[1] = torch.inf, torch.nan
        hidden, last_h, last_c = mlstm_fused.mlstm(ids, *rest, h, c, resets)
        zeros = torch.zeros_like(h)
        fresh, _, _ = mlstm_fused.mlstm(ids, *rest, zeros, zeros, None)
    assert torch.equal(hidden[:, 1], fresh[:, 1])
    assert last_h.isfinite().all()
    assert last_c.isfinite().all()


def test_the_cell_state_is_in_fp32_for_models_in_half_precision():
    inputs = make_inputs(2, 2, 5, dtype=torch.float16)
    hidden, h, c = mlstm_fused.mlstm(*inputs)
    assert (hidden.dtype, h.dtype, c.dtype) == (torch.float16, torch.float16, torch.float32)
    again = mlstm_fused.mlstm(*inputs[:-1], inputs[-1].half())[2]
    assert again.dtype == torch.float32


def swapped(monkeypatch) -> None:
    """The gradients of two gates change places."""
    right = pointwise_triton.advance_backward

    def wrong(*args, dz: Tensor) -> None:
        right(*args, dz=dz)
        size = dz.shape[1] // 4
        dz[:, : 2 * size] = dz[:, : 2 * size].roll(size, dims=1)

    monkeypatch.setattr(pointwise_triton, "advance_backward", wrong)


def unwritten(name: str, output: str):
    """Every seventh number of an output keeps what was there before."""

    def plant(monkeypatch) -> None:
        right = getattr(pointwise_triton, name)

        def wrong(*args, **outputs) -> None:
            target = args[0] if output == "in place" else outputs[output]
            before = target.flatten()[::7].clone()
            right(*args, **outputs)
            target.view(-1)[::7] = before

        monkeypatch.setattr(pointwise_triton, name, wrong)

    return plant


FAULTS = {
    "swapped": swapped,
    "m": unwritten("multiply", "m"),
    "gates": unwritten("advance", "in place"),
    "c": unwritten("advance", "c_out"),
    "h": unwritten("advance", "h_out"),
    "dz": unwritten("advance_backward", "dz"),
    "d_mhh": unwritten("multiply_backward", "d_mhh"),
    "dm": unwritten("multiply_backward", "in place"),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_comparison_finds_a_planted_fault(monkeypatch, fault, dtype):
    inputs, resets = make_inputs(2, 2, 5, dtype=dtype), make_resets(2, 2)
    wanted = expected(inputs, resets)
    assert max(errors(run(mlstm_fused.mlstm, inputs, resets), wanted)) < TOLERANCE[dtype]
    FAULTS[fault](monkeypatch)
    assert max(errors(run(mlstm_fused.mlstm, inputs, resets), wanted)) > TOLERANCE[dtype]


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from sentneuron.core.kernels import pointwise_triton as pointwise

assert not pointwise.IS_INTERPRETED
WIDE = {"c_in", "c_out", "dc"}
for name in ("_multiply_kernel", "_advance_kernel", "_advance_backward_kernel", "_multiply_backward_kernel"):
    kernel = getattr(pointwise, name)
    for is_bare in (False, True):
        names = kernel.arg_names
        special = {"ids": "*i64", "resets": "*u8", "size": "i32"} | dict.fromkeys(WIDE, "*fp32")
        types = {n: special.get(n, "*fp16") for n in names}
        constants = {"BLOCK": 1024} | (dict.fromkeys({"resets", "h_out"} & set(names)) if is_bare else {})
        if is_bare and "h_out" in names:
            constants["c_out"] = None
        types |= dict.fromkeys(constants, "constexpr")
        source = ASTSource(kernel, types, {(names.index(n),): value for n, value in constants.items()})
        compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
        print(name, len(compiled.asm["ptx"]))
"""


@pytest.mark.slow
def test_every_kernel_compiles_for_a_gpu(tmp_path):
    """As machine code of an H100, which takes no GPU; the interpreter alone would pass what the compiler refuses."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        env=environment | {"TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 8
