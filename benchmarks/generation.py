"""Bytes per second of generation on the CPU, at each precision, beside the memory bandwidth of the same run.

    python benchmarks/generation.py --nhid 1024 --length 100

A model of `--nhid` units with random weights continues one byte; 1 and 8 samples. A step reads every recurrent weight
once, whatever the number of samples: `weight bandwidth` is these bytes times the steps per second, to be held against a
copy of memory, of which bytes read and written both count. Where the weights fit a cache it may be more.

What a precision costs is `benchmarks/precision.py`'s. Runs are interleaved in one process; trust the ratio.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from ceilings import memory_copy
from measuring import RESULTS, interleaved, ratio, summary, write_result

from sentneuron.core.config import ModelConfig, Precision
from sentneuron.core.generation.sampling import sample
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner

WEIGHT_BYTES: dict[Precision, int] = {"fp32": 4, "bf16": 2, "int8": 1}
NUM_SAMPLES = (1, 8)


def main() -> None:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nhid", type=int, default=1024)
    parser.add_argument("--length", type=int, default=100, help="bytes of each sample")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, 2 or more")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON")
    args = parser.parse_args()

    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(nhid=args.nhid)).eval()
    runners = {precision: Runner(model, precision=precision) for precision in WEIGHT_BYTES}
    copy = memory_copy(1 << 28, device="cpu")
    seconds = interleaved(
        {
            f"{precision} x {number}": partial(sample, runner, b"\n", length=args.length, num_samples=number)
            for number in NUM_SAMPLES
            for precision, runner in runners.items()
        }
        | {"copy": copy.run},
        rounds=args.rounds,
    )
    bandwidth = summary(seconds.pop("copy"), amount=copy.amount)
    print(f"{args.nhid} units, memory copy {bandwidth['median'] / 1e9:.1f} GB/s")
    rows = {}
    for number in NUM_SAMPLES:
        for precision, weight_bytes in WEIGHT_BYTES.items():
            runs = seconds[f"{precision} x {number}"]
            rate = summary(runs, amount=args.length * number)
            gain = ratio(seconds[f"fp32 x {number}"], runs)
            weights = 5 * args.nhid**2 * weight_bytes
            rows[f"{precision} x {number}"] = {
                "bytes_per_second": rate,
                "over_fp32": gain,
                "weight_bytes_per_step": weights,
                "weight_bandwidth": weights * rate["median"] / number,
            }
            print(
                f"{precision}, {number} samples: {rate['median']:8,.0f} bytes/s, {gain['median']:.2f} times fp32; "
                f"{weights / 1e6:.1f} MB a step, {weights * rate['median'] / number / 1e9:.1f} GB/s"
            )
    figures = {"nhid": args.nhid, "length": args.length, "rows": rows, "memory_copy_bytes_per_second": bandwidth}
    print(write_result(f"generation_{args.nhid}", figures, folder=args.output))


if __name__ == "__main__":
    main()
