"""What a save costs: seconds for the resume file and the model file, flushed to disk, by the size of the model.

    python benchmarks/saving.py --nhid 1024 4096

Against the default of a save in ten minutes; 1 % is allowed. After each save as many bytes are written plainly and
flushed, so that the disk's own speed stands beside it.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from measuring import RESULTS, interleaved, summary, write_result
from trainer_rate import make_shards

from sentneuron.core.config import ModelConfig, TrainConfig
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.training.files import RunFiles
from sentneuron.core.training.optimizer import Optimizer
from sentneuron.core.training.parts import open_parts
from sentneuron.core.training.report import ignore_progress
from sentneuron.core.training.resume import RunState
from sentneuron.core.values import parse_interval

ALLOWED = 0.01


def measure(nhid: int, folder: Path, *, data: Path, num_streams: int, rounds: int) -> dict[str, Any]:
    """Save a model that has taken one step, again and again."""
    config = TrainConfig(data=str(data), model=ModelConfig(nhid=nhid), save=folder / "model.pt")
    parts = open_parts(config, str(data), ranks=Ranks(), progress=ignore_progress, announce=lambda line: None)
    model = LanguageModel(config.model)
    optimizer = Optimizer(model, config, Ranks())
    optimizer.step(torch.zeros(()), learning_rate=0.0)
    run = RunState(
        identity={},
        hidden=model.initial_state(num_streams),
        model=optimizer.weights(),
        optimizer=optimizer.state_dict(),
    )
    files = RunFiles(config, parts, announce=lambda line: None)

    def save() -> None:
        files.write_model(model, run, num_bytes=0)
        files.write_run(run)

    save()
    num_bytes = files.save.stat().st_size + files.resume.stat().st_size
    chunk = os.urandom(1 << 20)

    def write() -> None:
        with open(folder / "plain", "wb") as file:
            for _ in range(num_bytes >> 20):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

    seconds = interleaved({"save": save, "plain write": write}, rounds=rounds, warmups=0)
    _, interval = parse_interval(TrainConfig.save_every)
    assert interval is not None
    rates = {name: summary(values, amount=num_bytes) for name, values in seconds.items()}
    median = num_bytes / rates["save"]["median"]
    return {
        "nhid": nhid,
        "bytes": num_bytes,
        "seconds": median,
        "bytes_per_second": rates,
        "share_of_training": median / interval,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nhid", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk that is measured; default: the system's temporary one")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the JSON file")
    args = parser.parse_args()

    found = []
    for nhid in args.nhid:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            data = make_shards(Path(folder), num_bytes=100_000)
            found.append(measure(nhid, Path(folder), data=data, num_streams=args.streams, rounds=args.rounds))
        row = found[-1]
        rates = {name: rate["median"] / 1e6 for name, rate in row["bytes_per_second"].items()}
        print(
            f"H={nhid}: {row['bytes'] / 1e6:,.0f} MB in {row['seconds']:.2f} s, {row['share_of_training']:.2%} of ten "
            f"minutes; {rates['save']:,.0f} MB/s, plain write {rates['plain write']:,.0f} MB/s"
        )
    print(write_result("saving", {"saves": found, "allowed": ALLOWED}, folder=args.output))


if __name__ == "__main__":
    main()
