"""What the environment says about the processes of a run: torchrun's variables, and SLURM's.

SLURM is joined where a job step has more tasks than nodes: one task a GPU. A step of one task, and a batch script
outside any step, are as if there were no SLURM. One task on each of several nodes is a launcher on each: see plan.py.

Source: https://docs.pytorch.org/docs/stable/elastic/run.html (environment variables),
https://slurm.schedmd.com/srun.html (output environment variables).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from sentneuron.core.errors import UsageError
from sentneuron.core.launch.place import Place

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SLURM = (
    "SLURM_JOB_ID",
    "SLURM_STEP_ID",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_STEP_NUM_NODES",
    "SLURM_STEP_NODELIST",
    "SLURM_STEP_TASKS_PER_NODE",
    "SLURM_PROCID",
    "SLURM_LOCALID",
    "SLURM_NODEID",
)
FIRST_PORT, NUM_PORTS = 20_000, 30_000


@dataclass(frozen=True, kw_only=True)
class SlurmStep:
    """A SLURM job step as one of its tasks sees it."""

    place: Place
    """Of this task."""
    node: int
    """Number of this node in the step."""
    num_nodes: int
    job: str


def find_place(environ: Mapping[str, str]) -> Place | None:
    """Return which of a run's processes this one is, or None where nothing has started it as one.

    Raises:
        UsageError: the variables are half set, or contradict each other.
    """
    if _is_torchrun(environ):
        values = _required(environ, TORCHRUN, "torchrun")
        place = Place(
            rank=_number(values, "RANK"),
            size=_number(values, "WORLD_SIZE"),
            local_rank=_number(values, "LOCAL_RANK"),
            local_size=_number(values, "LOCAL_WORLD_SIZE"),
            master_addr=values["MASTER_ADDR"],
            master_port=_number(values, "MASTER_PORT"),
        )
        _check(place, "RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE")
        return place
    step = find_slurm_step(environ)
    return step.place if step is not None and step.place.size > step.num_nodes else None


def is_slurm_task(environ: Mapping[str, str]) -> bool:
    """Tell whether a place that `find_place` returns was SLURM's to give."""
    return not _is_torchrun(environ)


def find_slurm_step(environ: Mapping[str, str]) -> SlurmStep | None:
    """Return the SLURM job step of several tasks that this process belongs to, or None.

    Raises:
        UsageError: its variables are half set, or contradict each other.
    """
    if "SLURM_STEP_ID" not in environ or environ.get("SLURM_STEP_NUM_TASKS") == "1":
        return None
    values = _required(environ, SLURM, "SLURM")
    nodes, tasks = expand_nodes(values["SLURM_STEP_NODELIST"]), expand_tasks(values["SLURM_STEP_TASKS_PER_NODE"])
    num_nodes, size = _number(values, "SLURM_STEP_NUM_NODES"), _number(values, "SLURM_STEP_NUM_TASKS")
    node, job = _number(values, "SLURM_NODEID"), _number(values, "SLURM_JOB_ID")
    if not len(nodes) == len(tasks) == num_nodes or sum(tasks) != size or node >= num_nodes:
        names = SLURM[2:6] + SLURM[8:]
        told = ", ".join(f"{name}={values[name]}" for name in names)
        raise UsageError(f"SLURM's variables contradict each other: {told}", hint="start the processes with srun")
    place = Place(
        rank=_number(values, "SLURM_PROCID"),
        size=size,
        local_rank=_number(values, "SLURM_LOCALID"),
        local_size=tasks[node],
        master_addr=nodes[0],
        master_port=FIRST_PORT + (job + 7919 * _number(values, "SLURM_STEP_ID")) % NUM_PORTS,
    )
    _check(place, "SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID and SLURM_STEP_TASKS_PER_NODE")
    return SlurmStep(place=place, node=node, num_nodes=num_nodes, job=values["SLURM_JOB_ID"])


def expand_nodes(text: str) -> list[str]:
    """Return the hosts of a SLURM node list: `n[01-03,7],g-x` is n01, n02, n03, n7, g-x.

    Raises:
        UsageError: it is not such a list.
    """
    word = r"(?:[^\[\],\s]|\[\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*\])+"
    if not re.fullmatch(rf"{word}(?:,{word})*", text):
        raise UsageError(f"SLURM_STEP_NODELIST is {text!r}", hint="start the processes with srun")
    return ["".join(parts) for item in re.findall(word, text) for parts in product(*map(_choices, _pieces(item)))]


def expand_tasks(text: str) -> list[int]:
    """Return the tasks of each node: `2(x3),1` is 2, 2, 2, 1.

    Raises:
        UsageError: it is not such a list.
    """
    item = r"(\d+)(?:\(x(\d+)\))?"
    if not re.fullmatch(rf"{item}(?:,{item})*", text):
        raise UsageError(f"SLURM_STEP_TASKS_PER_NODE is {text!r}", hint="start the processes with srun")
    return [int(tasks) for tasks, times in re.findall(item, text) for _ in range(int(times or 1))]


def _pieces(item: str) -> list[str]:
    """Part `n[1-2]-x` into `n`, `[1-2]` and `-x`."""
    return re.findall(r"\[[^\]]*\]|[^\[]+", item)


def _choices(piece: str) -> list[str]:
    """Return what a piece stands for: `[08-10]` is 08, 09, 10; other text is itself."""
    if not piece.startswith("["):
        return [piece]
    found = []
    for part in piece[1:-1].split(","):
        first, _, last = part.partition("-")
        found += [str(number).zfill(len(first)) for number in range(int(first), int(last or first) + 1)]
    return found


def _is_torchrun(environ: Mapping[str, str]) -> bool:
    """Kubeflow's PyTorchJob sets RANK and WORLD_SIZE to a pod's number and their count, beside PET_NNODES."""
    return "LOCAL_RANK" in environ or ("PET_NNODES" not in environ and ("RANK" in environ or "WORLD_SIZE" in environ))


def _required(environ: Mapping[str, str], names: tuple[str, ...], source: str) -> dict[str, str]:
    missing = [name for name in names if not environ.get(name)]
    if missing:
        found = [name for name in names if environ.get(name)]
        raise UsageError(
            f"{source}'s variables are half set: {', '.join(found)} without {', '.join(missing)}",
            hint=f"start the processes with {'srun' if source == 'SLURM' else 'torchrun'}, or unset them",
        )
    return {name: environ[name] for name in names}


def _number(values: dict[str, str], name: str) -> int:
    if not re.fullmatch(r"\d+", values[name]):
        raise UsageError(f"{name} is {values[name]!r}", hint="it must be a number: unset it, or start again")
    return int(values[name])


def _check(place: Place, names: str) -> None:
    """Refuse a place that cannot be."""
    if not (place.local_rank < place.local_size <= place.size and place.local_rank <= place.rank < place.size):
        raise UsageError(
            f"{names} contradict each other: rank {place.rank} of {place.size}, on this machine {place.local_rank} of "
            f"{place.local_size}",
            hint="unset them, or start again",
        )
