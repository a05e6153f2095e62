"""How much faster a training step is in bf16 than in fp32 on this machine, and what its products allow at most.

    python benchmarks/half_speed.py --threads 1

A step is that of `train_step.py`, with the trainer's optimizer: in bf16 weights are rounded copies of fp32 ones,
and the cell state stays in fp32. Both precisions of a size run in turn in one process, with a square product in each;
ratios are medians over rounds. A processor without instructions for bf16 is slower in it.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from bare_step import MlstmStep, Shape, mlstm_trainee
from ceilings import square_product
from measuring import RESULTS, interleaved, ratio, summary, write_result

from sentneuron.core.kernels.choice import choose_kernel

SQUARE = 1024
DTYPES = (torch.float32, torch.bfloat16)


def measure(nhid: int, *, streams: int, window: int, device: str, rounds: int) -> dict[str, Any]:
    """Return the rates in both precisions and their ratios at one size."""
    runs: dict[str, Any] = {}
    amounts: dict[str, float] = {}
    for dtype in DTYPES:
        shape = Shape(nhid=nhid, num_streams=streams, seq_length=window, dtype=dtype, device=device)
        kind = str(dtype).removeprefix("torch.")
        step = MlstmStep(mlstm_trainee(shape), shape, choose_kernel("auto"))
        product = square_product(SQUARE, dtype=dtype, device=device)
        runs |= {kind: step, f"{kind}, square product": product.run}
        amounts |= {kind: shape.num_bytes, f"{kind}, square product": product.amount}
    finish = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    seconds = interleaved(runs, rounds=rounds, finish=finish)
    wide, half = (str(dtype).removeprefix("torch.") for dtype in DTYPES)
    return {
        "nhid": nhid,
        "streams": streams,
        "window": window,
        **{name: summary(times, amount=amounts[name]) for name, times in seconds.items()},
        "times": ratio(seconds[wide], seconds[half]),
        "times, square product": ratio(seconds[f"{wide}, square product"], seconds[f"{half}, square product"]),
    }


def main() -> None:
    """Measure, print a line a size, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nhid", type=int, nargs="+", default=[128, 256, 512, 1024])
    parser.add_argument("--batch-size", type=int, default=64, metavar="STREAMS")
    parser.add_argument("--seq-length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)

    rows = []
    for nhid in args.nhid:
        row = measure(nhid, streams=args.batch_size, window=args.seq_length, device=args.device, rounds=args.rounds)
        rows.append(row)
        times = row["times"]
        print(
            f"{nhid:,} units: fp32 {row['float32']['median']:,.0f} bytes/s, bf16 {row['bfloat16']['median']:,.0f}, "
            f"{times['median']:.2f} ({times['quartile_low']:.2f} to {times['quartile_high']:.2f}) times; "
            f"square product {row['times, square product']['median']:.2f} times",
            flush=True,
        )
    print(write_result("half_speed", {"rows": rows}, folder=args.output))


if __name__ == "__main__":
    main()
