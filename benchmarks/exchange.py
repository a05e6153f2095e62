"""How long processes on one machine take to add up their gradients through gloo, and why in one flat buffer.

    python benchmarks/exchange.py --nhid 512 1024 2048 --ranks 2 4

A round is, in turn, one all-reduce of a flat buffer as long as the language model has parameters; the same with every
gradient copied into the buffer before and out of it after; one all-reduce for each parameter's gradient; and, for the
latency, all-reduces of a single number. MB/s are those of the buffer, not of what crosses the wire: in a ring of n each
process sends and receives 2 (n - 1) / n of it. Figures are rank 0's. All processes share this machine's cores and talk
through 127.0.0.1, so that more ranks than cores wait for one another; a network is not in the figures. Refuses to time
an exchange whose sums are wrong.
"""

import argparse
import json
import socket
import statistics
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from measuring import RESULTS, interleaved, ratio, summary, write_result
from torch import Tensor, multiprocessing

from sentneuron.core.config import ModelConfig
from sentneuron.core.launch.place import Place
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.language_model import LanguageModel

DTYPES = ("float32", "float16")
TINY_CALLS = 50
"""All-reduces of one number in a run."""
TIMEOUT = 120.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the processes of one group measure."""

    size: int
    port: int
    nhid: tuple[int, ...]
    rounds: int
    result: Path


class Gradients:
    """A model's gradients, one by one and as one flat buffer; filled so that the sum over all ranks is known."""

    def __init__(self, nhid: int, dtype: torch.dtype) -> None:
        shapes = parameter_shapes(nhid)
        self.parts = [torch.ones(shape, dtype=dtype) for shape in shapes]
        self.flat = torch.ones(sum(part.numel() for part in self.parts), dtype=dtype)
        pieces = self.flat.split([part.numel() for part in self.parts])
        self.views = [piece.view(shape) for piece, shape in zip(pieces, shapes, strict=True)]

    def fill(self, value: float) -> None:
        """Set every number, of the parts and of the buffer."""
        for tensor in (*self.parts, self.flat):
            tensor.fill_(value)

    def flat_exchange(self, ranks: Ranks) -> None:
        """Add up the buffer."""
        ranks.sum_(self.flat)

    def copied_exchange(self, ranks: Ranks) -> None:
        """Copy the gradients into the buffer, add it up, and copy it back."""
        for view, part in zip(self.views, self.parts, strict=True):
            view.copy_(part)
        ranks.sum_(self.flat)
        for view, part in zip(self.views, self.parts, strict=True):
            part.copy_(view)

    def exchange_by_parts(self, ranks: Ranks) -> None:
        """Add up each gradient by itself."""
        for part in self.parts:
            ranks.sum_(part)

    @property
    def num_bytes(self) -> int:
        """Of the buffer."""
        return self.flat.numel() * self.flat.element_size()


EXCHANGES = {
    "flat": Gradients.flat_exchange,
    "flat, copied in and out": Gradients.copied_exchange,
    "one a parameter": Gradients.exchange_by_parts,
}


@cache
def parameter_shapes(nhid: int) -> tuple[torch.Size, ...]:
    """Return the shapes of a one-layer mLSTM language model's parameters."""
    with torch.device("meta"):  # no memory for the numbers themselves
        return tuple(parameter.shape for parameter in LanguageModel(ModelConfig(nhid=nhid)).parameters())


def check(gradients: Gradients, ranks: Ranks) -> None:
    """Compare the sums with what they must be.

    Raises:
        ArithmeticError: one differs.
    """
    expected = sum(range(1, ranks.size + 1))
    for name, exchange in EXCHANGES.items():
        gradients.fill(ranks.rank + 1)
        exchange(gradients, ranks)
        tensors: dict[str, list[Tensor]] = {"flat": [gradients.flat], "one a parameter": gradients.parts}
        for tensor in tensors.get(name, [gradients.flat, *gradients.parts]):
            if not bool((tensor == expected).all()):
                raise ArithmeticError(f"{name}: the sum over {ranks.size} ranks is wrong; not timing it")


