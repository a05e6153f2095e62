"""Throughput of `sentneuron shard` against what one would write instead, per CPU-second and per second.

    python benchmarks/shard_throughput.py --megabytes 300 --rounds 7

All read the same JSON lines and write their text and label columns as zstd-3 Parquet. pandas, pyarrow, polars and
duckdb write one file and stop there (ndjson_to_parquet.py). `shard` also looks at every line by itself and accounts for
it, cleans the text, hashes, sorts, keeps duplicates in one split, and writes up to 1,002 files with checksums, flushed
to disk. Each run is a process of its own with one thread, start-up included; runs are interleaved, so that a noisy
minute hits all. CPU-seconds are user and system time of the process and its children. Ratios are medians of the rounds'
pairs. A run on ten lines gives the start-up by itself. Refuses to report where an output does not hold every record.
Outputs stay until all runs are done: some file systems pass over inodes freed a moment ago one by one.
"""

import argparse
import gzip
import importlib.metadata
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from make_corpus import write_corpus
from measuring import summary, write_result

import sentneuron

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
TINY_LINES = 10
LIBRARIES = ("pandas", "pyarrow", "polars", "duckdb")


@dataclass(frozen=True)
class Candidate:
    """One way to do the job: a library of LIBRARIES, or `shard` with its workers; `is_gz` reads the compressed file."""

    name: str
    library: str = "sentneuron"
    workers: int = 1
    is_gz: bool = False

    def command(self, source: Path, target: Path) -> list[str]:
        """Return the command line."""
        if self.library == "sentneuron":
            options = ["-o", str(target), "--workers", str(self.workers), "--quiet", "--json"]
            return [sys.executable, "-m", "sentneuron", "shard", str(source), *options]
        script = Path(__file__).with_name("ndjson_to_parquet.py")
        return [sys.executable, str(script), self.library, str(source), str(target)]

    def num_rows(self, target: Path) -> int:
        """Count the records in an output."""
        files = sorted(target.rglob("*.parquet")) if target.is_dir() else [target]
        return sum(pq.ParquetFile(file).metadata.num_rows for file in files)


CANDIDATES = (
    Candidate("shard"),
    Candidate("shard, 2 workers", workers=2),
    Candidate("shard from gz", is_gz=True),
    *(Candidate(library, library=library) for library in LIBRARIES),
)


