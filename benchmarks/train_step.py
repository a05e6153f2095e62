"""Bytes a second of a training step: each kernel, torch's LSTM at equal work, and what the machine can do at most.

    python benchmarks/train_step.py --nhid 512 --seq-length 256 --threads 1
    python benchmarks/train_step.py --device cuda --dtype float16 --nhid 4096 --batch-size 256 --seq-length 256
    python benchmarks/train_step.py --sweep

A step is a window, its backward pass, clipping and Adam on random bytes; `window` is the recurrence alone, forward and
backward. `reference` is plain eager autograd. All run in turn in one process, with a square product, the products of a
time step at its own sizes, and a copy of memory between them: trust the ratios, which are medians over rounds. Refuses
to time a kernel whose loss or gradients differ from the reference's.

Shares count 30 H^2 floating-point operations a byte, and in parentheses the decoder's 1,536 H as well. The LSTM has as
many units as make its operations equal: 24 x (x + E) + 1,536 x = 30 H^2 + 1,536 H. `--compile N` adds the reference
with N unrolled steps under torch.compile at a time, which takes minutes to compile; whole windows would take hours.
"""

import argparse
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
from bare_step import Kernel, MlstmStep, Shape, decoder_flops, equal_lstm_size, lstm_step, mlstm_flops, mlstm_trainee
from ceilings import memory_copy, square_product, step_products, weight_products
from measuring import RESULTS, interleaved, ratio, summary, write_result
from pairs import PairError, check_step
from torch import Tensor

from sentneuron.core.errors import UsageError
from sentneuron.core.kernels.choice import choose_kernel, require_kernel
from sentneuron.core.kernels.mlstm_reference import mlstm as reference

SQUARE = {"cpu": 1024, "cuda": 8192}
COPY_BYTES = {"cpu": 256 << 20, "cuda": 4 << 30}
WEIGHT_STEPS = 16
"""Steps whose weight gradients `sequence` takes at once."""
CANDIDATES = ("reference", "sequence", "fused")


class Window:
    """The recurrence alone, forward and backward, on leaves."""

    def __init__(self, step: MlstmStep) -> None:
        self.kernel, self.options = step.kernel, step.options
        shape, size = step.shape, step.shape.nhid
        draw = torch.Generator().manual_seed(1)

        def leaf(*sizes: int, scale: float = 1.0) -> Tensor:
            return (torch.randn(*sizes, generator=draw) * scale).to(shape.device, shape.dtype).requires_grad_()

        self.ids = step.ids[:-1]
        self.leaves = [leaf(256, size), leaf(256, 4 * size)]
        self.leaves += [leaf(size, size, scale=size**-0.5), leaf(4 * size, size, scale=size**-0.5)]
        self.state = shape.state()[0]
        self.grad = leaf(shape.seq_length, shape.num_streams, size).detach()

    def __call__(self) -> None:
        hidden, _, _ = self.kernel(self.ids, *self.leaves, *self.state, **self.options)
        torch.autograd.grad(hidden, self.leaves, self.grad)


