"""The resume file: everything needed to go on from a step as if nothing had happened.

`RunState` is its schema, written down in one place. What changes the result is compared before a run goes on
(`run_identity`); what does not, such as how often to save, may differ. A resume file that is named may go on to another
length.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch

from sentneuron.core.config import TrainConfig
from sentneuron.core.errors import DataError, OutputError
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.checkpoint import FORMAT, VERSION, load_contents, save_contents
from sentneuron.core.model.language_model import State
from sentneuron.core.values import changed_values

FREE_TO_CHANGE = (
    "data",
    "valid",
    "test",
    "split",
    "init",
    "save",
    "save_every",
    "keep",
    "resume",
    "max_hours",
    "kernel",
    "recompute",
    "check",
    "device",
    "launch",
)
"""Settings that may differ between the parts of a run; data and `init` are compared by their fingerprints."""

LENGTH = ("epochs", "max_steps", "max_bytes")
"""Settings that may differ, too, where the resume file is named: so a run is made longer or shorter, its decay with
it."""


GLOBAL_BATCH = "num_streams"
"""Streams of all ranks together: a run keeps them, whatever the number of ranks it goes on with."""


NOT_TOLD = ("identity", "hidden", "model", "optimizer")
"""What of a run's state the other ranks are not told."""


@dataclass(kw_only=True)
class RunState:
    """Where a run stands after `step` steps.

    No generator's state is among it: what dropout draws follows from the seed, the step and the streams.
    """

    identity: dict[str, Any]
    """What must be equal for a run to go on."""
    step: int = 0
    """Steps done, skipped ones included; epoch and position follow from it."""
    hidden: State
    """Hidden state of the streams of all ranks."""
    model: dict[str, torch.Tensor]
    """Parameters in fp32: the master weights of a run in half precision."""
    optimizer: dict[str, Any]
    """Adam's moments and step, the loss scale, updates so far."""
    interval_loss: float = 0.0
    """Sum of the steps' losses since the last log line, in nats; the mean over ranks."""
    interval_steps: int = 0
    """Steps in that sum."""
    bits_per_byte: float | None = None
    """The last log line's; a model file tells it."""
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


def run_identity(config: TrainConfig, fingerprints: dict[str, str], *, num_streams: int) -> dict[str, Any]:
    """Return the settings and data that decide a run's result, as plain values; `num_streams` is the global batch."""
    settings = asdict(config)
    model = settings.pop("model")
    kept = {name: value for name, value in settings.items() if name not in FREE_TO_CHANGE}
    return kept | {GLOBAL_BATCH: num_streams} | model | fingerprints


def resume_path(save: Path) -> Path:
    """Return where the resume file of a model file lies: `model.resume.pt` beside `model.pt`."""
    return save.with_suffix(".resume.pt")


def resumed_path(config: TrainConfig) -> Path:
    """Return the resume file that a run goes on with, where there is one."""
    return resume_path(config.save) if config.resume == "auto" else Path(config.resume)


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
        run = RunState(**contents["state"])
    except (KeyError, TypeError) as error:
        raise unusable(path, "it is no resume file") from error
    wrong = [name for name, kind in get_type_hints(RunState).items() if not _is_a(getattr(run, name), kind)]
    if wrong:
        raise unusable(path, f"its {wrong[0]} is not what a run has")
    num_streams = run.identity.get(GLOBAL_BATCH)
    if run.step < 0 or type(num_streams) is not int or num_streams < 1:
        raise unusable(path, f"step {run.step} of {num_streams} streams")
    return run


def unusable(path: Path, reason: str) -> DataError:
    """Return the error for a resume file that is sound, but cannot be gone on with."""
    return DataError(f"{path} cannot be gone on with: {reason}", hint="start over with --resume never")


def _is_a(value: object, kind: Any) -> bool:
    """Tell whether a value is of a type as `RunState` writes it; lengths of tuples are not looked at."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_is_a(value, part) for part in parts)
    if origin is dict and isinstance(value, dict):
        return all(_is_a(key, parts[0]) and _is_a(item, parts[1]) for key, item in value.items())
    if origin in (list, tuple) and isinstance(value, origin):
        return all(_is_a(item, parts[0]) for item in value)
    if kind in (int, float):  # a bool is an int to Python
        return type(value) is kind
    return kind is Any or (origin is None and isinstance(value, kind))


def find_run(config: TrainConfig, identity: dict[str, Any]) -> RunState | None:
    """Return the run to go on with, or None to start from the beginning.

    Raises:
        OutputError: the files here belong to another run; names the difference.
        DataError, InputNotFoundError: the resume file asked for cannot be used.
    """
    if config.resume == "never":
        return None
    path = resumed_path(config)
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
    identity = identity | {GLOBAL_BATCH: run.identity.get(GLOBAL_BATCH)}
    changed = changed_values(run.identity, identity)
    if changed:
        raise OutputError(
            f"{path} belongs to another run ({'; '.join(changed)})",
            hint="use the same settings, name another --save, or start over with --resume never",
        )
    return run


def agree_on_run(config: TrainConfig, fingerprints: dict[str, str], ranks: Ranks) -> tuple[RunState, bool]:
    """Return the run to go on with, or a new one, and whether it goes on; all ranks call this together.

    Rank 0 reads the file, and alone has what it holds of tensors; the others are told the rest.

    Raises:
        OutputError, DataError, InputNotFoundError: on rank 0, as `find_run`.
        LostRankError: another rank is gone.
    """
    num_streams = config.batch_size * config.accumulate * ranks.size
    identity = run_identity(config, fingerprints, num_streams=num_streams)
    found = find_run(config, identity) if ranks.is_first else None
    run = found or RunState(identity=identity, hidden=[], model={}, optimizer={})
    plain = {item.name: getattr(run, item.name) for item in fields(run) if item.name not in NOT_TOLD}
    told = ranks.share({"found": found is not None, GLOBAL_BATCH: run.identity[GLOBAL_BATCH], "plain": plain})
    run.identity[GLOBAL_BATCH] = told[GLOBAL_BATCH]
    for name, value in told["plain"].items():
        setattr(run, name, value)
    return run, told["found"]
