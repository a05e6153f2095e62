"""Train with several ranks in forks of one process, which has paid for the imports once.

Reads requests, a JSON object a line: `size`, `folder` for results, `config` (settings of TrainConfig, `model` nested),
and what is to happen: `infinite` ([rank, step] whose loss is infinite), `nan` likewise, `signal` ([rank, step, number]:
sent to that rank in the step), `record` (the windows of every step). Steps are counted from 1. Writes one JSON list a
line: each rank's `report` or `error` with its `code`, and its `windows`.
"""

import json
import os
import signal
import socket
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet  # noqa: F401  a rank would import it at its first shard
import torch

from sentneuron.core.config import ModelConfig, TrainConfig
from sentneuron.core.errors import SentneuronError
from sentneuron.core.launch.place import Place
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.training import learner, loop

SECONDS = 60
"""A rank that takes longer is ended."""


def main() -> None:
    torch.optim.Adam([torch.zeros(1, requires_grad=True)], fused=True)  # imports what takes torch three seconds
    while line := sys.stdin.readline():
        request = json.loads(line)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        paths = [Path(request["folder"]) / f"result.{rank}.json" for rank in range(request["size"])]
        pids = []
        for rank, path in enumerate(paths):
            path.unlink(missing_ok=True)
            pid = os.fork()
            if pid == 0:
                signal.alarm(SECONDS)
                path.write_text(json.dumps(run_rank(rank, port, request)))
                os._exit(0)
            pids.append(pid)
        for pid in pids:
            os.waitpid(pid, 0)
        print(json.dumps([json.loads(path.read_text()) for path in paths]), flush=True)


def run_rank(rank: int, port: int, request: dict) -> dict:
    """Run one rank; return what became of it."""
    settings = request["config"]
    config = TrainConfig(**{**settings, "model": ModelConfig(**settings["model"]), "save": Path(settings["save"])})
    size = request["size"]
    place = Place(rank=rank, size=size, local_rank=rank, local_size=size, master_addr="127.0.0.1", master_port=port)
    windows: list[list[list[int]]] = []
    said: list[str] = []
    interfere(rank, request, windows)
    result: dict = {"windows": windows, "said": said}
    try:
        with Ranks.join(place, torch.device("cpu"), timeout=20) as ranks:
            report = loop.train(config, ranks=ranks, announce=said.append)
        result["report"] = {**asdict(report), "save": str(report.save)}
    except SentneuronError as error:
        result |= {"error": str(error), "code": error.exit_code}
    except Exception:
        result |= {"error": traceback.format_exc(), "code": 1}
    return result


def interfere(rank: int, request: dict, windows: list) -> None:
    """Have the model's loss and the learner's step do what was asked for."""
    now = 0
    step_of, loss_of = learner.Learner.step, learner.LanguageModel.loss
    faults = {
        (where[0], where[1]): factor
        for name, factor in (("infinite", float("inf")), ("nan", float("nan")))
        for where in request.get(name, [])
    }

    def step(self, number, **options):
        nonlocal now
        now = number + 1
        if request.get("record"):
            windows.append(self.stream.window(number % self.stream.num_steps).ids.tolist())
        if request.get("signal", [])[:2] == [rank, now]:
            os.kill(os.getpid(), request["signal"][2])
        return step_of(self, number, **options)

    def loss(self, *args):
        value, state = loss_of(self, *args)
        return (value * faults.get((rank, now), 1.0) if self.training else value), state

    learner.Learner.step, learner.LanguageModel.loss = step, loss


if __name__ == "__main__":
    main()