def measure(ranks: Ranks, *, nhid: int, dtype: str, rounds: int) -> dict[str, Any]:
    """Check and time the exchange of one model's gradients."""
    gradients = Gradients(nhid, getattr(torch, dtype))
    check(gradients, ranks)
    gradients.fill(0)  # sums of sums overflow

    def run_tiny() -> None:
        for _ in range(TINY_CALLS):
            ranks.sum_(tiny)

    tiny = torch.zeros(1)
    candidates = {name: (lambda exchange=exchange: exchange(gradients, ranks)) for name, exchange in EXCHANGES.items()}
    seconds = interleaved({**candidates, "tiny": run_tiny}, rounds=rounds)
    megabytes = gradients.num_bytes / 1e6
    low, middle, high = statistics.quantiles([value / TINY_CALLS * 1e6 for value in seconds["tiny"]], n=4)
    return {
        "ranks": ranks.size,
        "nhid": nhid,
        "dtype": dtype,
        "parameters": gradients.flat.numel(),
        "tensors": len(gradients.parts),
        "megabytes": megabytes,
        "megabytes_per_second": {name: summary(seconds[name], amount=megabytes) for name in EXCHANGES},
        "milliseconds": {name: statistics.median(seconds[name]) * 1e3 for name in EXCHANGES},
        "one_a_parameter_over_flat": ratio(seconds["one a parameter"], seconds["flat"]),
        "copied_over_flat": ratio(seconds["flat, copied in and out"], seconds["flat"]),
        "tiny_microseconds": {"median": middle, "quartile_low": low, "quartile_high": high, "runs": rounds},
    }


def work(rank: int, plan: Plan) -> None:
    """Measure as one rank of a group; rank 0 writes what it found."""
    torch.set_num_threads(1)
    place = Place(
        rank=rank,
        size=plan.size,
        local_rank=rank,
        local_size=plan.size,
        master_addr="127.0.0.1",
        master_port=plan.port,
    )
    with Ranks.join(place, torch.device("cpu"), timeout=TIMEOUT) as ranks:
        found = [measure(ranks, nhid=nhid, dtype=name, rounds=plan.rounds) for nhid in plan.nhid for name in DTYPES]
        if ranks.is_first:
            plan.result.write_text(json.dumps(found), encoding="utf-8")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def run_group(size: int, *, nhid: list[int], rounds: int) -> list[dict[str, Any]]:
    """Measure with a group of `size` processes; an error in one of them ends all."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "found.json"
        plan = Plan(size=size, port=free_port(), nhid=tuple(nhid), rounds=rounds, result=result)
        multiprocessing.spawn(work, (plan,), nprocs=size)
        return json.loads(result.read_text(encoding="utf-8"))


def training_step(results: Path) -> dict[str, Any] | None:
    """Return the measured step to hold an exchange against, where benchmarks/train_step.py wrote one for H = 512."""
    path = results / "train_step_512x64x256_float32_cpu_1t.json"
    if not path.exists():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    rate = values["bytes_per_second"]["sequence"]["median"]
    shape = values["shape"]
    seconds = shape["num_streams"] * shape["seq_length"] / rate
    return {"file": path.name, "nhid": shape["nhid"], "dtype": values["dtype"], "seconds": seconds}


def print_tables(values: dict[str, Any]) -> None:
    """Print what the JSON holds."""
    print("| ranks | H | type | MB | ms | MB/s | copied in and out | one a parameter over flat | one number, µs |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in values["points"]:
        flat, tiny = row["megabytes_per_second"]["flat"], row["tiny_microseconds"]
        cells = [
            row["ranks"],
            row["nhid"],
            row["dtype"],
            f"{row['megabytes']:.1f}",
            f"{row['milliseconds']['flat']:.1f}",
            f"{flat['median']:.0f} ({flat['quartile_low']:.0f} to {flat['quartile_high']:.0f})",
            *(
                f"{row[name]['median']:.2f} ({row[name]['quartile_low']:.2f} to {row[name]['quartile_high']:.2f})"
                for name in ("copied_over_flat", "one_a_parameter_over_flat")
            ),
            f"{tiny['median']:.0f} ({tiny['quartile_low']:.0f} to {tiny['quartile_high']:.0f})",
        ]
        print(f"| {' | '.join(map(str, cells))} |")
    step = values["training_step"]
    for row in values["points"] if step else []:
        if (row["nhid"], row["dtype"]) == (step["nhid"], step["dtype"]):
            share = row["milliseconds"]["flat"] / 1e3 / step["seconds"]
            print(
                f"{row['ranks']} ranks, H = {row['nhid']}: {share:.2%} of a step of {step['seconds']:.2f} s on one core"
            )


def main() -> None:
    """Measure each group, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nhid", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4], help="processes of each group")
    parser.add_argument("--rounds", type=int, default=15, help="2 or more")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON file")
    args = parser.parse_args()
    values = {
        "backend": "gloo",
        "points": [row for size in args.ranks for row in run_group(size, nhid=args.nhid, rounds=args.rounds)],
        "training_step": training_step(RESULTS),
    }
    print_tables(values)
    print(write_result("exchange", values, folder=args.output))


if __name__ == "__main__":
    main()
