"""What every benchmark states (machine, versions, median and spread), and how two things are compared."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Describe where a figure comes from, without naming the machine."""
    names = [line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def interleaved(
    candidates: Mapping[str, Callable[[], Any]],
    *,
    rounds: int,
    warmups: int = 1,
    finish: Callable[[], Any] = lambda: None,
) -> dict[str, list[float]]:
    """Run every candidate once a round, so that a noisy minute hits all of them; return the seconds of each run.

    `finish` waits for what a candidate has only started: `torch.cuda.synchronize` on a GPU.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for run in candidates.values():
        for _ in range(warmups):
            run()
    finish()
    for _ in range(rounds):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            finish()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def summary(seconds: list[float], *, amount: float) -> dict[str, float]:
    """Median and quartiles of a rate: `amount` of work in each of the runs."""
    rates = sorted(amount / value for value in seconds)
    low, middle, high = statistics.quantiles(rates, n=4)
    return {"median": middle, "quartile_low": low, "quartile_high": high, "runs": len(rates)}


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """Median and quartiles of slow over fast, the runs of each round compared with one another."""
    low, middle, high = statistics.quantiles([one / two for one, two in zip(slow, fast, strict=True)], n=4)
    return {"median": middle, "quartile_low": low, "quartile_high": high, "rounds": len(slow)}


def write_result(name: str, values: dict[str, Any], *, folder: Path = RESULTS) -> Path:
    """Write a benchmark's figures with the machine they were measured on."""
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), **values}, indent=1) + "\n", encoding="utf-8")
    return path


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
