"""Windows a second from Parquet shards on one thread, and how long a seek to any step takes.

    python benchmarks/stream.py --megabytes 450 --rounds 9
    python benchmarks/stream.py --data reviews.shards

A round opens the shards anew, jumps to a random step (the seek: the epoch's layout included) and reads the windows
after it, for each kind of reset in turn. The operating system has the files in memory: a disk's speed is not in the
figures. CPU-seconds are those of the whole process, which are one thread's; on a shared machine they say more than
seconds do.

The second table is about the thread that reads ahead in training: how much of the time a loop waits for windows, where
a step, in which a GPU works and Python sleeps, takes 33 ms (1 MB/s) or 5 ms, and where each row group takes 30 ms
longer to come, as from a bucket. Refuses to time windows that differ by how they were read.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from make_corpus import write_corpus
from measuring import summary, write_result

from sentneuron.core.config import PersistState, ShardConfig
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.shards import Shard, open_shards
from sentneuron.core.data.stream import EpochStream

RESETS: tuple[PersistState, ...] = ("shard", "document")
WAITS = ((0.033, 0.0), (0.005, 0.0), (0.033, 0.030))
"""Seconds of a step, and seconds added to each row group."""
WAIT_STREAMS = 128
WAIT_STAGES = 3


@dataclass
class Distant:
    """A shard whose row groups take longer to come."""

    shard: Shard
    seconds: float

    def __post_init__(self) -> None:
        self.row_group_bytes = self.shard.row_group_bytes

    def read_row_group(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        time.sleep(self.seconds)
        return self.shard.read_row_group(index)


@dataclass
class Run:
    """Seconds, and seconds of the processor, of one piece of work."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __enter__(self) -> "Run":
        self.seconds, self.cpu_seconds = -time.perf_counter(), -time.process_time()
        return self

    def __exit__(self, *exception: object) -> None:
        self.seconds += time.perf_counter()
        self.cpu_seconds += time.process_time()


def make_shards(folder: Path, *, megabytes: float) -> Path:
    """Make 1,002 shards of made-up reviews; `megabytes` are those of the JSON lines, two thirds of them text."""
    write_corpus(folder / "reviews.json", megabytes=megabytes)
    write_shards(ShardConfig(inputs=(str(folder / "reviews.json"),), output=folder / "reviews.shards"))
    return folder / "reviews.shards"


def check(shards: Sequence[Shard], options: dict[str, Any]) -> None:
    """Stop where a window depends on how it is read; reads every file once on the way."""
    following, ahead = (EpochStream(shards, **options, prefetch=prefetch) for prefetch in (False, True))
    for step in range(following.num_steps):
        one, two = following.window(step), ahead.window(step)
        windows = [one, two, EpochStream(shards, **options).window(step)] if step % 500 == 7 else [one, two]
        if any(not np.array_equal(window.ids, one.ids) or not same(window.resets, one.resets) for window in windows):
            sys.exit(f"step {step} depends on how it is read; not timing it")


