"""From raw text to every table and figure of docs/reproduction.md.

    SENTNEURON_DATA=… python benchmarks/reproduction.py --scale small
    python benchmarks/reproduction.py --scale full --bf16 --work reproduction_full

`small` takes minutes on two cores, `full` an evening. Kill it at any time and run it again: it goes on. Everything it
makes lies in the work folder, a result file a stage; what the page needs goes to `results/reproduction_SCALE.json`, the
figures to docs/reproduction/, and the tables into docs/reproduction.md, between the markers there. While there are
results at full scale, those at small scale are written and not shown.

`--only models` trains the language models and does nothing else; `--only page` renders the page again. `--bytes
1024=28e6` changes the budget of one size, 0 leaves it out; the same must be given whenever the run goes on.
"""

import argparse
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import reproduction_models as models
import reproduction_tasks as tasks
import torch
from measuring import RESULTS, write_result
from reproduction_compression import compare
from reproduction_figures import draw_all
from reproduction_page import PAGE, filled, newest_figures
from reproduction_samples import steer
from reproduction_scales import CLIP, LR, SCALES, SPLIT, SPLIT_SEED, STREAMS, WINDOW, Scale, chosen_scale
from reproduction_stages import Work
from reproduction_tables import pooling_of

import sentneuron
from sentneuron.core.atomic import atomic_open
from sentneuron.core.errors import SentneuronError

PARTS = ("models", "all", "page")
PACKAGES = ("torch", "numpy", "scikit-learn")


def main() -> int:
    """Run what is not done; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=list(SCALES), default="small")
    parser.add_argument("--work", type=Path, help="folder to work in; default: reproduction_SCALE")
    parser.add_argument("--only", choices=PARTS, default="all", help="models: train them; page: render it")
    parser.add_argument("--bytes", nargs="+", type=size_and_bytes, default=[], metavar="UNITS=BYTES")
    parser.add_argument(
        "--bf16",
        action="store_true",
        help="language models learn in bf16, with fp32 weights behind it, and are read in it",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON")
    args = parser.parse_args()

    try:
        if args.only != "page":
            scale = chosen_scale(
                args.scale,
                has_gpu=torch.cuda.is_available(),
                changes=dict(args.bytes),
                precision="bf16" if args.bf16 else "fp32",
            )
            if scale.threads is not None:
                torch.set_num_threads(scale.threads)
            work = Work(args.work or Path(f"reproduction_{scale.name}"), announce=lambda line: print(line, flush=True))
            shards, trained = train_models(work, scale, device=args.device)
            if args.only == "models":
                return 0
            figures = trained | measure(work, scale, shards, device=args.device)
            figures |= describe(work, scale)
            print(write_result(f"reproduction_{scale.name}", figures, folder=args.output))
            if newest_figures(args.output)["scale"] == scale.name:
                draw(work, scale, figures)
        render(newest_figures(args.output))
    except SentneuronError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def train_models(work: Work, scale: Scale, *, device: str) -> tuple[str, dict[str, Any]]:
    """Train every language model; return the shards and the records."""
    shards = models.make_shards(work)
    return shards, {
        "models": models.train_sizes(work, scale, shards, device=device),
        "lstm": models.train_lstm(work, scale, shards, device=device),
        "precision": models.compare_precisions(work, scale, shards, device=device),
    }


def measure(work: Work, scale: Scale, shards: str, *, device: str) -> dict[str, Any]:
    """Return everything that is measured on trained models."""
    imdb = tasks.make_imdb(work, scale, count=scale.imdb)
    few = tasks.make_imdb(work, scale, count=scale.finetuned)
    return {
        "sizes": tasks.score_sizes(work, scale, imdb=imdb, device=device),
        "marks": tasks.score_marks(work, scale, device=device),
        "baselines": tasks.score_baselines(work, imdb=imdb),
        "finetuned": tasks.score_finetuned(work, scale, imdb=few, device=device),
        "compression": compare(work, scale, shards, device=device),
        "steering": steer(work, num_texts=scale.steered),
    }


def describe(work: Work, scale: Scale) -> dict[str, Any]:
    """Return what was run, on what and for how long; stages of an earlier run count with the seconds that they took."""
    records = work.records()
    return {
        "scale": scale.name,
        "versions": {"sentneuron": sentneuron.__version__, **{name: version(name) for name in PACKAGES}},
        "settings": {
            **asdict(scale),
            "streams": STREAMS,
            "window": WINDOW,
            "lr": LR,
            "clip": CLIP,
            "split": SPLIT,
            "split_seed": SPLIT_SEED,
        },
        "stages": records,
        "seconds": sum(record["seconds"] for record in records.values()),
    }


def draw(work: Work, scale: Scale, figures: dict[str, Any]) -> None:
    """Draw the figures of the page."""
    path = models.largest_path(work, scale)
    pooling = {name: pooling_of(figures["sizes"][-1][name]) for name in ("sst", "imdb")}
    transfers = {name: tasks.transfer_folder(work, path, name, pooling[name]) for name in pooling}
    draw_all(PAGE.with_suffix(""), figures, transfers=transfers, pooling=pooling)


def render(figures: dict[str, Any]) -> None:
    """Write the figures into the page."""
    page = filled(PAGE.read_text("utf-8"), figures)
    with atomic_open(PAGE) as file:
        file.write(page)
    print(PAGE)


def size_and_bytes(text: str) -> tuple[int, int]:
    """Parse UNITS=BYTES."""
    units, _, count = text.partition("=")
    return int(units), int(float(count))


if __name__ == "__main__":
    sys.exit(main())
