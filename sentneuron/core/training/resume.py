"""The resume file: everything needed to go on from a step as if nothing had happened.

`RunState` is its schema, written down in one place. What changes the result is compared before a run goes on
(`run_identity`); what does not, such as how often to save, may differ. A resume file that is named may go on to another
length.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from sentneuron.core.config import TrainConfig
from sentneuron.core.errors import DataError, OutputError
from sentneuron.core.model.checkpoint import FORMAT, VERSION, load_contents, save_contents
from sentneuron.core.model.language_model import LanguageModel, State
from sentneuron.core.values import changed_values

FREE_TO_CHANGE = (
    "data",
    "valid",
    "test",
    "split",
    "save",
    "save_every",
    "resume",
    "max_hours",
    "kernel",
    "recompute",
    "check",
    "device",
)
"""Settings that may differ between the parts of a run; the data are compared by their fingerprints."""

LENGTH = ("epochs", "max_steps", "max_bytes")
"""Settings that may differ, too, where the resume file is named: so a run is made longer or shorter, its decay with
it."""


@dataclass(kw_only=True)
class RunState:
    """Where a run stands after `step` steps."""

    identity: dict[str, Any]
    """What must be equal for a run to go on."""
    step: int = 0
    """Steps done, skipped ones included; epoch and position follow from it."""
    hidden: State
    """Hidden state of all streams."""
    model: dict[str, torch.Tensor]
    """Parameters."""
    optimizer: dict[str, Any]
    """Adam's moments and step."""
    rng: torch.Tensor
    """State of torch's generator, which dropout draws from."""
    cuda_rng: torch.Tensor | None = None
    """The same of the GPU's generator."""
    interval_loss: float = 0.0
    """Sum of the losses since the last log line, in nats."""
    interval_steps: int = 0
    """Steps in that sum."""
    grad_norm: float = 0.0
    """The last step's."""
    num_skipped: int = 0
    """Steps skipped in a row because loss or gradients were not finite."""
    best_valid: float | None = None
    """Lowest bits per byte on the validation shards so far."""
    seconds: float = 0.0
    """Time spent, all parts of the run together."""
    is_finished: bool = False
    """The run has reached its last step."""


def run_identity(config: TrainConfig, fingerprints: dict[str, str]) -> dict[str, Any]:
    """Return the settings and data that decide a run's result, as plain values."""
    settings = asdict(config)
    model = settings.pop("model")
    return {name: value for name, value in settings.items() if name not in FREE_TO_CHANGE} | model | fingerprints


def resume_path(save: Path) -> Path:
    """Return where the resume file of a model file lies: `model.resume.pt` beside `model.pt`."""
    return save.with_suffix(".resume.pt")


def save_run(path: Path, run: RunState) -> None:
    """Write a resume file atomically.

    Raises:
        OutputError, StorageError: it cannot be written.
    """
    state = {item.name: getattr(run, item.name) for item in fields(run)}
    save_contents(path, {"format": FORMAT, "version": VERSION, "kind": "resume", "state": state})


def load_run(path: Path) -> RunState:
    """Read a resume file.

    Raises:
        InputNotFoundError: there is none.
        DataError: it is damaged, or none of ours.
    """
    contents = load_contents(path)
    try:
        return RunState(**contents["state"])
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is no resume file", hint="start over with --resume never") from error


def find_run(config: TrainConfig, identity: dict[str, Any]) -> RunState | None:
    """Return the run to go on with, or None to start from the beginning.

    Raises:
        OutputError: the files here belong to another run; names the difference.
        DataError, InputNotFoundError: the resume file asked for cannot be used.
    """
    if config.resume == "never":
        return None
    path = resume_path(config.save) if config.resume == "auto" else Path(config.resume)
    if config.resume == "auto" and not path.exists():
        if config.save.exists():
            raise OutputError(
                f"{config.save} exists without {path}", hint="name another --save, or replace it with --resume never"
            )
        return None
    run = load_run(path)
    if config.resume != "auto":
        run.identity |= {name: identity[name] for name in LENGTH}
        run.is_finished = False
    changed = changed_values(run.identity, identity)
    if changed:
        raise OutputError(
            f"{path} belongs to another run ({'; '.join(changed)})",
            hint="use the same settings, name another --save, or start over with --resume never",
        )
    return run


def snapshot(run: RunState, model: LanguageModel, optimizer: torch.optim.Optimizer, hidden: State) -> RunState:
    """Fill in what lives outside the run's counters, and return it."""
    run.model = model.state_dict()
    run.optimizer = optimizer.state_dict()
    run.hidden = hidden
    run.rng = torch.get_rng_state()
    run.cuda_rng = torch.cuda.get_rng_state() if model.decoder.weight.is_cuda else None
    return run


def restore(run: RunState, model: LanguageModel, optimizer: torch.optim.Optimizer) -> State:
    """Put a run's parameters, moments and generators back, and return its hidden state on the model's device."""
    device = model.decoder.weight.device
    model.load_state_dict(run.model)
    optimizer.load_state_dict(run.optimizer)
    torch.set_rng_state(run.rng)
    if run.cuda_rng is not None and device.type == "cuda":
        torch.cuda.set_rng_state(run.cuda_rng)
    return [tuple(part.to(device) for part in layer) for layer in run.hidden]
