"""Which kernel runs, and what is said about it."""

import logging
import sys

import pytest
import torch

from sentneuron.core.errors import UsageError
from sentneuron.core.kernels import choice, mlstm_reference, mlstm_sequence

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def fresh_choice(caplog):
    """Nothing chosen before, nothing left behind."""
    caplog.set_level(logging.INFO, logger="sentneuron")
    for cached in (choice._fastest_on, choice._fused_on):
        cached.cache_clear()
    yield
    for cached in (choice._fastest_on, choice._fused_on):
        cached.cache_clear()


def arguments() -> list[torch.Tensor]:
    sizes = (3, 2), (3, 8), (2, 2), (8, 2), (1, 2), (1, 2)
    return [torch.zeros(2, 1, dtype=torch.long), *(torch.full(size, 0.1) for size in sizes)]


def test_auto_takes_sequence_on_a_cpu_and_says_so_once(caplog):
    kernel = choice.choose_kernel("auto")
    for _ in range(2):
        found = kernel(*arguments())
    assert all(torch.equal(one, two) for one, two in zip(found, mlstm_sequence.mlstm(*arguments()), strict=True))
    assert [record.getMessage() for record in caplog.records] == [
        "kernel sequence: one autograd function a window, the fastest on cpu"
    ]


def test_auto_takes_fused_on_a_gpu_where_it_runs(monkeypatch, caplog):
    tried = []
    monkeypatch.setattr(choice, "_load_fused", lambda: mlstm_reference.mlstm)
    monkeypatch.setattr(choice, "_try", lambda kernel, device: tried.append((kernel, device)))
    assert choice._fastest_on(GPU) is mlstm_reference.mlstm
    assert tried == [(mlstm_reference.mlstm, GPU)]
    assert "kernel fused" in caplog.text


def test_auto_takes_sequence_on_a_gpu_without_triton_and_says_why(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "triton", None)
    assert choice._fastest_on(GPU) is mlstm_sequence.mlstm
    assert "fused does not run on cuda:0: import of triton" in caplog.text


def test_auto_takes_sequence_where_the_first_launch_fails_and_says_why(monkeypatch, caplog):
    def fail(kernel, device):
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(choice, "_load_fused", lambda: mlstm_reference.mlstm)
    monkeypatch.setattr(choice, "_try", fail)
    assert choice._fastest_on(GPU) is mlstm_sequence.mlstm
    assert "Failed to find C compiler" in caplog.text


def test_the_trial_is_a_call_that_every_kernel_takes():
    choice._try(mlstm_reference.mlstm, CPU)
    choice._try(mlstm_sequence.mlstm, CPU)


@pytest.mark.parametrize("name", ["reference", "sequence"])
def test_a_kernel_is_taken_as_asked(name, caplog):
    assert choice.choose_kernel(name) is choice.KERNELS[name]
    assert f"kernel {name}: as asked" in caplog.text
    choice.require_kernel(name, CPU)


def test_an_unknown_kernel_is_wrong_usage():
    with pytest.raises(UsageError, match="--kernel fast; give auto, reference, sequence or fused"):
        choice.choose_kernel("fast")


def test_fused_without_triton_is_wrong_usage(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(UsageError, match="install triton, or give --kernel sequence"):
        choice.require_kernel("fused", GPU)


def test_fused_on_a_cpu_is_wrong_usage_before_work_and_at_the_call(monkeypatch):
    pytest.importorskip("triton", reason="triton is not installed; it comes with torch for CUDA")
    monkeypatch.setattr(choice, "_is_interpreted", lambda: False)
    with pytest.raises(UsageError, match="runs on a GPU, not on cpu; give --kernel sequence"):
        choice.require_kernel("fused", CPU)
    with pytest.raises(UsageError, match="runs on a GPU"):
        choice.choose_kernel("fused")(*arguments())


def test_fused_runs_on_a_cpu_in_the_interpreter():
    pytest.importorskip("triton", reason="triton is not installed; it comes with torch for CUDA")
    if not choice._is_interpreted():
        pytest.skip("there is a GPU, so the interpreter is off")
    choice.require_kernel("fused", CPU)
    found = choice.choose_kernel("fused")(*arguments())
    for one, two in zip(found, mlstm_reference.mlstm(*arguments()), strict=True):
        assert torch.allclose(one, two, atol=1e-6)
