"""Everything that only a GPU can show, in one call: kernels against the reference, speed, reproducibility, training.

    python benchmarks/gpu_suite.py --output results
    python benchmarks/gpu_suite.py --parts pairs,step-4096
    python benchmarks/gpu_suite.py --dry-run

Made for one NVIDIA H200 and ten minutes: no network, no data but what it makes. Each part runs in a process of its own,
so that one that fails, hangs or ruins its CUDA context takes nothing else with it, and for at most its share of the
time; what it measured until then is kept. Prints one line a figure and at the end one a part, and writes
`gpu_suite.json` after each part. The parts that train need the package's own dependencies, not only torch and triton.

Exit code: 0 where every part passed or says what is not built yet; 1 where one failed, or had no time left; 69 without
a GPU. `--dry-run` goes through all of it on a CPU in tiny sizes, kernels in Triton's interpreter; its figures say
nothing.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from suite import NOT_BUILT, Outcome, Row, run_part

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
NO_GPU = 69
"""Exit code where there is no GPU: sysexits' "service unavailable"."""


def show_row(part: str, row: Row) -> None:
    """Print a figure; its spread is in the JSON."""
    names = [name for name in row if name not in ("what", "quartile_low", "quartile_high", "runs", "rounds")]
    values = "  ".join(f"{name} {_shown(row[name])}" for name in names)
    print(f"{part:16} {row['what']}: {values}", flush=True)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def write_outcomes(path: Path, outcomes: list[Outcome], *, dry_run: bool) -> None:
    """Write what is known so far; the row of the first part describes the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"dry_run": dry_run, "parts": [asdict(outcome) for outcome in outcomes]}
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run the parts in turn, print and write what they found, and end with the exit code that says so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "results", help="folder of the JSON file"
    )
    parser.add_argument("--parts", help="names parted by commas; default: all")
    parser.add_argument("--budget", type=float, default=560, help="seconds in all")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes on the CPU")
    args = parser.parse_args()

    start = time.monotonic()
    if args.dry_run:
        os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined, so before the parts are imported
    sys.path.insert(0, str(ROOT))  # the package need not be installed
    from gpu_parts import make_parts

    parts = make_parts(dry_run=args.dry_run)

    chosen = [part for part in parts if args.parts is None or part.name in args.parts.split(",")]
    if not chosen:
        parser.error(f"--parts {args.parts}: there are {', '.join(part.name for part in parts)}")
    path = args.output / ("gpu_suite_dry_run.json" if args.dry_run else "gpu_suite.json")
    outcomes: list[Outcome] = []
    for part in [parts[0], *(part for part in chosen if part is not parts[0])]:
        left = args.budget - (time.monotonic() - start)
        outcomes.append(run_part(part, seconds=min(part.seconds, left), show=show_row))
        if outcomes[-1].status == "no GPU":
            print(f"error: {outcomes[-1].message}; run this where there is one, or with --dry-run", file=sys.stderr)
            sys.exit(NO_GPU)
        write_outcomes(path, outcomes, dry_run=args.dry_run)
    print()
    for outcome in outcomes:
        print(f"{outcome.name:16} {outcome.seconds:6.1f} s  {outcome.status:13} {outcome.message}")
    print(path)
    sys.exit(any(outcome.status not in ("passed", NOT_BUILT) for outcome in outcomes))


if __name__ == "__main__":
    main()
