"""Memory of `sentneuron shard` over inputs of very different sizes, under a hard limit.

    python benchmarks/shard_memory.py --megabytes 300 1200 5000 --workers 1 2

Records are generated into a FIFO by a second process, so that no input of that size is ever on disk; texts differ from
repetition to repetition of one prepared block. The limit holds for each process by itself. `--limit data` (RLIMIT_DATA)
bounds what a process may allocate: its private writable memory, used or only reserved. `--limit address-space`
(RLIMIT_AS) is harder still, it counts code and what threads reserve for their stacks and heaps, too; one worker, which
is no process of its own, runs within 512 MiB of that.

Peaks: the parent's is the kernel's own high-water mark. For all processes together it lies between two figures: the
largest sum of proportional set sizes that was sampled, and the sum of all high-water marks.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from make_corpus import Corpus

BLOCK_BYTES = 32_000_000
COUNTER = b"@@@@@@@@@@"
SAMPLE_SECONDS = 0.1
LIMITS = {"data": resource.RLIMIT_DATA, "address-space": resource.RLIMIT_AS}


def feed(target: Path, num_bytes: int) -> int:
    """Write whole records of at least `num_bytes` in all; return how many records."""
    block = b"".join(Corpus().blocks(BLOCK_BYTES))
    block = block.replace(b'"reviewText": "', b'"reviewText": "' + COUNTER + b" ")
    written = repetition = num_records = 0
    with open(target, "wb") as file:
        while written < num_bytes:
            piece = block.replace(COUNTER, b"%010d" % repetition)
            piece = piece[: piece.find(b"\n", max(0, num_bytes - written - 1)) + 1] or piece
            file.write(piece)
            written, repetition, num_records = written + len(piece), repetition + 1, num_records + piece.count(b"\n")
    return num_records


class Watch:
    """High-water marks of a process and its descendants, and the peak of their sum."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._high_water: dict[int, int] = {}
        self.sum_sampled = 0

    def sample(self) -> None:
        """Look once; a process that ends meanwhile is passed over."""
        total = 0
        for pid in descendants(self._pid):
            with contextlib.suppress(OSError, KeyError):
                self._high_water[pid] = kilobytes(f"/proc/{pid}/status", "VmHWM")
                total += kilobytes(f"/proc/{pid}/smaps_rollup", "Pss")
        self.sum_sampled = max(self.sum_sampled, total)

    def peaks(self) -> dict[str, float]:
        """Return peaks in MB (10^6 bytes)."""
        parent = self._high_water.pop(self._pid)
        children = list(self._high_water.values())
        peaks = {
            "parent": parent,
            "largest_child": max(children, default=0),
            "all_sampled": self.sum_sampled,
            "all_at_most": parent + sum(children),
        }
        return {name: value * 1024 / 1e6 for name, value in peaks.items()}


def descendants(pid: int) -> list[int]:
    """Return a process and all processes below it that are alive."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, path.read_text().split())
    return found


def kilobytes(path: str, name: str) -> int:
    """Read one line of a file under /proc."""
    with open(path, encoding="ascii") as file:
        values = dict(line.split(":", 1) for line in file if ":" in line)
    return int(values[name].split()[0])


def measure(folder: Path, num_bytes: int, *, workers: int, limit: str, limit_bytes: int) -> dict[str, Any]:
    """Run `shard` on a FIFO of `num_bytes` under the limit."""
    fifo, output = folder / "reviews.json", folder / "out"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "sentneuron", "shard", str(fifo), "-o", str(output), "--json", "--quiet"]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--workers", str(workers)],
        stdout=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(LIMITS[limit], (limit_bytes, limit_bytes)),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    feeder = subprocess.Popen(
        [sys.executable, __file__, "--feed", str(fifo), "--megabytes", str(num_bytes / 1e6)], stdout=subprocess.PIPE
    )
    watch = Watch(process.pid)
    try:
        while process.poll() is None:
            watch.sample()
            time.sleep(SAMPLE_SECONDS)
        seconds = time.perf_counter() - start
        out = process.communicate()[0]
        if process.returncode != 0:
            sys.exit(f"shard ended with {process.returncode} on {num_bytes / 1e6:,.0f} MB, {workers} workers")
        num_fed = int(feeder.communicate()[0])
    finally:
        feeder.kill()
        process.kill()
    report = json.loads(out)
    if report["num_read"] != num_fed:
        sys.exit(f"{num_fed:,} records were written into the FIFO, {report['num_read']:,} read from it")
    on_disk = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    shutil.rmtree(output)
    fifo.unlink()
    return {
        "bytes_in": report["bytes_in"],
        "records": num_fed,
        "workers": workers,
        "seconds": seconds,
        "megabytes_on_disk": on_disk / 1e6,
        "peak_megabytes": watch.peaks(),
    }


def main() -> None:
    """Measure every size with every number of workers, print a table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[300, 1200, 5000], help="sizes, in 10^6 bytes")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--limit", choices=LIMITS, default="data", help="what is limited in each process")
    parser.add_argument("--limit-megabytes", type=int, default=512, help="the limit, in units of 2^20 bytes")
    parser.add_argument("--scratch", type=Path, help="folder for the shards, about half the largest size free")
    parser.add_argument("--feed", type=Path, metavar="FIFO", help="only write the records of one size there")
    args = parser.parse_args()
    if args.feed:
        with contextlib.suppress(BrokenPipeError):
            print(feed(args.feed, int(args.megabytes[0] * 1e6)))
        return

    from measuring import write_result  # imports torch, which the feeder would pay for

    print(f"{args.limit} of each process limited to {args.limit_megabytes} MiB; peaks of resident memory in MB")
    print("    input  workers   parent    child  all, sampled  all, at most    MB/s")
    runs = []
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        for workers in args.workers:
            for megabytes in args.megabytes:
                run = measure(
                    Path(scratch),
                    int(megabytes * 1e6),
                    workers=workers,
                    limit=args.limit,
                    limit_bytes=args.limit_megabytes << 20,
                )
                runs.append(run)
                peak = run["peak_megabytes"]
                print(
                    f"{megabytes:>6,.0f} MB {workers:>8} {peak['parent']:>8.0f} {peak['largest_child']:>8.0f} "
                    f"{peak['all_sampled']:>13.0f} {peak['all_at_most']:>13.0f} "
                    f"{run['bytes_in'] / 1e6 / run['seconds']:>7.1f}",
                    flush=True,
                )
    limit = {"kind": args.limit, "mebibytes": args.limit_megabytes}
    print(write_result("shard_memory", {"limit": limit, "runs": runs}))


if __name__ == "__main__":
    main()
