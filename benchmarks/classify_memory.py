"""Memory and rate of `sentneuron classify` over inputs of very different sizes, with a model that costs nothing.

    python benchmarks/classify_memory.py --rows 10000 100000 1000000

Rows come through a FIFO from a thread of this process, so that no input of that size is ever on disk; what is written
is counted and removed. The model has `--nhid` units and random weights: what is measured is everything but the model,
whose own memory does not depend on the input either. The peak is the kernel's high-water mark of resident memory, read
ten times a second until the process ends.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch
from measuring import RESULTS, write_result
from shard_memory import kilobytes

from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.model.checkpoint import SavedModel, save_model
from sentneuron.core.model.language_model import LanguageModel

WORDS = ("a warm and funny film", "dull, long and badly played", 'they call it "art"', "I would see it again", "Crème!")
SAMPLE_SECONDS = 0.1


def save_classifier(path: Path, nhid: int) -> None:
    """Write a classifier with random weights."""
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(nhid=nhid, emsize=8))
    weight = torch.randn(1, nhid)
    values = {
        "classes": ["0", "1"],
        "multi_label": False,
        "pooling": "mean",
        "all_layers": False,
        "all": {"weight": weight, "bias": torch.zeros(1), "C": 1.0},
        "neurons": {"indices": [0], "weight": weight[:, :1].clone(), "bias": torch.zeros(1), "C": 1.0},
        "sentiment_neuron": 0,
        "scale": torch.ones(nhid),
    }
    save_model(path, SavedModel(kind="classifier", model=model, rule=TextRule(), classifier=values))


def feed(fifo: Path, num_rows: int) -> None:
    """Write CSV of so many rows: a number, a label and a text of 20 to 130 bytes."""
    with contextlib.suppress(BrokenPipeError), open(fifo, "w", encoding="utf-8", newline="") as file:
        file.write("id,label,text\n")
        for row in range(num_rows):
            text = ". ".join(WORDS[(row + k) % 5] for k in range(1 + row % 7 % 5))
            file.write(f'{row},{row % 2},"{row} {text}"\n'.replace('"art"', '""art""'))


def measure(folder: Path, model: Path, num_rows: int) -> dict[str, Any]:
    """Run `classify` on a FIFO of `num_rows` rows."""
    fifo, output = folder / "rows.csv", folder / "out.csv"
    os.mkfifo(fifo)
    words = ["classify", str(fifo), "--model", str(model), "-o", str(output), "--json", "--quiet", "--device", "cpu"]
    process = subprocess.Popen([sys.executable, "-m", "sentneuron", *words], stdout=subprocess.PIPE)
    threading.Thread(target=feed, args=(fifo, num_rows), daemon=True).start()
    peak = 0
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError, KeyError):
                peak = max(peak, kilobytes(f"/proc/{process.pid}/status", "VmHWM"))
            time.sleep(SAMPLE_SECONDS)
        report = json.loads(process.communicate()[0])
    finally:
        process.kill()
    if process.returncode != 0 or report["rows"] != num_rows:
        sys.exit(f"classify ended with {process.returncode} on {num_rows:,} rows: {report}")
    with open(output, "rb") as file:
        num_lines = sum(1 for _ in file)
    if num_lines != num_rows + 1:
        sys.exit(f"{num_lines:,} lines were written for {num_rows:,} rows")
    fifo.unlink()
    output.unlink()
    kept = ("rows", "num_bytes", "seconds", "rows_per_second", "bytes_per_second")
    return {name: report[name] for name in kept} | {"peak_megabytes": peak * 1024 / 1e6}


def main() -> None:
    """Measure every size, print a table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--nhid", type=int, default=8)
    parser.add_argument("--scratch", type=Path, help="folder for the output, about 150 bytes a row free")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON")
    args = parser.parse_args()

    runs = []
    print("     rows   input, MB     peak, MB      rows/s      MB/s")
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        model = Path(scratch) / "classifier.pt"
        save_classifier(model, args.nhid)
        for num_rows in args.rows:
            run = measure(Path(scratch), model, num_rows)
            runs.append(run)
            print(
                f"{num_rows:>9,} {run['num_bytes'] / 1e6:>11.1f} {run['peak_megabytes']:>12.1f} "
                f"{run['rows_per_second']:>11,.0f} {run['bytes_per_second'] / 1e6:>9.2f}",
                flush=True,
            )
    figures: dict[str, Any] = {"nhid": args.nhid, "runs": runs}
    if len(runs) > 1:
        growth = (runs[-1]["peak_megabytes"] - runs[0]["peak_megabytes"]) * 1e6 / (runs[-1]["rows"] - runs[0]["rows"])
        figures["bytes_of_memory_per_row"] = growth
        print(f"{growth:.2f} bytes of memory for each row more")
    print(write_result("classify_memory", figures, folder=args.output))


if __name__ == "__main__":
    main()