def run(candidate: Candidate, source: Path, target: Path) -> tuple[float, float]:
    """Run once; return CPU-seconds and seconds."""
    log = target.with_suffix(".log")
    start = time.perf_counter()
    with open(log, "wb") as file:
        process = subprocess.Popen(
            candidate.command(source, target), stdout=file, stderr=file, env={**os.environ, **ONE_THREAD}
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{candidate.name} ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime, seconds


def prepare(folder: Path, *, megabytes: float, given: Path | None) -> dict[bool, Path]:
    """Return the input as it is and compressed (True), written to `folder` where it is not there yet."""
    plain = given or folder / f"reviews_{megabytes:g}.json"
    packed = folder / f"{plain.name}.gz"
    if not plain.exists():
        write_corpus(plain, megabytes=megabytes)
    if not packed.exists():
        with open(plain, "rb") as source, gzip.open(packed, "wb", compresslevel=6) as file:
            shutil.copyfileobj(source, file, 1 << 20)
    return {False: plain, True: packed}


def head(path: Path, folder: Path, num_lines: int) -> Path:
    """Write a file's first lines to a file of its own, compressed as it is."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    target = folder / f"head_{path.name}"
    with opener(path, "rb") as source, opener(target, "wb") as file:
        file.writelines(source.readline() for _ in range(num_lines))
    return target


def ratio(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles of the pairs' ratios."""
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": middle, "quartile_low": low, "quartile_high": high}


def versions() -> dict[str, str | None]:
    """Versions of everything that takes part; None where it is not installed."""
    found: dict[str, str | None] = {"sentneuron": sentneuron.__version__}
    for name in ("msgspec", "isal", *LIBRARIES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def main() -> None:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=300, help="size of the made-up input, in 10^6 bytes")
    parser.add_argument("--input", type=Path, help="take this file instead, with reviewText and overall")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each candidate, 2 or more")
    parser.add_argument("--scratch", type=Path, help="folder for inputs and outputs; inputs stay there")
    args = parser.parse_args()

    installed = versions()
    missing = [name for name in (*LIBRARIES, "isal") if installed[name] is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
    candidates = [c for c in CANDIDATES if c.library not in missing]
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        inputs = prepare(args.scratch or Path(folder), megabytes=args.megabytes, given=args.input)
        targets = (Path(folder) / f"out_{number}" for number in count())
        num_bytes = inputs[False].stat().st_size
        with open(inputs[False], "rb") as file:
            num_records = sum(1 for _ in file)
        tiny = {is_gz: head(path, Path(folder), TINY_LINES) for is_gz, path in inputs.items()}

        startup: dict[str, list[tuple[float, float]]] = {c.name: [] for c in candidates}
        measured: dict[str, list[tuple[float, float]]] = {c.name: [] for c in candidates}
        for number in range(args.rounds):
            for candidate in candidates:
                startup[candidate.name].append(run(candidate, tiny[candidate.is_gz], next(targets)))
                target = next(targets)
                measured[candidate.name].append(run(candidate, inputs[candidate.is_gz], target))
                num_rows = candidate.num_rows(target)
                if num_rows != num_records:
                    sys.exit(f"{candidate.name} wrote {num_rows:,} of {num_records:,} records")
            print(f"round {number + 1} of {args.rounds} done", flush=True)

    megabytes = num_bytes / 1e6
    figures = {c.name: describe(measured[c.name], startup[c.name], measured, megabytes=megabytes) for c in candidates}
    settings = {"megabytes": megabytes, "records": num_records, "input": "given" if args.input else "make_corpus.py"}
    print_table(figures, settings)
    print(write_result("shard_throughput", {**settings, "versions": installed, "candidates": figures}))


def describe(
    runs: list[tuple[float, float]],
    startup: list[tuple[float, float]],
    everything: dict[str, list[tuple[float, float]]],
    *,
    megabytes: float,
) -> dict[str, Any]:
    """Turn one candidate's CPU-seconds and seconds into rates, and into ratios of rates to all others."""
    cpu, wall = ([run[i] for run in runs] for i in (0, 1))
    startup_cpu = statistics.median(run[0] for run in startup)
    without = [seconds - startup_cpu for seconds in cpu]
    others = everything.items()
    return {
        "megabytes_per_cpu_second": summary(cpu, amount=megabytes),
        "megabytes_per_second": summary(wall, amount=megabytes),
        "megabytes_per_cpu_second_without_startup": summary(without, amount=megabytes),
        "startup_cpu_seconds": startup_cpu,
        "startup_seconds": statistics.median(run[1] for run in startup),
        "cpu_times_as_fast_as": {n: ratio([b[0] / a for a, b in zip(cpu, runs, strict=True)]) for n, runs in others},
        "times_as_fast_as": {n: ratio([b[1] / a for a, b in zip(wall, runs, strict=True)]) for n, runs in others},
    }


def print_table(figures: dict[str, dict[str, Any]], settings: dict[str, Any]) -> None:
    """Print what the JSON holds: median (quartiles)."""

    def cell(rate: dict[str, float]) -> str:
        return f"{rate['median']:.1f} ({rate['quartile_low']:.1f} to {rate['quartile_high']:.1f})"

    print(f"\n{settings['megabytes']:,.0f} MB, {settings['records']:,} records")
    heads = [
        "",
        "MB per CPU-second",
        "without start-up",
        "MB/s",
        "start-up, CPU s",
        "CPU: times pandas",
        "times pyarrow",
    ]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for name, figure in figures.items():
        times = [figure["cpu_times_as_fast_as"].get(other) for other in ("pandas", "pyarrow")]
        cells = [
            name,
            cell(figure["megabytes_per_cpu_second"]),
            cell(figure["megabytes_per_cpu_second_without_startup"]),
            cell(figure["megabytes_per_second"]),
            f"{figure['startup_cpu_seconds']:.2f}",
            *(f"{value['median']:.2f}" if value else "-" for value in times),
        ]
        print(f"| {' | '.join(cells)} |")
    both = figures["shard, 2 workers"]["times_as_fast_as"]["shard"]
    print(f"two workers over one, in seconds: {cell(both)} times")


if __name__ == "__main__":
    main()