def measure(
    shape: Shape, kernels: dict[str, Kernel], *, rounds: int, recompute: bool = False, with_rest: bool = True
) -> dict[str, Any]:
    """Check the pairs, run everything in turn, and return the figures; `kernels` holds `reference`.

    Without `with_rest` only the kernels and the square product are run. On a GPU `fused` runs captured as well.

    Raises:
        PairError: a kernel differs from the reference.
    """
    trainee = mlstm_trainee(shape)
    steps: dict[str, MlstmStep] = {name: MlstmStep(trainee, shape, kernel) for name, kernel in kernels.items()}
    if recompute:
        others = [(name, kernel) for name, kernel in kernels.items() if name in ("sequence", "fused")]
        steps |= {f"{name}, recompute": MlstmStep(trainee, shape, kernel, recompute=True) for name, kernel in others}
    kind = shape.device.partition(":")[0]
    if kind == "cuda" and "fused" in kernels:
        steps["fused, captured"] = MlstmStep(trainee, shape, kernels["fused"], captured=True)
    errors = {name: check_step(steps["reference"], step) for name, step in steps.items() if name != "reference"}
    candidates: dict[str, Callable[[], Any]] = dict(steps)
    amounts: dict[str, float] = dict.fromkeys(steps, shape.num_bytes)
    ceilings = {"square product": square_product(SQUARE[kind], dtype=shape.dtype, device=shape.device)}
    if with_rest:
        candidates |= {f"{name}, window": Window(step) for name, step in steps.items() if step.window is None}
        candidates["torch LSTM, equal work"] = lstm_step(shape)
        amounts |= dict.fromkeys(candidates, shape.num_bytes)
        ceilings["products at M=B"] = step_products(shape)
        ceilings["weight gradients"] = weight_products(shape, num_steps=min(WEIGHT_STEPS, shape.seq_length))
        ceilings["memory copy"] = memory_copy(COPY_BYTES[kind], device=shape.device)
    for name, ceiling in ceilings.items():
        candidates[name], amounts[name] = ceiling.run, ceiling.amount
    finish: Callable[[], Any] = torch.cuda.synchronize if kind == "cuda" else lambda: None
    seconds = interleaved(candidates, rounds=rounds, warmups=2 if kind == "cuda" else 1, finish=finish)
    rates = {name: summary(seconds[name], amount=amounts[name]) for name in candidates}
    shares = {}
    for name in [name for name in candidates if name.removesuffix(", window") in steps]:
        per_flop = shape.num_bytes / amounts["square product"]
        in_turn = ratio(seconds["square product"], seconds[name])
        recurrence = mlstm_flops(shape.nhid) * per_flop
        shares[name] = {part: in_turn[part] * recurrence for part in ("median", "quartile_low", "quartile_high")}
        if name in steps:
            shares[name]["with decoder"] = in_turn["median"] * (recurrence + decoder_flops(shape.nhid) * per_flop)
    return {
        "shape": {"nhid": shape.nhid, "num_streams": shape.num_streams, "seq_length": shape.seq_length},
        "dtype": str(shape.dtype).removeprefix("torch."),
        "device": kind,
        "pair_errors": errors,
        "lstm_units": equal_lstm_size(shape.nhid),
        "square_size": SQUARE[kind],
        "bytes_per_second": {name: rates[name] for name in candidates if name not in ceilings},
        "flops_or_bytes_per_second": {name: rates[name] for name in ceilings},
        "share_of_square_product": shares,
        "ratios": ratios(seconds, [name for name in candidates if name not in ceilings]),
    }


def ratios(seconds: dict[str, list[float]], names: list[str]) -> dict[str, dict[str, float]]:
    """Compare each step and window with the reference's, and the kernels' steps with the LSTM's."""
    found = {}
    for name in names:
        base = "reference, window" if name.endswith("window") else "reference"
        if name != base and base in seconds:
            found[f"{name} / {base}"] = ratio(seconds[base], seconds[name])
    for name in ("sequence", "fused", "fused, captured"):
        if name in seconds and "torch LSTM, equal work" in seconds:
            found[f"{name} / torch LSTM"] = ratio(seconds["torch LSTM, equal work"], seconds[name])
    return found


def find_kernels(device: str) -> dict[str, Kernel]:
    """Return the kernels that run on a device, the reference first."""
    found = {}
    for name in CANDIDATES:
        try:
            require_kernel(name, torch.device(device))
        except UsageError:
            continue
        found[name] = choose_kernel(name)
    return found


