"""The benchmarks of many processes: the exchange is checked before it is timed, and the model of scaling says what it
is and holds together."""

import importlib
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from sentneuron.core.launch.ranks import Ranks

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MEASURED = BENCHMARKS / "results/train_step_512x64x256_float32_cpu_1t.json"


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """Scripts import one another by their bare names, as they do when they are run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield


class Forgetful(Ranks):
    """Two ranks whose sums miss the other one's part, in tensors as large as `at_least`."""

    def __init__(self, *, at_least: int) -> None:
        super().__init__(0, 2)
        self.at_least = at_least

    def sum_(self, tensor):
        return tensor if tensor.numel() >= self.at_least else tensor.mul_(3)  # rank 0 gives 1, rank 1 gives 2


@pytest.mark.parametrize(("at_least", "named"), [(0, "flat:"), (10**9, "")])
def test_no_exchange_is_timed_whose_sums_are_wrong(at_least, named):
    from exchange import Gradients, check

    gradients = Gradients(8, torch.float32)
    if named:
        with pytest.raises(ArithmeticError, match=f"{named} the sum over 2 ranks is wrong"):
            check(gradients, Forgetful(at_least=at_least))
    else:
        check(gradients, Forgetful(at_least=at_least))


def test_the_exchange_has_as_many_numbers_as_the_model_has_parameters():
    from exchange import Gradients

    from sentneuron.core.config import ModelConfig
    from sentneuron.core.model.language_model import LanguageModel

    gradients = Gradients(21, torch.float16)
    count = sum(parameter.numel() for parameter in LanguageModel(ModelConfig(nhid=21)).parameters())
    assert gradients.flat.numel() == sum(part.numel() for part in gradients.parts) == count
    assert gradients.num_bytes == 2 * count


@pytest.mark.slow
def test_two_processes_measure_their_exchange(tmp_path):
    command = [BENCHMARKS / "exchange.py", "--nhid", "8", "--ranks", "2", "--rounds", "2", "--output", tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *command], env=environment, check=True, capture_output=True, timeout=120)
    points = json.loads((tmp_path / "exchange.json").read_text())["points"]
    assert [(point["ranks"], point["nhid"], point["dtype"]) for point in points] == [
        (2, 8, "float32"),
        (2, 8, "float16"),
    ]
    for point in points:
        assert point["megabytes_per_second"].keys() == {"flat", "flat, copied in and out", "one a parameter"}
        assert point["tiny_microseconds"]["median"] > 0


@pytest.fixture
def scaling():
    return importlib.import_module("scaling")


def test_the_model_says_that_it_is_one_and_writes_its_assumptions(scaling, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["scaling.py", "--output", str(tmp_path)])
    scaling.main()
    assert capsys.readouterr().out.startswith("A model, nothing measured here: H200, assumed, 1,040,000 bytes/s a GPU")
    values = json.loads((tmp_path / "scaling.json").read_text())
    assert values["kind"].startswith("a model")
    assert values["assumptions"]["gpus_a_node"] == 8


def test_the_model_of_a_window_meets_what_it_was_given_and_the_second_modelled_rate(scaling):
    window = scaling.window_seconds(scaling.H200, nhid=4096, num_streams=256)
    assert 256 * 256 / window == pytest.approx(1.04e6)
    smaller = scaling.window_seconds(scaling.H200, nhid=4096, num_streams=128)
    assert 128 * 256 / smaller == pytest.approx(0.92e6, rel=0.05)


def test_below_the_break_even_fewer_streams_cost_two_thirds_of_the_operations_all_the_same(scaling):
    least = scaling.H200.break_even
    at, none = (scaling.window_seconds(scaling.H200, nhid=4096, num_streams=count) for count in (least, 0))
    assert none == pytest.approx(at * 2 / 3)
    twice = scaling.window_seconds(scaling.H200, nhid=4096, num_streams=2 * least)
    assert twice == pytest.approx(2 * at)


def test_an_exchange_is_free_alone_a_ring_in_a_node_and_pays_for_the_network_beyond_it(scaling):
    links = scaling.Links(name="", inside=100e9, between=10e9)
    seconds = {count: scaling.exchange_seconds(links, num_bytes=1e9, num_gpus=count) for count in scaling.COUNTS}
    ring = 2 * 7 / 8 * 1e9 / (0.8 * 100e9) + 14 * 5e-6
    assert seconds[1] == 0
    assert seconds[8] == pytest.approx(ring)
    assert seconds[16] == pytest.approx(ring + 2 * 1 / 2 * 1e9 / (0.8 * 10e9) + 2 * 20e-6)
    assert all(few < many for few, many in pairwise(seconds.values()))


@pytest.mark.parametrize("total", [2048, 32768])
def test_strong_scaling_shares_the_whole_batch(scaling, total):
    shares = scaling.strong_shares(total)
    assert [count * streams * passes for count, (streams, passes) in zip(scaling.COUNTS, shares, strict=True)] == [
        total
    ] * len(scaling.COUNTS)
    assert max(streams for streams, _ in shares) == 256


def test_more_passes_before_an_exchange_scale_better(scaling):
    links = scaling.LINKS[1]
    one, many = (
        scaling.series(scaling.H200, links, nhid=4096, shares=scaling.weak_shares(passes)) for passes in (1, 16)
    )
    assert one["speed"][0] == many["speed"][0] == 1
    assert one["speed"][-1] < many["speed"][-1] < 128


def test_the_network_that_is_needed_is_the_one_that_takes_a_tenth(scaling):
    bits = scaling.network_needed(scaling.H200, nhid=4096, num_gpus=128, share=0.1)
    free = scaling.Links(name="", inside=1e30, between=bits / 8)
    exchange = scaling.exchange_seconds(free, num_bytes=2 * scaling.num_parameters(4096), num_gpus=128)
    exchange -= 14 * scaling.LATENCY_INSIDE
    window = scaling.window_seconds(scaling.H200, nhid=4096, num_streams=256)
    assert exchange / (window + exchange) == pytest.approx(0.1)


def test_a_measured_step_takes_the_place_of_the_assumption(scaling):
    device = scaling.read_device(MEASURED, candidate=None)
    assert "measured, sequence" in device.name
    assert (device.nhid, device.num_streams, device.seq_length) == (512, 64, 256)
    rates = json.loads(MEASURED.read_text())["bytes_per_second"]
    assert device.bytes_per_second == rates["sequence"]["median"]
    assert scaling.read_device(MEASURED, candidate="reference").bytes_per_second == rates["reference"]["median"]


def test_the_page_shows_what_the_model_gives(scaling):
    lines = (BENCHMARKS.parent / "docs/scale.md").read_text(encoding="utf-8").splitlines()
    shown = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.search(r"\| \w+, \d+ Gb/s", line)
    ]
    weak = scaling.every_series(scaling.H200, shares=scaling.weak_shares())
    known = [[f"{row['nhid']:,}", row["links"], *scaling.efficiencies(row)[1:]] for row in weak]
    for total in scaling.STRONG_STREAMS:
        for row in scaling.every_series(scaling.H200, shares=scaling.strong_shares(total)):
            if row["nhid"] == 4096:
                known.append([f"{total:,}", row["links"], *(f"{speed:.1f}" for speed in row["speed"][1:])])
    assert len(shown) == 10
    assert [row for row in shown if row not in known] == []
