"""Documents per second of featurization: packed, as the commands do it, against padding in order of arrival.

    SENTNEURON_DATA=… python benchmarks/featurization.py sst --texts 500

SST in the files' order or IMDB's training texts in a seeded one, from the data sets as the commands find them, by the
shipped model or one of `--nhid` units with random weights. Both ways use the same runner and batch; padded, a batch of
texts runs in full until its longest ends. Refuses to time ways whose features differ.

`utilisation` counts a full batch until the last text ends: what part of its rows were bytes of texts. Beside it the
bytes per second of full batches alone, and the share of a square fp32 product of the same run at 10 H^2 floating-point
operations a byte. Runs are interleaved in one process; trust the ratio.
"""

import argparse
import csv
import random
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow.parquet as pq
import torch
from ceilings import square_product
from measuring import RESULTS, interleaved, ratio, summary, write_result
from numpy.typing import NDArray

from sentneuron.core.config import ModelConfig, Precision
from sentneuron.core.data.datasets import dataset_files
from sentneuron.core.data.text import TextRule
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.features import BATCH_SIZE, featurize
from sentneuron.core.transfer.packing import pack


def read_texts(name: str, *, num_texts: int) -> list[bytes]:
    """Return clean texts of a data set: SST in the files' order, IMDB shuffled, since its files are sorted by label."""
    if name == "sst":
        texts = []
        for path in dataset_files("sst").values():
            with open(path, encoding="utf-8", newline="") as file:
                texts += [row["sentence"] for row in csv.DictReader(file)]
    else:
        path = dataset_files("imdb", splits=("train",))["train"]
        texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
        random.Random(0).shuffle(texts)
    return TextRule().clean_all(texts[:num_texts])


@torch.inference_mode()
def padded(runner: Runner, texts: list[bytes]) -> NDArray[np.float32]:
    """Return the features of texts in batches as they come, each padded to its longest."""
    features = np.zeros((len(texts), runner.num_units), np.float32)
    for start in range(0, len(texts), BATCH_SIZE):
        batch = texts[start : start + BATCH_SIZE]
        lengths = torch.tensor([len(text) for text in batch])
        ids = torch.zeros(int(lengths.max()), len(batch), dtype=torch.uint8)
        for column, text in enumerate(batch):
            ids[: len(text), column] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        state = runner.initial_state(len(batch))
        for t, row in enumerate(ids, start=1):
            state = runner.step(row, state)
            ended = (lengths == t).nonzero().flatten()
            if len(ended):
                features[start + ended.numpy()] = runner.cells(state)[ended].numpy()
    return features


def full_batches(runner: Runner, *, num_steps: int) -> None:
    """Step a full batch, and nothing else."""
    state = runner.initial_state(BATCH_SIZE)
    ids = torch.randint(0, 256, (num_steps, BATCH_SIZE), dtype=torch.uint8)
    for row in ids:
        state = runner.step(row, state)


def utilisation(lengths: list[int]) -> dict[str, float]:
    """Return the part of a full batch's rows, until it is done, that are bytes of texts, for both ways."""
    longest = sum(lengths[place] for place in pack(lengths, num_streams=BATCH_SIZE)[0])
    batches = [lengths[start : start + BATCH_SIZE] for start in range(0, len(lengths), BATCH_SIZE)]
    return {
        "packed": sum(lengths) / (min(BATCH_SIZE, len(lengths)) * longest),
        "padded": sum(lengths) / sum(max(batch) * len(batch) for batch in batches),
    }


def main() -> None:
    """Check, measure, print the figures and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["sst", "imdb"])
    parser.add_argument("--texts", type=int, default=2000, help="most texts to take")
    parser.add_argument("--nhid", type=int, help="units of a random model; default: the shipped model")
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each way, 2 or more")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON")
    args = parser.parse_args()

    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(nhid=args.nhid)).eval() if args.nhid else load_model(PRETRAINED).model
    runner = Runner(model, precision=args.precision)
    texts = read_texts(args.data, num_texts=args.texts)
    lengths = [len(text) for text in texts]
    check = texts[:: max(1, len(texts) // 20)]
    if not np.allclose(padded(runner, check), featurize(runner, check), rtol=1e-6, atol=1e-5):
        sys.exit("the features differ; not timing them")

    square = square_product(1024, dtype=torch.float32, device="cpu")
    num_steps = max(10, 40_000_000 // runner.num_units**2)
    start = time.monotonic()
    seconds = interleaved(
        {
            "packed": lambda: featurize(runner, texts),
            "padded": lambda: padded(runner, texts),
            "full batches": lambda: full_batches(runner, num_steps=num_steps),
            "square product": lambda: [square.run() for _ in range(20)],
        },
        rounds=args.rounds,
        warmups=0,
    )
    documents = {name: summary(seconds[name], amount=len(texts)) for name in ("packed", "padded")}
    rates = {name: summary(seconds[name], amount=sum(lengths)) for name in ("packed", "padded")}
    rates["full batches"] = summary(seconds["full batches"], amount=num_steps * BATCH_SIZE)
    flops = summary(seconds["square product"], amount=20 * square.amount)
    gain = ratio(seconds["padded"], seconds["packed"])
    figures = {
        "data": args.data,
        "texts": len(texts),
        "bytes": sum(lengths),
        "longest": max(lengths),
        "nhid": runner.num_units,
        "precision": args.precision,
        "batch": BATCH_SIZE,
        "utilisation": utilisation(lengths),
        "documents_per_second": documents,
        "bytes_per_second": rates,
        "packed_over_padded": gain,
        "packed_share_of_full_batches": rates["packed"]["median"] / rates["full batches"]["median"],
        "packed_share_of_square_product": 10 * runner.num_units**2 * rates["packed"]["median"] / flops["median"],
        "square_product_flops": flops,
        "seconds": time.monotonic() - start,
    }
    path = write_result(f"featurization_{args.data}_{runner.num_units}_{args.precision}", figures, folder=args.output)
    print(
        f"{args.data}: {len(texts):,} texts, {sum(lengths):,} bytes, longest {max(lengths):,}; {runner.num_units} units"
    )
    for name, share in figures["utilisation"].items():
        print(
            f"{name}: utilisation {share:.3f}, {documents[name]['median']:,.1f} documents/s, "
            f"{rates[name]['median']:,.0f} bytes/s"
        )
    print(
        f"packed / padded {gain['median']:.2f}; {figures['packed_share_of_full_batches']:.0%} of full batches' rate, "
        f"{figures['packed_share_of_square_product']:.0%} of a square product; {path}"
    )


if __name__ == "__main__":
    main()
