"""One rank of a test of shared features; see forking_ranks.py.

A request either holds `rounds`, lists of texts that rank 0 wants features of, with the `pooling`, or `classify`, the
settings of a ClassifyConfig. Faults: `at_first_byte` and `at_every_byte` map a rank to what happens to it there
(`kill`, `error`, or seconds to sleep), `between` is what happens to rank 0 before the second round (likewise). `beat`,
`piece`, `chunk_rows` and `timeout` replace the constants. The result tells how many bytes the rank worked on, and on
rank 0 the features and the progress, or the report.
"""

import os
import signal
import time
from dataclasses import asdict
from pathlib import Path

import torch

from sentneuron.core.config import ClassifyConfig, ModelConfig
from sentneuron.core.errors import DataError
from sentneuron.core.launch.place import Place
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer import classify, feature_pool


def run(place: Place, request: dict, result: dict) -> None:
    feature_pool.BEAT = request.get("beat", feature_pool.BEAT)
    feature_pool.PIECE = request.get("piece", feature_pool.PIECE)
    classify.CHUNK_ROWS = request.get("chunk_rows", classify.CHUNK_ROWS)
    faults = [request.get(name, {}).get(str(place.rank)) for name in ("at_first_byte", "at_every_byte")]
    count_bytes(result, *faults)
    with Ranks.join(place, torch.device("cpu"), timeout=request.get("timeout", 20)) as ranks:
        if "classify" in request:
            report = classify.classify(config_of(request["classify"]), ranks=ranks)
            result["report"] = None if report is None else {**asdict(report), "outputs": []}
            return
        torch.manual_seed(3)
        runner = Runner(LanguageModel(ModelConfig(nhid=12, emsize=8)).eval())
        with feature_pool.FeaturePool(ranks) as pool:
            if ranks.is_first:
                want(pool, runner, request, result)
            else:
                pool.serve(runner, pooling=request["pooling"])


def want(pool: feature_pool.FeaturePool, runner: Runner, request: dict, result: dict) -> None:
    """Do what rank 0 does."""
    result |= {"features": [], "progress": []}
    for number, texts in enumerate(request["rounds"]):
        if number == 1:
            suffer(request.get("between"))
        content = [text.encode() for text in texts]
        seen: list[tuple[int, int | None]] = []
        found = pool.featurize(
            runner, content, pooling=request["pooling"], progress=lambda *now, seen=seen: seen.append(now)
        )
        result["features"].append(found.tolist())
        result["progress"].append(seen)


def config_of(settings: dict) -> ClassifyConfig:
    return ClassifyConfig(**{**settings, "output": Path(settings["output"])})


def count_bytes(result: dict, at_first: str | float | None, at_every: str | float | None) -> None:
    """Have the runner count, and suffer."""
    result["bytes"] = 0
    step_of = Runner.step

    def step(self, ids, state):
        suffer(at_every if result["bytes"] else at_first)
        result["bytes"] += len(ids)
        return step_of(self, ids, state)

    Runner.step = step


def suffer(fault: str | float | None) -> None:
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "error":
        raise DataError("an error of the test")
    elif fault is not None:
        time.sleep(fault)
