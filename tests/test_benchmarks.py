"""The benchmark scripts of the training step: they explain themselves, time nothing wrong, and run without a GPU as far
as they can."""

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sentneuron.core.kernels import mlstm_reference, mlstm_sequence

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """Scripts import one another by their bare names, as they do when they are run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield


def run_script(name: str, *options: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, BENCHMARKS / name, *options], env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize(
    "name", ["train_step", "trainer_rate", "gpu_suite", "half_speed", "l1_path", "full_size_import"]
)
def test_help_names_the_command_and_every_option(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main()
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"python benchmarks/{name}.py" in said
    assert "--output" in said


@pytest.mark.slow
def test_a_script_without_a_gpu_says_so_in_one_line():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = run_script("gpu_suite.py")
    assert done.returncode == 69
    assert done.stdout == ""
    assert done.stderr.startswith("error: torch ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_gpu_suite_goes_through_every_part_on_a_cpu(tmp_path):
    done = run_script("gpu_suite.py", "--dry-run", "--output", str(tmp_path))
    parts = json.loads((tmp_path / "gpu_suite_dry_run.json").read_text())["parts"]
    assert {part["name"]: part["status"] for part in parts} == {
        "machine": "passed",
        "pairs": "passed",
        "step-1024": "passed",
        "same-again": "passed",
        "resume": "passed",
        "precisions": "passed",
        "trainer": "passed",
        "compile": "not built yet",
    }, done.stdout + done.stderr
    assert done.returncode == 0


@pytest.mark.slow
def test_models_of_other_origin_are_read_used_and_written_the_same(tmp_path):
    done = run_script("full_size_import.py", "--nhid", "16", "--texts", "2", "--output", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    models = json.loads((tmp_path / "full_size_import.json").read_text())["models"]
    assert {name: list(found["steps"]) for name, found in models.items()} == {
        "OpenAI": ["read", "texts", "export to openai", "export to sentneuron"],
        "NVIDIA, fp32": ["read", "texts", "export to nvidia", "export to sentneuron"],
        "NVIDIA, fp16": ["read", "texts", "export to nvidia", "export to sentneuron"],
    }


def swapped_gates(*arguments: Tensor, **options: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The sequence kernel with the gradients of two gates exchanged."""

    class Swap(torch.autograd.Function):
        @staticmethod
        def forward(ctx, table):
            return table.clone()

        @staticmethod
        def backward(ctx, grad):
            i, f, g, o = grad.chunk(4, dim=1)
            return torch.cat([f, i, g, o], dim=1)

    ids, table_m, table_x, *rest = arguments
    return mlstm_sequence.mlstm(ids, table_m, Swap.apply(table_x), *rest, **options)


