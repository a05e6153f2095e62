"""Throw damaged and made-up input at the readers for a while, and say what was tried and what was found.

    python benchmarks/fuzz.py [--seconds 120] [--seed 1] [--target lines]

Every case comes from `TARGET/SEED/NUMBER` alone, which is printed for each finding: `--only TARGET/SEED/NUMBER` runs
one again. A finding is anything but our own errors, a case that takes over ten seconds, or a broken promise of the
target (fuzz_targets.py). No engine runs: nothing is trained.
"""

import argparse
import contextlib
import os
import pkgutil
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from types import FrameType
from unittest import mock

from fuzz_targets import ENGINES, TARGETS, refuse

from sentneuron.core.errors import SentneuronError

CASE_SECONDS = 10


def run_case(case: str) -> str | None:
    """Run `TARGET/SEED/NUMBER`; return what was found, None where all is well."""

    def too_slow(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"over {CASE_SECONDS} s")

    target = case.partition("/")[0]
    signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(CASE_SECONDS)
    try:
        with contextlib.ExitStack() as stack:
            for name in ENGINES.get(target, ()):
                stack.enter_context(mock.patch(name, refuse))
            TARGETS[target](random.Random(case))
    except SentneuronError:
        pass
    except Exception:
        return traceback.format_exc(limit=-4)
    finally:
        signal.alarm(0)
    return None


def command_line() -> argparse.Namespace:
    """Read this script's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--only", metavar="TARGET/SEED/NUMBER")
    return parser.parse_args()


def fuzz(targets: list[str], *, seconds: float, seed: int) -> tuple[Counter[str], dict[str, str]]:
    """Give each target its share of the time; return the cases tried, and one case for each different finding."""
    for name in {name for target in targets for name in ENGINES.get(target, ())}:
        pkgutil.resolve_name(name)  # importing torch takes longer than a case may
    tried: Counter[str] = Counter()
    found: dict[str, str] = {}
    for target in targets:
        end = time.monotonic() + seconds / len(targets)
        while time.monotonic() < end:
            case = f"{target}/{seed}/{tried[target]}"
            finding = run_case(case)
            tried[target] += 1
            if finding is not None and finding not in found.values():
                found[case] = finding
    return tried, found


if __name__ == "__main__":
    asked = command_line()
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if asked.only:
            print(run_case(asked.only) or "nothing found")
            sys.exit()
        tried, found = fuzz([asked.target] if asked.target else list(TARGETS), seconds=asked.seconds, seed=asked.seed)
        os.chdir(here)
    for case, finding in found.items():
        print(f"{case}:\n{finding}")
    for target, number in tried.items():
        num_found = sum(case.startswith(target) for case in found)
        print(f"{target}: {number:,} cases, seed {asked.seed}, {num_found} different findings")
    sys.exit(bool(found))
