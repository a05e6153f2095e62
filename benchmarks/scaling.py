"""A MODEL of weak and strong scaling from 1 to 128 GPUs. It measures nothing: every figure it prints is arithmetic.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --rate 1040000 --device "H200, assumed"
    python benchmarks/scaling.py --results benchmarks/results/train_step_4096x256x256_float16_cuda.json

What goes in: bytes a second of one GPU at one shape (given, or a median that benchmarks/train_step.py measured), the
model's own number of parameters, the speed of the links. A step is the windows, then one all-reduce of all gradients
that overlaps with nothing, as the trainer does it:

    step      = passes x window(B) + exchange(n)
    window(B) = window at the reference shape x operations x (2 max(B, B*) + B) / (2 max(B_ref, B*) + B_ref)
    exchange  = 2 (g - 1) / g x bytes / inside  + 2 (g - 1) x latency inside       n = g GPUs a node x m nodes
              + 2 (m - 1) / m x bytes / between + 2 (m - 1) x latency between      a ring in each node, one over nodes
    B*        = 0.8 x peak / memory bandwidth

Two thirds of the operations, the products of each time step, read all weights however few streams there are, and cost
the same below B* streams; the weight gradients' third does not. B* is a model, too. There are 30 H^2 + 1,536 H
operations a byte; every size is taken to reach the same share of the GPU's peak, which flatters small ones. What is
left out: waiting for the slowest GPU, validation, saving.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bare_step import decoder_flops, mlstm_flops
from exchange import parameter_shapes
from measuring import RESULTS, write_result

GPUS_A_NODE = 8
EFFICIENCY = 0.8
"""Share of a link's nominal speed that an all-reduce reaches: an assumption."""
LATENCY_INSIDE, LATENCY_BETWEEN = 5e-6, 20e-6
"""Seconds for each hop of a ring: assumptions."""
GRADIENT_BYTES = 2
"""fp16 or bf16."""
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
SIZES = (1024, 4096, 8192)
WEAK_STREAMS = 256
STRONG_STREAMS = (2048, 32768)
ACCUMULATE = (1, 4, 16)
CORPUS_BYTES = 38e9
GBIT = 1e9 / 8


@dataclass(frozen=True, kw_only=True)
class Links:
    """Nominal speeds in one direction: of a GPU inside a node, and of a node's network."""

    name: str
    inside: float
    between: float


NVLINK, PCIE = 450e9, 64e9
"""NVLink 4 of an H100 or H200 (900 GB/s in both directions together), and PCIe 5.0 x16."""
LINKS = (
    Links(name="NVLink, 200 Gb/s", inside=NVLINK, between=200 * GBIT),
    Links(name="NVLink, 10 Gb/s", inside=NVLINK, between=10 * GBIT),
    Links(name="PCIe, 200 Gb/s", inside=PCIE, between=200 * GBIT),
    Links(name="PCIe, 10 Gb/s", inside=PCIE, between=10 * GBIT),
)


@dataclass(frozen=True, kw_only=True)
class Device:
    """One GPU: its rate at a shape, and B*, below which a time step's products wait for memory."""

    name: str
    bytes_per_second: float
    nhid: int = 4096
    num_streams: int = 256
    seq_length: int = 256
    break_even: float = EFFICIENCY * 790e12 / 4.3e12


H200 = Device(name="H200, assumed", bytes_per_second=1.04e6)
"""790 TFLOP/s of dense bf16 and 4.3 TB/s, from a model of the GPU: nothing was measured."""
V100 = Device(name="V100, published", bytes_per_second=77_000, break_even=EFFICIENCY * 125e12 / 0.9e12)
"""NVIDIA's sentiment-discovery on 8 V100, which includes their exchange; a window of 256 bytes is assumed."""
V100_LINKS = (
    Links(name="NVLink, 200 Gb/s", inside=150e9, between=200 * GBIT),
    Links(name="NVLink, 10 Gb/s", inside=150e9, between=10 * GBIT),
)


def num_parameters(nhid: int) -> int:
    """Return the parameters of a one-layer mLSTM language model."""
    return sum(shape.numel() for shape in parameter_shapes(nhid))


def operations(nhid: int) -> float:
    """Return the floating-point operations a byte."""
    return mlstm_flops(nhid) + decoder_flops(nhid)


def window_seconds(device: Device, *, nhid: int, num_streams: float) -> float:
    """Return the seconds of a window with its backward pass."""

    def cost(streams: float) -> float:
        return 2 * max(streams, device.break_even) + streams

    reference = device.num_streams * device.seq_length / device.bytes_per_second
    return reference * operations(nhid) / operations(device.nhid) * cost(num_streams) / cost(device.num_streams)


