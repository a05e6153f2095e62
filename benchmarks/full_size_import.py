"""Memory and time of models of other origin at full size: read, used, written in their own layout and in ours.

    python benchmarks/full_size_import.py --nhid 4096 --texts 100

Models with random weights are made on the spot, in the layouts of OpenAI (a folder of arrays) and NVIDIA (a classifier
in torch's legacy format, weight-normed, in fp32 and in fp16). Each is read in a process of its own, which computes the
features of the texts, or classifies them where there is a classifier, lets go of the model, and runs `export` twice.
What comes out in the model's own layout is held against what went in, number by number. Texts are made up, of about 300
bytes. The peak is the kernel's high-water mark of resident memory up to the end of each step, as /proc has it: the one
of getrusage begins with the parent's. Fails above the limit.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import RESULTS, write_result
from shard_memory import kilobytes

EMSIZE = 64
LIMIT_MB = 3_000
"""Resident memory at 4,096 units, at the most."""
WORDS = (
    "this",
    "film",
    "was",
    "long",
    "but",
    "warm",
    "and",
    "funny",
    "the",
    "plot",
    "thin",
    "I",
    "loved",
    "dull",
    "played",
)
WORDS_A_TEXT = 60


def make_openai(path: Path, nhid: int) -> None:
    """Write a folder in OpenAI's layout: matrices (in, out), weight norm on the four of the layer."""
    shapes = [(256, EMSIZE), (EMSIZE, 4 * nhid), *[(nhid, nhid)] * 4, (EMSIZE, nhid), (nhid, nhid), (4 * nhid,)]
    shapes += [(4 * nhid,), (4 * nhid,), (nhid,), (nhid,), (nhid, 256), (256,)]
    path.mkdir()
    chance = np.random.default_rng(0)
    for number, shape in enumerate(shapes):
        np.save(path / f"{number}.npy", chance.standard_normal(shape, np.float32), allow_pickle=False)


def make_nvidia(path: Path, nhid: int, dtype: torch.dtype) -> None:
    """Write a classifier in NVIDIA's layout: matrices (out, in), each a direction and a column of lengths."""
    shapes = {"w_ih": (4 * nhid, EMSIZE), "w_hh": (4 * nhid, nhid), "w_mih": (nhid, EMSIZE), "w_mhh": (nhid, nhid)}
    rnn = {}
    for name, (rows, columns) in shapes.items():
        rnn[f"rnns.0.{name}_v"] = torch.randn(rows, columns, dtype=dtype)
        rnn[f"rnns.0.{name}_g"] = torch.rand(rows, 1, dtype=dtype)
    encoder = {"encoder": {"weight": torch.randn(256, EMSIZE, dtype=dtype)}, "rnn": rnn}
    classifier = {"weight": torch.randn(1, nhid, dtype=dtype), "bias": torch.randn(1, dtype=dtype), "neurons": None}
    torch.save({"encoder": encoder, "classifier": classifier}, path, _use_new_zipfile_serialization=False)


MODELS: dict[str, tuple[str, str, Callable[[Path, int], None]]] = {
    "OpenAI": ("openai", "openai", make_openai),
    "NVIDIA, fp32": ("nvidia", "nvidia.pt", lambda path, nhid: make_nvidia(path, nhid, torch.float32)),
    "NVIDIA, fp16": ("nvidia", "nvidia16.pt", lambda path, nhid: make_nvidia(path, nhid, torch.float16)),
}
"""Layout, file name and maker of each."""


def require_same(path: Path, again: Path) -> None:
    """Hold an export in a model's own layout against the model; ends the program where a number differs."""
    if path.is_dir():
        names = [file.name for file in path.iterdir()]
        is_same = all((path / name).read_bytes() == (again / name).read_bytes() for name in names)
    else:
        is_same = equal_parts(torch.load(path, weights_only=True), torch.load(again, weights_only=True))
    if not is_same:
        sys.exit(f"{again.name} does not hold the numbers of {path.name}")


def equal_parts(one: Any, two: Any) -> bool:
    """Tell whether all tensors of nested dicts are in the other, with the same values whatever their type."""
    if isinstance(one, dict):
        return all(name in two and equal_parts(part, two[name]) for name, part in one.items())
    return bool(torch.equal(one.float(), two.float())) if isinstance(one, torch.Tensor) else one == two


def use(path: Path, layout: str, num_texts: int) -> dict[str, Any]:
    """Read the model at `path`, use it, export it; returns seconds and the peak so far of each step."""
    import sentneuron
    from sentneuron.cli import main

    steps: dict[str, Any] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        steps[name] = {
            "seconds": time.perf_counter() - start,
            "peak_megabytes": kilobytes("/proc/self/status", "VmHWM") * 1024 / 1e6,
        }

    texts = [
        " ".join(WORDS[(row * 7 + k * (k + row)) % len(WORDS)] for k in range(WORDS_A_TEXT)) for row in range(num_texts)
    ]
    with step("read"):
        model = sentneuron.load(path)
    with step("texts"):
        found = model.classify(texts).probabilities if model.classes else model.features(texts)
    if len(found) != num_texts or not np.isfinite(found).all():
        sys.exit(f"{path.name}: not {num_texts} rows of finite numbers")
    steps["texts"]["bytes"] = sum(map(len, texts))
    del model
    for target in (layout, "sentneuron"):
        with step(f"export to {target}"):
            code = main(["export", str(path), "--format", target, "-o", str(path.parent / f"out.{target}"), "--quiet"])
        if code:
            sys.exit(f"export to {target} ended with {code}")
    return steps


def measure(name: str, folder: Path, nhid: int, num_texts: int) -> dict[str, Any]:
    """Make a model, use it in a process of its own, and compare what it wrote."""
    layout, file, make = MODELS[name]
    path = folder / file
    make(path, nhid)
    words = [sys.executable, __file__, "--use", str(path), "--layout", layout, "--texts", str(num_texts)]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(f"{name}: the process ended with {done.returncode}")
    require_same(path, folder / f"out.{layout}")
    files = list(path.iterdir()) if path.is_dir() else [path]
    return {"bytes": sum(file.stat().st_size for file in files), "steps": json.loads(done.stdout)}


def main() -> None:
    """Measure every layout, print a table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nhid", type=int, default=4096)
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--scratch", type=Path, help="folder for the models, about 1.2 GB free at 4,096 units")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON")
    parser.add_argument("--use", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--layout", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.use:
        print(json.dumps(use(args.use, args.layout, args.texts)))
        return

    found = {}
    print("| model | step | s | peak so far, MB |\n| --- | --- | --- | --- |")
    for name in MODELS:
        with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
            found[name] = measure(name, Path(scratch), args.nhid, args.texts)
        for step, figures in found[name]["steps"].items():
            print(f"| {name} | {step} | {figures['seconds']:.1f} | {figures['peak_megabytes']:,.0f} |", flush=True)
    peak = max(step["peak_megabytes"] for one in found.values() for step in one["steps"].values())
    values = {
        "nhid": args.nhid,
        "texts": args.texts,
        "models": found,
        "peak_megabytes": peak,
        "limit_megabytes": LIMIT_MB,
        "load_average": os.getloadavg()[0],
    }
    print(write_result("full_size_import", values, folder=args.output))
    if peak > LIMIT_MB:
        sys.exit(f"{peak:,.0f} MB of memory, {LIMIT_MB:,} are allowed")


if __name__ == "__main__":
    main()
