"""What checking a model file costs: reading one with every check, against a plain `torch.load` of the same file.

    python benchmarks/envelope.py --megabytes 400 --rounds 9

The file is a resume-like dict of fp32 tensors, one of them most of the file, as in a large model. A round reads it once
in each way, so that a noisy minute hits all: `torch.load`, the envelope with the checksum of the standard library, the
envelope with that of isal (the `fast` extra), and what of it happens before any number is read. The operating system
has the file in memory: a disk's speed is not in the figures. One thread. Refuses to time readers that disagree.
"""

import argparse
import os
import sys
import tempfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measuring import interleaved, ratio, summary, write_result

from sentneuron.core.model import stored_zip
from sentneuron.core.model.envelope import check_plain, read_plain

try:
    from isal.isal_zlib import crc32 as fast_crc32
except ImportError:
    fast_crc32 = None
LIMIT = 0.5
"""Seconds more than `torch.load` for 400 MB, at most."""


def write_file(path: Path, *, megabytes: float) -> int:
    """Write a file of about so many 10^6 bytes; returns how many."""
    numbers = int(megabytes * 1e6 / 4)
    width = int((numbers * 0.8) ** 0.5)
    tensors = {"weight_hh": torch.randn(width, width), "weight_ih": torch.randn(numbers - width * width)}
    torch.save({"format": "sentneuron", "version": 1, "encoder": tensors}, path)
    return path.stat().st_size


def read_with(path: Path, checksum: Any) -> Any:
    """Read with one of the two checksums."""
    stored_zip.crc32 = checksum  # which is chosen when the module is imported
    return read_plain(path)


def main() -> None:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=400)
    parser.add_argument("--rounds", type=int, default=9, help="2 or more")
    args = parser.parse_args()

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        num_bytes = write_file(path, megabytes=args.megabytes)
        candidates: dict[str, Callable[[], Any]] = {
            "torch.load": lambda: torch.load(path, weights_only=True),
            "envelope, zlib": partial(read_with, path, zlib.crc32),
            **({"envelope, isal": partial(read_with, path, fast_crc32)} if fast_crc32 else {}),
            "before any number": partial(check_plain, path, name="model.pt"),
        }
        expected = candidates["torch.load"]()["encoder"]
        for name in candidates.keys() - {"torch.load", "before any number"}:
            found = candidates[name]()["encoder"]
            if any(not torch.equal(found[key], expected[key]) for key in expected):
                sys.exit(f"{name} reads other numbers than torch.load; not timing it")
            del found
        del expected
        seconds = interleaved(candidates, rounds=args.rounds)

    per_400 = 400e6 / num_bytes
    plain = seconds["torch.load"]
    extra = {
        name: sorted((one - two) * per_400 for one, two in zip(values, plain, strict=True))[args.rounds // 2]
        for name, values in seconds.items()
        if name.startswith("envelope")
    }
    values = {
        "bytes": num_bytes,
        "rounds": args.rounds,
        "megabytes_per_second": {name: summary(times, amount=num_bytes / 1e6) for name, times in seconds.items()},
        "seconds_for_400_mb": {name: sorted(times)[args.rounds // 2] * per_400 for name, times in seconds.items()},
        "seconds_more_than_torch_load_for_400_mb": extra,
        "limit_of_that": LIMIT,
        "times_torch_load": {name: ratio(seconds[name], plain) for name in extra},
        "load_average": os.getloadavg()[0],
    }
    print(f"{num_bytes / 1e6:,.0f} MB, median of {args.rounds} rounds")
    print("\n| reading | s for 400 MB | more than torch.load |\n| --- | --- | --- |")
    for name, time in values["seconds_for_400_mb"].items():
        print(f"| {name} | {time:.3f} | {f'{extra[name]:.3f}' if name in extra else ''} |")
    print(write_result("envelope", values))


if __name__ == "__main__":
    main()