def compiled(num_steps: int) -> Kernel:
    """Return the reference with `num_steps` unrolled steps under torch.compile at a time."""
    part: Kernel = torch.compile(reference, fullgraph=True, dynamic=False)

    def kernel(
        ids: Tensor,
        table_m: Tensor,
        table_x: Tensor,
        weight_mhh: Tensor,
        weight_hh: Tensor,
        h: Tensor,
        c: Tensor,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        hidden = []
        for start in range(0, len(ids), num_steps):
            steps = slice(start, start + num_steps)
            reset = None if resets is None else resets[steps]
            some, h, c = part(ids[steps], table_m, table_x, weight_mhh, weight_hh, h, c, reset)
            hidden.append(some)
        return torch.cat(hidden), h, c

    return kernel


def print_table(values: dict[str, Any]) -> None:
    """Print what the JSON holds."""
    shape = values["shape"]
    print(f"\nH={shape['nhid']} B={shape['num_streams']} T={shape['seq_length']} {values['dtype']} {values['device']}")
    print("| what | bytes/s | quartiles | of a square product |\n| --- | --- | --- | --- |")
    for name, rate in values["bytes_per_second"].items():
        share = values["share_of_square_product"].get(name)
        cell = "" if share is None else f"{share['median']:.0%}"
        cell += "" if share is None or "with decoder" not in share else f" ({share['with decoder']:.0%})"
        low, high = rate["quartile_low"], rate["quartile_high"]
        print(f"| {name} | {rate['median']:,.0f} | {low:,.0f} to {high:,.0f} | {cell} |")
    for name, rate in values["flops_or_bytes_per_second"].items():
        unit = "GB/s" if "copy" in name else "GFLOP/s"
        low, high = rate["quartile_low"] / 1e9, rate["quartile_high"] / 1e9
        print(f"{name}: {rate['median'] / 1e9:,.1f} {unit}, quartiles {low:,.1f} to {high:,.1f}")
    for name, found in values["ratios"].items():
        low, high = found["quartile_low"], found["quartile_high"]
        print(f"{name}: {found['median']:.2f} ({low:.2f} to {high:.2f}, {found['rounds']} rounds)")


def main() -> None:
    """Check the pairs, time them, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nhid", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=64, help="streams")
    parser.add_argument("--seq-length", type=int, default=128)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, help="default: torch's own choice")
    parser.add_argument("--rounds", type=int, default=7, help="2 or more")
    parser.add_argument("--recompute", action="store_true", help="time the kernels with recomputation as well")
    parser.add_argument("--short", action="store_true", help="only the kernels' steps and the square product")
    parser.add_argument("--compile", type=int, default=0, metavar="N", help="add N unrolled steps under torch.compile")
    parser.add_argument("--sweep", action="store_true", help="cost against H, B and T instead: kernels only")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON file")
    args = parser.parse_args()

    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit(f"error: --device cuda: torch {torch.__version__} sees no CUDA device")
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    kernels = find_kernels(args.device)
    if args.compile:
        kernels["torch.compile"] = compiled(args.compile)
    base = Shape(
        nhid=args.nhid,
        num_streams=args.batch_size,
        seq_length=args.seq_length,
        dtype=getattr(torch, args.dtype),
        device=args.device,
    )
    name = f"train_step_{base.name}{f'_{torch.get_num_threads()}t' if args.device == 'cpu' else ''}"
    values: dict[str, Any]
    try:
        if args.sweep:
            points = [measure(shape, kernels, rounds=args.rounds, with_rest=False) for shape in sweep(base)]
            name, values = name.replace("train_step", "train_step_sweep"), {"points": points}
        else:
            options = {"recompute": args.recompute, "with_rest": not args.short}
            values = measure(base, kernels, rounds=args.rounds, **options)
            points = [values]
    except PairError as error:
        sys.exit(f"error: {error}; not timing it")
    name += "_compile" if args.compile else ""
    values["torch_compile"] = f"{args.compile} unrolled steps" if args.compile else "not run; see --compile"
    for point in points:
        print_table(point)
    print(f"torch.compile: {values['torch_compile']}\n{write_result(name, values, folder=args.output)}")


def sweep(base: Shape) -> list[Shape]:
    """Return shapes around `base`: H, B and T one at a time, halved and doubled twice."""
    found = []
    for field, factor in product(("nhid", "num_streams", "seq_length"), (0.25, 0.5, 1, 2)):
        if factor == 1 and field != "nhid":
            continue
        found.append(Shape(**{**vars(base), field: max(1, int(getattr(base, field) * factor))}))
    return found


if __name__ == "__main__":
    main()