def same(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    """Compare two masks; None is one without a reset."""
    return first is second is None or (first is not None and second is not None and np.array_equal(first, second))


def measure(shards: Sequence[Shard], options: dict[str, Any], *, step: int, num_windows: int) -> tuple[Run, Run]:
    """Time a jump to a step in a new epoch, and the windows after it."""
    with Run() as seek:
        stream = EpochStream(shards, **options)
        stream.window(step)
    with Run() as reading:
        for number in range(step + 1, step + 1 + num_windows):
            stream.window(number)
    return seek, reading


def waiting(shards: Sequence[Any], *, step_seconds: float, seq_length: int, prefetch: bool) -> float:
    """Return the share of time that a loop of sleeping steps waits for its windows."""
    stream = EpochStream(shards, num_streams=WAIT_STREAMS, seq_length=seq_length, prefetch=prefetch)
    stream.window(0)
    num_steps = min(stream.num_steps, 1 + WAIT_STAGES * (1 + 32768 // seq_length))
    waited, start = 0.0, time.perf_counter()
    for step in range(1, num_steps):
        before = time.perf_counter()
        stream.window(step)
        waited += time.perf_counter() - before
        time.sleep(step_seconds)
    return waited / (time.perf_counter() - start)


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, extremes and number of times."""
    return {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds), "runs": len(seconds)}


def main() -> None:
    """Measure, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=450, help="size of the made-up JSON lines, in 10^6 bytes")
    parser.add_argument("--data", type=Path, help="take this shard folder instead")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--seq-length", type=int, default=256)
    parser.add_argument("--windows", type=int, default=1000, help="read in a round, after the seek")
    parser.add_argument("--rounds", type=int, default=9, help="2 or more")
    args = parser.parse_args()

    pa.set_cpu_count(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = args.data or make_shards(Path(folder), megabytes=args.megabytes)
        corpus = open_shards(data)
        shards = corpus.split("train")
        options: dict[str, Any] = {"num_streams": args.batch_size, "seq_length": args.seq_length}
        check(shards, {**options, "persist_state": "document"})
        num_steps = EpochStream(shards, **options).num_steps
        num_windows = min(args.windows, num_steps - 1)
        runs: dict[str, list[tuple[Run, Run]]] = {name: [] for name in RESETS}
        draw = random.Random(0)
        for _ in range(args.rounds):
            step = draw.randrange(num_steps - num_windows)
            for name in RESETS:
                fresh, settings = open_shards(data).split("train"), {**options, "persist_state": name}
                runs[name].append(measure(fresh, settings, step=step, num_windows=num_windows))
        waits = [
            {
                "step_seconds": step_seconds,
                "row_group_delay_seconds": delay,
                **{
                    name: waiting(
                        [Distant(shard, delay) for shard in shards],
                        step_seconds=step_seconds,
                        seq_length=args.seq_length,
                        prefetch=prefetch,
                    )
                    for name, prefetch in (("share_waiting", False), ("share_waiting_with_thread", True))
                },
            }
            for step_seconds, delay in WAITS
        ]

    megabytes = num_windows * args.batch_size * args.seq_length / 1e6
    seeks = [seek for rounds in runs.values() for seek, _ in rounds]
    values = {
        "shape": [args.batch_size, args.seq_length],
        "corpus": {
            "shards": len(corpus.manifest["files"]),
            "train_shards": len(shards),
            "train_row_groups": sum(len(shard.row_group_bytes) for shard in shards),
            "train_bytes": sum(shard.num_bytes for shard in shards),
            "text": "given" if args.data else "make_corpus.py",
        },
        "pyarrow": pa.__version__,
        "megabytes_a_round": megabytes,
        "delivered": {
            name: {
                "megabytes_per_second": summary([run.seconds for _, run in rounds], amount=megabytes),
                "megabytes_per_cpu_second": summary([run.cpu_seconds for _, run in rounds], amount=megabytes),
            }
            for name, rounds in runs.items()
        },
        "seek": {
            "seconds": spread([run.seconds for run in seeks]),
            "cpu_seconds": spread([run.cpu_seconds for run in seeks]),
        },
        "waiting": waits,
    }
    print_tables(values)
    print(write_result("stream", values))


def print_tables(values: dict[str, Any]) -> None:
    """Print what the JSON holds."""
    corpus = values["corpus"]
    print(f"{corpus['shards']:,} shards; train: {corpus['train_bytes'] / 1e6:,.0f} MB of text", end=" ")
    print(f"in {corpus['train_row_groups']:,} row groups; windows {values['shape']}")
    print("\n| resets | MB/s | MB per CPU-second |\n| --- | --- | --- |")
    for name, rates in values["delivered"].items():
        cells = [f"{r['median']:.0f} ({r['quartile_low']:.0f} to {r['quartile_high']:.0f})" for r in rates.values()]
        print(f"| {name} | {' | '.join(cells)} |")
    print("\n| seek | median | least | most |\n| --- | --- | --- | --- |")
    for name, found in values["seek"].items():
        print(f"| {name} | {found['median']:.2f} | {found['min']:.2f} | {found['max']:.2f} |")
    print("\n| step | row group comes later by | waiting | with a thread |\n| --- | --- | --- | --- |")
    for row in values["waiting"]:
        shares = f"{row['share_waiting']:.1%} | {row['share_waiting_with_thread']:.1%}"
        print(f"| {row['step_seconds'] * 1e3:.0f} ms | {row['row_group_delay_seconds'] * 1e3:.0f} ms | {shares} |")


if __name__ == "__main__":
    main()