def skipped_stores(*arguments: Tensor, **options: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The sequence kernel with every seventh hidden number never written."""
    hidden, h, c = mlstm_sequence.mlstm(*arguments, **options)
    kept = torch.ones(hidden.shape).flatten()
    kept[::7] = 0
    return hidden * kept.view(hidden.shape), h, c


def unwritten(*arguments: Tensor, **options: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The sequence kernel with one number of memory that nothing wrote."""
    hidden, h, c = mlstm_sequence.mlstm(*arguments, **options)
    return hidden, h, torch.cat([c[:, 1:], torch.empty_like(c[:, :1])], dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("kernel", "named"), [(swapped_gates, "table_x"), (skipped_stores, "hidden"), (unwritten, "c nan")]
)
def test_the_pair_check_refuses_a_faulty_kernel_and_names_what_is_wrong(kernel, named, dtype):
    from pairs import Case, PairError, check_kernel

    case = Case(size=21, num_streams=2, num_steps=9, dtype=dtype)
    with pytest.raises(PairError, match=f"H=21 B=2 T=9 .* {named}"):
        check_kernel(kernel, case)
    check_kernel(mlstm_sequence.mlstm, case)


@pytest.mark.parametrize("kernel", [swapped_gates, skipped_stores])
def test_nothing_is_timed_whose_step_differs(kernel):
    from bare_step import Shape
    from pairs import PairError
    from train_step import measure

    kernels = {"reference": mlstm_reference.mlstm, "sequence": kernel}
    with pytest.raises(PairError, match="8x3x5_float32_cpu: differs from the reference by"):
        measure(Shape(nhid=8, num_streams=3, seq_length=5), kernels, rounds=2, with_rest=False)


@pytest.mark.parametrize("nhid", [128, 512, 4096])
def test_the_lstm_beside_the_mlstm_costs_what_that_costs(nhid):
    from bare_step import decoder_flops, equal_lstm_size, lstm_flops, mlstm_flops

    size = equal_lstm_size(nhid)
    cost = lstm_flops(size) + decoder_flops(size)
    asked = mlstm_flops(nhid) + decoder_flops(nhid)
    assert size % 8 == 0
    assert cost == pytest.approx(
        asked, rel=8 / nhid
    )  # a step of 8 units is 2 * 8 / H of the cost, half of that rounding


def test_the_trainer_and_the_bare_step_take_turns_and_only_their_own_time_counts(monkeypatch):
    import trainer_rate

    clock = [100.0]
    monkeypatch.setattr(trainer_rate.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(trainer_rate.time, "process_time", lambda: clock[0] / 2)

    def pass_time(seconds: float) -> None:
        clock[0] += seconds

    turns = trainer_rate.Turns(bare=lambda: pass_time(2), block=3, num_blocks=4, show=lambda *values: None)
    for step in range(12):
        pass_time(5)
        turns(step)
    assert turns.trainer_seconds == [15, 15, 15]
    assert turns.bare_seconds == [6, 6, 6]
    assert turns.trainer_cpu_seconds == [7.5, 7.5, 7.5]
    assert turns.bare_cpu_seconds == [3, 3, 3]


def test_the_path_is_timed_beside_liblinear_with_the_objectives_of_both(tmp_path, monkeypatch, capsys):
    import l1_path

    monkeypatch.setattr(
        sys, "argv", ["l1_path.py", "--rows", "60", "--columns", "40", "--rounds", "2", "--output", str(tmp_path)]
    )
    l1_path.main()
    figures = json.loads((tmp_path / f"l1_path_synthetic_0.02_60x40_{torch.get_num_threads()}t.json").read_text())
    assert figures["plain_over_path"]["rounds"] == 2
    assert [fit["C"] for fit in figures["fits"]] == list(l1_path.STRENGTHS)
    assert all(fit["path_minus_plain"] <= 1e-6 for fit in figures["fits"])
    assert "plain / path" in capsys.readouterr().out


def test_a_path_that_is_worse_than_liblinear_has_no_figures(tmp_path, monkeypatch):
    import l1_path

    right = l1_path.l1_path
    monkeypatch.setattr(l1_path, "l1_path", lambda *given, **options: (0.9 * right(*given, **options)[0], np.zeros(9)))
    monkeypatch.setattr(sys, "argv", ["l1_path.py", "--rows", "60", "--columns", "40", "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="worse than plain liblinear"):
        l1_path.main()
    assert not list(tmp_path.iterdir())


def test_widened_features_keep_the_real_ones_in_front():
    import l1_path

    features, _ = l1_path.synthetic(30, 42)
    wide = l1_path.widen(features, 90)
    assert wide.shape == (30, 90)
    assert wide.dtype == np.float32
    np.testing.assert_array_equal(wide[:, :42], features)
    assert np.linalg.matrix_rank(wide[:, 42:]) == 30


@pytest.mark.slow
def test_a_part_that_hangs_crashes_or_dies_takes_nothing_else_with_it():
    from suite import NotBuiltError, Part, run_part

    def hang():
        yield {"what": "before"}
        time.sleep(60)

    def crash():
        yield {"what": "before"}
        raise ZeroDivisionError("by zero")

    def die():
        yield {"what": "before"}
        os._exit(3)

    def lack():
        yield {"what": "before"}
        raise NotBuiltError("no such thing")

    def work():
        yield {"what": "before"}

    found = {}
    for rows in (hang, crash, die, lack, work):
        outcome = run_part(Part(rows.__name__, rows, 1), seconds=1, show=lambda part, row: None)
        assert outcome.rows == [{"what": "before"}]
        found[rows.__name__] = (outcome.status, outcome.message)
    assert found == {
        "hang": ("out of time", "stopped after 1 s"),
        "crash": ("failed", "ZeroDivisionError: by zero"),
        "die": ("failed", "the process ended without a word, exit code 3"),
        "lack": ("not built yet", "no such thing"),
        "work": ("passed", ""),
    }
