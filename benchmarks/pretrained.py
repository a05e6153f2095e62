"""Make the model that ships and measure it: from a trained model.pt to `sentneuron/pretrained/` and its card's figures.

    python benchmarks/pretrained.py model.pt --imdb 6000

Takes the features of SST and of labelled IMDB training texts with each pooling; fits the probe of `transfer` on
each; ships the pooling that is better on SST's validation part, in half precision. TF-IDF with logistic regression, and
VADER where it is installed, are run on the same texts. Reads the data sets as the commands do (SENTNEURON_DATA).
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from baselines import baselines, take
from measuring import write_result
from probing import POOLINGS, featurize_parts, probe_scores

from sentneuron.core.config import Pooling, TransferConfig
from sentneuron.core.data.labelled import load_labelled
from sentneuron.core.model.checkpoint import load_model, save_model
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.transfer import TransferReport, transfer


def ship(model: Path, pooling: Pooling, folder: Path) -> TransferReport:
    """Run `transfer` with the chosen pooling, and write its classifier in half precision."""
    report = transfer(TransferConfig(model=str(model), pooling=pooling, neurons=5, output=folder))
    assert report is not None  # this process stands alone
    save_model(PRETRAINED, load_model(folder / "classifier.pt"), dtype=torch.float16)
    return report


def main() -> None:
    """Measure, ship, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--imdb", type=int, default=6000, help="labelled IMDB training texts to use: 4/6, 1/6, 1/6")
    args = parser.parse_args()

    started = time.monotonic()
    saved = load_model(args.model)
    runner = Runner(saved.model)
    figures: dict[str, Any] = {"training": saved.training}
    sst = load_labelled(TransferConfig(model="", data="sst"), saved.rule)
    figures["sst"] = probe_scores(featurize_parts(runner, sst.parts), sst.parts, sst.classes)
    figures["sst"] |= baselines(sst.parts, sst.classes)
    print("SST", figures["sst"], flush=True)
    pooling = max(POOLINGS, key=lambda name: figures["sst"][name]["valid"])
    report = ship(args.model, pooling, args.model.parent / "pretrained_transfer")
    for probe in ("all_neurons", "neurons"):
        del report.results[probe]["weights"]  # they are in the file itself
    figures["shipped"] = {"pooling": pooling, "file_bytes": PRETRAINED.stat().st_size, "results": report.results}
    imdb = load_labelled(TransferConfig(model="", data="imdb"), saved.rule)
    picked = take(imdb.parts["train"], args.imdb)
    sixth = args.imdb // 6
    parts = {"train": picked[2 * sixth :], "valid": picked[:sixth], "test": picked[sixth : 2 * sixth]}
    figures["imdb"] = probe_scores(featurize_parts(runner, parts), parts, imdb.classes)
    figures["imdb"] |= baselines(parts, imdb.classes)
    figures["imdb"]["texts"] = {part: len(examples) for part, examples in parts.items()}
    print("IMDB", figures["imdb"], flush=True)
    figures["seconds"] = time.monotonic() - started
    print(write_result("pretrained", figures))


if __name__ == "__main__":
    main()
