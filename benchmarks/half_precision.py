"""Does half precision learn what fp32 learns? The same run in each precision, and with what should matter left out.

    python benchmarks/half_precision.py imdb.shards --folder half_precision

Trains a small mLSTM from one seed on the same windows in fp32, bf16 and fp16, then in bf16 without master weights: what
Adam makes of the weights is rounded at each step. The figure asked for is the held-out bits per byte at the end, within
1 % of fp32's. Runs lie in FOLDER and go on where they were stopped; `--runs` takes others, fp32 first: in fp16 without
master weights, or with the loss scale fixed at 1. Writes the curves as JSON and as a picture.

Half precision on a CPU without instructions for it is several times slower than fp32; nothing here is a speed.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import torch
from measuring import RESULTS, write_result

from sentneuron.core.config import ModelConfig, TrainConfig
from sentneuron.core.training import learner, loop
from sentneuron.core.training.journal import read_lines
from sentneuron.core.training.optimizer import Optimizer

RUNS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "bf16, no master weights": {"precision": "bf16"},
    "fp16, no master weights": {"precision": "fp16"},
    "fp16, loss scale 1": {"precision": "fp16", "loss_scale": "1"},
}


class WithoutMasters(Optimizer):
    """The optimizer, whose masters forget at each step what half precision cannot hold."""

    @torch.no_grad()
    def _round(self) -> None:
        super()._round()
        self._masters.copy_(self._flat.weights)


def train(name: str, args: argparse.Namespace) -> Path:
    """Train, or go on; return the model file."""
    save = args.folder / f"{name.replace(', ', '_').replace(' ', '_')}.pt"
    config = TrainConfig(
        data=args.data,
        valid=args.valid,
        test=args.valid,
        model=ModelConfig(nhid=args.nhid),
        lr=args.peak * 128 / args.batch_size,
        warmup=100,
        batch_size=args.batch_size,
        seq_length=args.seq_length,
        max_steps=args.steps,
        save=save,
        save_every=str(args.steps // 4),
        log_interval=50,
        device=args.device,
        **RUNS[name],
    )
    learner.Optimizer = WithoutMasters if "no master" in name else Optimizer  # type: ignore[misc]
    try:
        report = loop.train(config, announce=lambda line: print(f"{name}: {line}", flush=True))
    finally:
        learner.Optimizer = Optimizer  # type: ignore[misc]
    print(f"{name}: {report.valid_bits_per_byte:.4f} bits per byte", flush=True)
    return save


def curves(name: str, save: Path) -> dict[str, Any]:
    """Return what a run's log says."""
    log = read_lines(save.with_suffix(".log.jsonl"))
    steps = [line for line in log if "learning_rate" in line]
    valid = [line for line in log if "valid_bits_per_byte" in line]
    scales = [line["loss_scale"] for line in steps]
    return {
        "run": name,
        "steps": [line["step"] for line in steps],
        "bits_per_byte": [line["bits_per_byte"] for line in steps],
        "valid_steps": [line["step"] for line in valid],
        "valid_bits_per_byte": [line["valid_bits_per_byte"] for line in valid],
        "final_valid_bits_per_byte": valid[-1]["valid_bits_per_byte"],
        "loss_scale": [min(scales), max(scales)],
    }


def draw(path: Path, runs: list[dict[str, Any]]) -> None:
    """Draw the held-out figures against steps, and below them how far each lies from fp32's."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, figsize=(7, 6), sharex=True, height_ratios=(3, 2))
    exact = runs[0]["valid_bits_per_byte"]
    for run in runs:
        style = "--" if "," in run["run"] else "-"
        above.plot(run["valid_steps"], run["valid_bits_per_byte"], style, label=run["run"], linewidth=1.3)
        share = [100 * (one / two - 1) for one, two in zip(run["valid_bits_per_byte"], exact, strict=True)]
        below.plot(run["valid_steps"], share, style, linewidth=1.3)
    above.set_ylabel("bits per byte, held out")
    above.legend(frameon=False)
    below.axhspan(-1, 1, color="0.92", zorder=0)
    below.set_ylabel("% above fp32")
    below.set_xlabel("steps")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="shards to train on")
    parser.add_argument("--valid", help="data to validate on, and to measure on at the end; default: the shards' own")
    parser.add_argument("--folder", type=Path, default=Path("half_precision"), help="of the runs and the picture")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS)[:4], help="what to train")
    parser.add_argument("--nhid", type=int, default=128)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch-size", type=int, default=8, help="streams")
    parser.add_argument("--seq-length", type=int, default=64)
    parser.add_argument("--peak", type=float, default=3e-3, help="learning rate")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON file")
    args = parser.parse_args()

    args.folder.mkdir(parents=True, exist_ok=True)
    runs = [curves(name, train(name, args)) for name in args.runs]
    exact = runs[0]["final_valid_bits_per_byte"]
    print("| run | bits per byte, held out | of fp32's |\n| --- | --- | --- |")
    for run in runs:
        final = run["final_valid_bits_per_byte"]
        print(f"| {run['run']} | {final:.4f} | {100 * (final / exact - 1):+.2f}% |")
    settings = {name: getattr(args, name) for name in ("nhid", "steps", "batch_size", "seq_length", "peak")}
    picture = args.folder / "half_precision.png"
    draw(picture, runs)
    print(f"{write_result('half_precision', {'settings': settings, 'runs': runs}, folder=args.output)}\n{picture}")


if __name__ == "__main__":
    main()
