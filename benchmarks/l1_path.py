"""Seconds of the path of L1 regressions over nine values of C: `l1_path` against plain liblinear, and their objectives.

    python benchmarks/l1_path.py
    python benchmarks/l1_path.py --features DIR/features_train.npz [--columns 4096]

Without `--features`, synthetic ones: columns of very different scales that share factors, one of them the answer with
noise, others weak signs of it. With it, those of SST's training texts that `sentneuron transfer MODEL --data sst
-o DIR` keeps, and with `--columns` as many columns: the units, and mixtures of eight with noise of half their size.

Both take turns in one process. Plain is scikit-learn's LogisticRegression at its own tolerance on all columns, each C
on its own, as `transfer` fitted before. It has one thread; the path's products have as many as OMP_NUM_THREADS says.
Refuses to report a path that is worse than plain's at any C by more than 1e-6 of the objective.
"""

import argparse
import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
import torch
from measuring import RESULTS, interleaved, ratio, summary, write_result
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from sentneuron.core.data.datasets import dataset_files
from sentneuron.core.transfer.l1_path import TOLERANCE, l1_path
from sentneuron.core.transfer.probe import STRENGTHS

WORSE = 1e-6
PLAIN_TOLERANCE = 1e-4
SCALE = 0.02
"""Keeps 188 columns at C = 2^-3 and 972 at C = 1; 0.05 keeps 1,689."""

Features = NDArray[np.float32]
Truth = NDArray[np.bool_]
Fits = tuple[NDArray[np.float64], NDArray[np.float64]]


