"""One rank of a training test; see forking_ranks.py.

A request holds `config` (settings of TrainConfig, `model` nested) and what is to happen: `infinite` ([rank, step] whose
loss is infinite), `nan` likewise, `signal` ([rank, step, number]: sent to that rank in the step), `record` (the windows
of every step). Steps are counted from 1. The result has the `report`, what was `said`, and the `windows`.
"""

import os
from dataclasses import asdict
from pathlib import Path

import torch

from sentneuron.core.config import ModelConfig, TrainConfig
from sentneuron.core.launch.place import Place
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.training import learner, loop

# Imports, before ranks are forked, what takes torch three seconds.
torch.optim.Adam([torch.zeros(1, requires_grad=True)], fused=True)


def run(place: Place, request: dict, result: dict) -> None:
    settings = request["config"]
    config = TrainConfig(**{**settings, "model": ModelConfig(**settings["model"]), "save": Path(settings["save"])})
    windows: list[list[list[int]]] = []
    said: list[str] = []
    result |= {"windows": windows, "said": said}
    interfere(place.rank, request, windows)
    with Ranks.join(place, torch.device("cpu"), timeout=20) as ranks:
        report = loop.train(config, ranks=ranks, announce=said.append)
    result["report"] = {**asdict(report), "save": str(report.save)}


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
