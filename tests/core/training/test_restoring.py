"""R4: what a resumed run holds before its first step is what the run held that was not stopped.

Everything that the trainer reaches is compared, so that a new state is, too: the objects of the package are walked
through, tensors, numbers and texts are held against each other, and an object of an unknown kind is an error. What may
differ is named in `MAY_DIFFER`, with its reason.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sentneuron.core.training import loop
from sentneuron.core.training.learner import Learner
from sentneuron.core.training.optimizer import Optimizer
from sentneuron.core.training.randomness import seed_generators

MAY_DIFFER = {
    "started": "a clock",
    "seconds": "a clock",
    "seconds_before": "a clock",
    "exchanged": "gradients of the step before, which a step begins with forgetting",
    "gradients": "gradients of the step before",
    "notes": "what the step before told the other ranks",
    "grad": "gradients of the step before",
    "stream": "its caches; the next window is compared instead",
    "parts": "open data; their fingerprints are in the identity",
    "_shards": "open data",
    "is_resumed": "the difference itself",
    "files": "paths, and a lock that is held",
    "progress": "the caller's",
    "announce": "the caller's",
}
STEP = 14
PLAIN = (int, float, str, bool, bytes, type(None), Path, range, slice, torch.device, torch.Size, torch.dtype)


def parts(value: Any) -> dict[str, Any]:
    """What an object is made of, by name."""
    if isinstance(value, torch.optim.Optimizer):
        return {"state": value.state_dict()["state"]}
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, list | tuple):
        return {str(number): item for number, item in enumerate(value)}
    if isinstance(value, torch.nn.Module):
        own = {name: part for name, part in vars(value).items() if name not in vars(torch.nn.Module())}
        return own | value._parameters | value._buffers | value._modules
    if type(value).__module__.startswith("sentneuron"):
        return dict(vars(value))
    raise TypeError(f"tell this test how to compare a {type(value)}")


def walk(value: Any, path: str = "", seen: frozenset[int] = frozenset()) -> Iterator[tuple[str, Any]]:
    """Yield every number, text and tensor that is reached, by its path."""
    if isinstance(value, torch.Tensor):
        yield path, value.detach().clone()
    elif isinstance(value, np.ndarray):
        yield path, torch.from_numpy(value.copy())
    elif isinstance(value, PLAIN):
        yield path, value
    elif id(value) not in seen and not callable_without_state(value):
        for name, part in parts(value).items():
            if name not in MAY_DIFFER:
                yield from walk(part, f"{path}.{name}", seen | {id(value)})


def callable_without_state(value: Any) -> bool:
    """Functions and methods: what they are bound to is reached elsewhere."""
    return callable(value) and not isinstance(value, torch.nn.Module) and not hasattr(value, "__dataclass_fields__")


def held(trainer: Any) -> dict[str, Any]:
    """Everything that the next step depends on, and the next step's window and random numbers."""
    found = dict(walk(trainer))
    learner, step = trainer.learner, trainer.run_state.step
    window = learner.stream.window(step % learner.stream.num_steps)
    found |= {
        "window.ids": torch.from_numpy(window.ids.copy()),
        "window.targets": torch.from_numpy(window.targets.copy()),
    }
    seed_generators(trainer.config.seed, step=step, stream=0)
    return found | {
        "random": torch.rand(4),
        "learning rate": trainer.schedule.learning_rate(learner.optimizer.num_updates),
    }


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Paths at which two of them differ."""
    names = first.keys() ^ second.keys()
    for name in first.keys() & second.keys():
        a, b = first[name], second[name]
        is_equal = torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b
        if type(a) is not type(b) or not is_equal:
            names.add(name)
    return sorted(names)


class Held(BaseException):
    """Ends a run when its state was taken."""


@pytest.fixture
def state_at(monkeypatch):
    """Train until the step and return what the trainer holds before it; the run ends there, as if it were killed."""
    trainers = []
    start, step = loop._Trainer._steps, Learner.step

    def remember(self, *arguments):
        trainers.append(self)
        return start(self, *arguments)

    def run(config, number):
        def stop_at(self, at, **options):
            if at == number:
                raise Held
            return step(self, at, **options)

        monkeypatch.setattr(loop._Trainer, "_steps", remember)
        monkeypatch.setattr(Learner, "step", stop_at)
        with pytest.raises(Held):
            loop.train(config)
        return held(trainers[-1])

    return run


@pytest.fixture(params=["fp32", "fp16", "SGD"])
def kind(request, config):
    """A run that saves before the step, and not right after a log line."""
    changes = {"optim": "SGD"} if request.param == "SGD" else {"precision": request.param}
    return replace(config, save_every="7", log_interval=4, **changes)


def test_everything_that_the_next_step_depends_on_is_restored(kind, state_at):
    whole = state_at(kind, STEP)
    resumed = state_at(kind, STEP)
    assert resumed[".run_state.step"] == STEP
    assert differences(whole, resumed) == []
    compared = " ".join(whole)
    wanted = ["_masters", "hidden", "_losses", "loss_scale.value", "good_steps", "num_updates", "interval_steps"]
    wanted += ["exp_avg_sq"] if kind.optim == "Adam" else []
    assert [name for name in wanted if name not in compared] == []


def test_what_was_not_restored_is_found(config, state_at, monkeypatch):
    """Planted faults: each state in turn is left out of the resumed run."""
    config = replace(config, save_every="7", precision="bf16")
    whole = state_at(config, STEP)
    load = Optimizer.load

    def without(*names):
        def load_less(self, weights, state):
            kept = self.state_dict() | {"moments": {name: part.clone() for name, part in state["moments"].items()}}
            if "exp_avg" in names:
                kept["moments"]["exp_avg"].zero_()
            load(self, weights, {name: kept[name] if name in names else part for name, part in state.items()}
                 | ({"moments": kept["moments"]} if "exp_avg" in names else {}))  # fmt: skip

        return load_less

    def rounded(self, weights, state):
        load(self, {name: part.bfloat16().float() for name, part in weights.items()}, state)

    faults = {
        "_states": (Learner, "take_hidden", lambda self, hidden: None),
        "_losses": (Learner, "start_losses", lambda self, value=0.0: None),
        "_masters": (Optimizer, "load", rounded),
        "exp_avg": (Optimizer, "load", without("exp_avg")),
        "learning rate": (Optimizer, "load", None),
    }
    for found, (owner, name, fault) in faults.items():
        with monkeypatch.context() as patch:
            if fault is None:

                def forgetful(self, weights, state):
                    load(self, weights, state)
                    self.num_updates = 0

                fault = forgetful
            patch.setattr(owner, name, fault)
            assert any(found in path for path in differences(whole, state_at(config, STEP))), found