def exchange_seconds(links: Links, *, num_bytes: float, num_gpus: int) -> float:
    """Return the seconds of one all-reduce of `num_bytes` over full nodes, or a part of one."""

    def ring(members: int, speed: float, latency: float) -> float:
        return 2 * (members - 1) / members * num_bytes / (EFFICIENCY * speed) + 2 * (members - 1) * latency

    inside = min(num_gpus, GPUS_A_NODE)
    return ring(inside, links.inside, LATENCY_INSIDE) + ring(num_gpus // inside, links.between, LATENCY_BETWEEN)


def series(device: Device, links: Links, *, nhid: int, shares: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Return the figures of COUNTS GPUs, each of which runs `shares` = (streams, passes) a step; speed is relative to
    the first."""
    num_bytes = num_parameters(nhid) * GRADIENT_BYTES
    windows = [passes * window_seconds(device, nhid=nhid, num_streams=streams) for streams, passes in shares]
    exchanges = [exchange_seconds(links, num_bytes=num_bytes, num_gpus=count) for count in COUNTS]
    rates = [
        count * streams * passes * device.seq_length / (window + exchange)
        for count, (streams, passes), window, exchange in zip(COUNTS, shares, windows, exchanges, strict=True)
    ]
    return {
        "nhid": nhid,
        "links": links.name,
        "streams_and_passes": shares,
        "window_seconds": windows,
        "exchange_seconds": exchanges,
        "bytes_per_second": rates,
        "speed": [rate / rates[0] for rate in rates],
    }


def every_series(device: Device, *, shares: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Return a series for each size and kind of link."""
    return [series(device, links, nhid=nhid, shares=shares) for nhid in SIZES for links in LINKS]


def weak_shares(passes: int = 1) -> list[tuple[int, int]]:
    """Return what each GPU runs where every one brings the same work."""
    return [(WEAK_STREAMS, passes) for _ in COUNTS]


def strong_shares(total: int) -> list[tuple[int, int]]:
    """Return what each GPU runs of a global batch of `total` streams, in passes of at most WEAK_STREAMS."""
    streams = [min(total // count, WEAK_STREAMS) for count in COUNTS]
    return [(part, total // count // part) for count, part in zip(COUNTS, streams, strict=True)]


def network_needed(device: Device, *, nhid: int, num_gpus: int, share: float, passes: int = 1) -> float | None:
    """Return the nominal bits a second of each node's network at which the exchange between nodes takes `share` of a
    step, None where its latency alone takes more; what the exchange inside the nodes takes is left out."""
    num_nodes = num_gpus // GPUS_A_NODE
    seconds = passes * window_seconds(device, nhid=nhid, num_streams=WEAK_STREAMS) * share / (1 - share)
    seconds -= 2 * (num_nodes - 1) * LATENCY_BETWEEN
    if seconds <= 0:
        return None
    moved = 2 * (num_nodes - 1) / num_nodes * num_parameters(nhid) * GRADIENT_BYTES
    return moved / seconds / EFFICIENCY * 8


def published_check() -> list[dict[str, Any]]:
    """Model the V100 runs that were published: 128 GPUs in 16 nodes against the 8 of one node, H = 4,096."""
    rows = []
    for links in V100_LINKS:
        found = series(V100, links, nhid=4096, shares=weak_shares())
        speed = dict(zip(COUNTS, found["speed"], strict=True))
        exchange = found["exchange_seconds"][-1]
        rows.append({"links": links.name, "exchange_seconds": exchange, "efficiency": speed[128] / speed[8] / 16})
    return rows


def read_device(path: Path, *, candidate: str | None) -> Device:
    """Return the device whose step benchmarks/train_step.py measured; without a candidate its fastest kernel."""
    values = json.loads(path.read_text(encoding="utf-8"))
    kernels = ("reference", "sequence", "fused")
    rates = {
        name: found["median"]
        for name, found in values["bytes_per_second"].items()
        if name.startswith(kernels) and not name.endswith("window")
    }
    name = candidate or max(rates, key=rates.__getitem__)
    where = values["machine"]["gpu"] or values["machine"]["processor"]
    return Device(name=f"{where}, measured, {name}", bytes_per_second=rates[name], **values["shape"])


def print_tables(values: dict[str, Any]) -> None:
    """Print what the JSON holds."""
    device = values["device"]
    print(
        f"A model, nothing measured here: {device['name']}, {device['bytes_per_second']:,.0f} bytes/s a GPU at", end=" "
    )
    print(f"H = {device['nhid']:,}, {device['num_streams']} streams, windows of {device['seq_length']}")
    print(f"\nweak scaling, {WEAK_STREAMS} streams a GPU: bytes/s of a GPU against one alone")
    print_series(values["weak"], efficiencies)
    print(f"\nthe same with --accumulate {ACCUMULATE[-1]}")
    print_series(values["weak_accumulated"], efficiencies)
    for total, rows in values["strong"].items():
        print(f"\nstrong scaling, {total:,} streams in all: speed against one GPU")
        print_series(rows, lambda row: [f"{speed:.1f}" for speed in row["speed"]])
    print(f"\nepoch of {CORPUS_BYTES / 1e9:.0f} GB in hours, {WEAK_STREAMS} streams a GPU")
    print_series(values["weak"], lambda row: [f"{CORPUS_BYTES / rate / 3600:.2f}" for rate in row["bytes_per_second"]])
    print("\nnetwork of a node, Gb/s, for an exchange of a tenth of the step on 128 GPUs")
    print("| passes a step | " + " | ".join(f"H = {nhid:,}" for nhid in SIZES) + " |\n" + "| --- " * 4 + "|")
    for passes in ACCUMULATE:
        needed = [row["bits_per_second"] for row in values["network_needed"] if row["passes"] == passes]
        cells = ["none is enough" if bits is None else f"{bits / 1e9:.0f}" for bits in needed]
        print(f"| {passes} | {' | '.join(cells)} |")
    print("\nV100, 128 GPUs against 8: modelled; published: 65,000 / 77,000 = 84%")
    for row in values["published_check"]:
        print(f"{row['links']}: {row['efficiency']:.1%}, exchange {row['exchange_seconds'] * 1e3:.0f} ms")


def efficiencies(row: dict[str, Any]) -> list[str]:
    """Return the speed of each GPU against that of one alone."""
    return [f"{speed / count:.1%}" for speed, count in zip(row["speed"], COUNTS, strict=True)]


def print_series(rows: list[dict[str, Any]], cells: Callable[[dict[str, Any]], list[str]]) -> None:
    """Print a table with a line for each size and link, and a column for each number of GPUs."""
    print("| H | links | " + " | ".join(map(str, COUNTS)) + " |\n" + "| --- " * (len(COUNTS) + 2) + "|")
    for row in rows:
        print(f"| {row['nhid']:,} | {row['links']} | {' | '.join(cells(row))} |")


def main() -> None:
    """Compute, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rate", type=float, default=H200.bytes_per_second, help="bytes/s of a GPU, H=4096 B=256 T=256"
    )
    parser.add_argument("--device", default=H200.name, help="what that rate belongs to")
    parser.add_argument("--results", type=Path, help="take rate and shape from this file of benchmarks/train_step.py")
    parser.add_argument("--candidate", help="which of its steps; default: the fastest")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON file")
    args = parser.parse_args()
    device = Device(name=args.device, bytes_per_second=args.rate)
    if args.results:
        device = read_device(args.results, candidate=args.candidate)
    values = {
        "kind": "a model: nothing in this file was measured, unless the device says so",
        "device": asdict(device),
        "assumptions": {
            "gpus_a_node": GPUS_A_NODE,
            "share_of_nominal_speed": EFFICIENCY,
            "latency_inside_seconds": LATENCY_INSIDE,
            "latency_between_seconds": LATENCY_BETWEEN,
            "gradient_bytes": GRADIENT_BYTES,
            "links": [asdict(links) for links in LINKS],
        },
        "parameters": {nhid: num_parameters(nhid) for nhid in SIZES},
        "gpus": COUNTS,
        "weak": every_series(device, shares=weak_shares()),
        "weak_accumulated": every_series(device, shares=weak_shares(ACCUMULATE[-1])),
        "strong": {total: every_series(device, shares=strong_shares(total)) for total in STRONG_STREAMS},
        "network_needed": [
            {
                "nhid": nhid,
                "passes": passes,
                "bits_per_second": network_needed(device, nhid=nhid, num_gpus=128, share=0.1, passes=passes),
            }
            for passes in ACCUMULATE
            for nhid in SIZES
        ],
        "published_check": published_check(),
    }
    print_tables(values)
    print(write_result("scaling", values, folder=args.output))


if __name__ == "__main__":
    main()