def synthetic(num_rows: int, num_columns: int, *, scale: float = SCALE, seed: int = 0) -> tuple[Features, Truth]:
    """Return features [rows, columns] of this typical size and the truth [rows] of made-up texts."""
    rng = np.random.default_rng(seed)
    num_factors = min(256, num_columns)
    decay = 1 / np.sqrt(1 + np.arange(num_factors))
    factors = (rng.normal(size=(num_rows, num_factors)) * decay).astype(np.float32)
    features = factors @ rng.normal(size=(num_factors, num_columns)).astype(np.float32)
    features += rng.normal(size=(num_rows, num_columns)).astype(np.float32)
    mood = 4 * factors[:, :40] @ rng.normal(size=40) / 6
    features[:, num_columns // 2] = mood + rng.normal(size=num_rows)
    features *= scale * np.exp(rng.normal(size=num_columns)).astype(np.float32)
    features += 2 * scale * rng.normal(size=num_columns).astype(np.float32)
    return features, rng.random(num_rows) < 1 / (1 + np.exp(-2 * mood))


def read_sst(path: Path) -> tuple[Features, Truth]:
    """Return the features that `transfer` kept of SST's training texts, and which of the texts are positive."""
    with np.load(path, allow_pickle=False) as file:
        features = file["features"]
    with open(dataset_files("sst", splits=("train",))["train"], encoding="utf-8", newline="") as file:
        truth = np.array([row["label"] == "1" for row in csv.DictReader(file)])
    if len(features) != len(truth):
        sys.exit(f"{path}: {len(features):,} rows, but SST has {len(truth):,} training texts")
    return features, truth


def widen(features: Features, num_columns: int, *, seed: int = 0) -> Features:
    """Return the columns, and mixtures of them up to as many."""
    rng = np.random.default_rng(seed)
    size, extra = features.std(axis=0), num_columns - features.shape[1]
    parts = rng.integers(0, features.shape[1], (8, extra))
    mixtures = sum(features[:, part] * rng.normal(size=extra).astype(np.float32) for part in parts) / np.float32(
        np.sqrt(8)
    )
    noise = rng.normal(size=mixtures.shape).astype(np.float32) * size[parts[0]] / 2
    return np.hstack([features, mixtures + noise])


def plain(features: Features, truth: Truth) -> Fits:
    """Fit each C by liblinear on all columns."""
    wide = np.ascontiguousarray(features, np.float64)
    weights, biases = [], []
    for strength in STRENGTHS:
        model = LogisticRegression(
            l1_ratio=1.0, solver="liblinear", C=strength, tol=PLAIN_TOLERANCE, random_state=0, max_iter=1000
        )
        model.fit(wide, truth)
        weights.append(model.coef_[0])
        biases.append(model.intercept_[0])
    return np.array(weights), np.array(biases)


def objectives(features: Features, truth: Truth, path: Fits) -> list[float]:
    """Return |w| + |b| + C * loss of each fit."""
    values = []
    for weight, bias, strength in zip(*path, STRENGTHS, strict=True):
        margins = np.where(truth, 1, -1) * (features @ weight + bias)
        values.append(float(np.abs(weight).sum() + abs(bias) + strength * np.logaddexp(0, -margins).sum()))
    return values


def measure(features: Features, truth: Truth, *, rounds: int) -> dict[str, Any]:
    """Return the seconds of both ways, their ratio, and what each found at each C."""
    found: dict[str, Fits] = {}

    def kept(name: str, fit: Callable[[], Fits]) -> Callable[[], None]:
        return lambda: found.update({name: fit()})

    seconds = interleaved(
        {
            "plain": kept("plain", lambda: plain(features, truth)),
            "path": kept("path", lambda: l1_path(features, truth, strengths=STRENGTHS)),
        },
        rounds=rounds,
        warmups=0,
    )
    values = {name: objectives(features, truth, path) for name, path in found.items()}
    nonzero = {name: np.count_nonzero(path[0], axis=1).tolist() for name, path in found.items()}
    return {
        "rows": len(features),
        "columns": features.shape[1],
        "rounds": rounds,
        "seconds": seconds,
        "paths_per_second": {name: summary(each, amount=1) for name, each in seconds.items()},
        "plain_over_path": ratio(seconds["plain"], seconds["path"]),
        "fits": [
            {
                "C": strength,
                "objective": {name: values[name][place] for name in found},
                "path_minus_plain": (values["path"][place] - values["plain"][place]) / values["plain"][place],
                "nonzero": {name: nonzero[name][place] for name in found},
            }
            for place, strength in enumerate(STRENGTHS)
        ],
    }


def main() -> None:
    """Measure, print the figures and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, help="features_train.npz that transfer kept of SST")
    parser.add_argument("--rows", type=int, default=6920, help="of synthetic features")
    parser.add_argument("--columns", type=int, help="4096 synthetic ones; default of --features: as they are")
    parser.add_argument(
        "--scale", type=float, default=SCALE, help="of synthetic features: larger ones keep more columns"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way, 2 or more")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON")
    args = parser.parse_args()

    if args.features:
        features, truth = read_sst(args.features)
        name = "sst" if args.columns is None else "sst_widened"
        features = features if args.columns is None else widen(features, args.columns)
    else:
        features, truth = synthetic(args.rows, args.columns or 4096, scale=args.scale)
        name = f"synthetic_{args.scale:g}"
    figures = {
        "features": name,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "tolerance": {"plain": PLAIN_TOLERANCE, "path": TOLERANCE},
    } | measure(features, truth, rounds=args.rounds)
    for fit in figures["fits"]:
        print(
            f"C {fit['C']:<10g} objective {fit['objective']['plain']:.6f} plain, path {fit['path_minus_plain']:+.1e}; "
            f"non-zero {fit['nonzero']['plain']:,} and {fit['nonzero']['path']:,}"
        )
    if max(fit["path_minus_plain"] for fit in figures["fits"]) > WORSE:
        sys.exit("the path is worse than plain liblinear; no figures")
    shape = f"{figures['rows']}x{figures['columns']}_{torch.get_num_threads()}t"
    path = write_result(f"l1_path_{name}_{shape}", figures, folder=args.output)
    for way, each in figures["seconds"].items():
        print(f"{way}: {', '.join(f'{value:.2f}' for value in each)} s")
    gain = figures["plain_over_path"]
    print(f"plain / path {gain['median']:.1f} ({gain['quartile_low']:.1f} to {gain['quartile_high']:.1f}); {path}")


if __name__ == "__main__":
    main()
