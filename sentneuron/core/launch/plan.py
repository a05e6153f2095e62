"""What a launcher starts on this machine, and where it meets those of the other machines.

One machine needs nothing but the number of processes. Several meet at an endpoint: with a number for each machine all
of them must come (torch's static rendezvous, which counts them); without, the rendezvous numbers them (c10d), and
their number may vary between a minimum and a maximum.
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import islice

from sentneuron.core.config.launching import LaunchConfig
from sentneuron.core.errors import UsageError
from sentneuron.core.launch.cluster import find_slurm_step
from sentneuron.core.launch.devices import count_gpus, local_devices, parse_gpus

DEFAULT_PORT = 29400
REPLACED = ("gpus", "nnodes", "node-rank", "rdzv-endpoint", "rdzv-id", "max-restarts", "print-launch")
"""Options that torchrun has instead."""


@dataclass(frozen=True, kw_only=True)
class LaunchPlan:
    """The processes of this machine and their rendezvous."""

    devices: list[str]
    """One a process."""
    min_nodes: int = 1
    max_nodes: int = 1
    node_rank: int | None = None
    """Number of this machine; None: the rendezvous gives it."""
    endpoint: str | None = None
    """HOST:PORT; None: one machine."""
    job: str = "sentneuron"
    """The same on all machines."""
    max_restarts: int = 0
    timeout: float = LaunchConfig.rank_timeout
    """Seconds that machines wait for each other."""

    @property
    def nodes(self) -> str:
        """How many machines, as text."""
        return f"{self.min_nodes}" if self.min_nodes == self.max_nodes else f"{self.min_nodes} to {self.max_nodes}"


def make_plan(
    config: LaunchConfig, *, device: str, environ: Mapping[str, str], count: Callable[[], int] = count_gpus
) -> LaunchPlan | None:
    """Return what to launch, or None where this process works alone.

    What was not given comes from torchrun's variables (PET_NNODES, as a Kubernetes TrainJob sets them), or from a
    SLURM step with one task on each of several nodes.

    Raises:
        UsageError: options or variables that make no sense together, or GPUs that this machine does not have.
    """
    config = _with_slurm(_with_torchrun(config, environ), environ)
    if config.gpus is None:
        _refuse(config, ("nnodes", "node_rank", "rdzv_endpoint", "rdzv_id", "max_restarts"), "--gpus", "add --gpus N")
        return None
    least, most = _parse_nodes(config.nnodes)
    if most == 1:
        _refuse(config, ("node_rank", "rdzv_endpoint", "rdzv_id"), "--nnodes", "add --nnodes 2, or leave it out")
    elif config.rdzv_endpoint is None:
        raise UsageError(
            f"--nnodes {config.nnodes} without --rdzv-endpoint", hint="name a host and port that all machines reach"
        )
    if config.node_rank is not None and (least != most or config.node_rank >= most):
        raise UsageError(
            f"--node-rank {config.node_rank} with --nnodes {config.nnodes}",
            hint="count machines from 0; a number of machines that varies has no ranks",
        )
    return LaunchPlan(
        devices=local_devices(config.gpus, device=device, count=count),
        min_nodes=least,
        max_nodes=most,
        node_rank=config.node_rank,
        endpoint=None if config.rdzv_endpoint is None else _with_port(config.rdzv_endpoint),
        job=config.rdzv_id or LaunchPlan.job,
        max_restarts=config.max_restarts,
        timeout=config.rank_timeout,
    )


def torchrun_line(
    plan: LaunchPlan, words: Sequence[str], *, gpus: str, valued: AbstractSet[str], environ: Mapping[str, str]
) -> str:
    """Return the torchrun line that starts the same processes, quoted for a shell.

    `words` are the command's own, of which those that torchrun has itself are left out; `valued` are the options,
    as `--nhid`, that take the word after them; `gpus` is the value of --gpus.
    """
    line = ["torchrun"]
    if plan.endpoint is None:
        line += ["--standalone"]
    else:
        nodes = f"{plan.min_nodes}" if plan.min_nodes == plan.max_nodes else f"{plan.min_nodes}:{plan.max_nodes}"
        line += ["--nnodes", nodes, "--rdzv-backend", "c10d" if plan.node_rank is None else "static"]
        line += ["--rdzv-endpoint", plan.endpoint, "--rdzv-id", plan.job]
    if plan.node_rank is not None:
        line += ["--node-rank", str(plan.node_rank)]
    if plan.max_restarts:
        line += ["--max-restarts", str(plan.max_restarts)]
    line += ["--nproc-per-node", str(len(plan.devices)), "-m", "sentneuron"]
    kept, had_gpus = _without_replaced(words, valued)
    numbers = parse_gpus(gpus)
    if had_gpus and isinstance(numbers, list):
        visible = environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        named = [visible[number] if number < len(visible) and visible[0] else str(number) for number in numbers]
        line.insert(0, f"CUDA_VISIBLE_DEVICES={','.join(named)}")
    return shlex.join([*line, *kept])


def _without_replaced(words: Sequence[str], valued: AbstractSet[str]) -> tuple[list[str], bool]:
    """Return the words without the options in REPLACED, and whether --gpus was one of them."""
    kept: list[str] = []
    had_gpus = False
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*kept, word, *rest], had_gpus
        name, is_joined, _ = word.partition("=")
        option = name.replace("_", "-") if name.startswith("--") else name
        taken = [word] if is_joined or option not in valued else [word, *islice(rest, 1)]
        if option in (f"--{replaced}" for replaced in REPLACED):
            had_gpus = had_gpus or option == "--gpus"
        else:
            kept += taken
    return kept, had_gpus


def _with_torchrun(config: LaunchConfig, environ: Mapping[str, str]) -> LaunchConfig:
    """Fill in what torchrun itself would take from its PET_ variables."""
    if "PET_NNODES" not in environ and "PET_NPROC_PER_NODE" not in environ:
        return config
    processes = environ.get("PET_NPROC_PER_NODE", "auto")
    gpus = config.gpus or ("all" if processes in ("auto", "gpu") else processes)
    nodes = environ.get("PET_NNODES", "1") if config.nnodes == LaunchConfig.nnodes else config.nnodes
    config = replace(config, gpus=gpus, nnodes=nodes)
    if _parse_nodes(nodes)[1] == 1:
        return config
    if config.rdzv_endpoint is None and "PET_MASTER_ADDR" in environ:
        config = replace(config, rdzv_endpoint=f"{environ['PET_MASTER_ADDR']}:{environ.get('PET_MASTER_PORT', 29500)}")
    if config.node_rank is None and environ.get("PET_NODE_RANK", "").isdecimal():
        config = replace(config, node_rank=int(environ["PET_NODE_RANK"]))
    return config


def _with_slurm(config: LaunchConfig, environ: Mapping[str, str]) -> LaunchConfig:
    """Fill in what a SLURM step with one task on each of several nodes says.

    Raises:
        UsageError: --gpus is not given; every task would do all of the work.
    """
    step = find_slurm_step(environ)
    if step is None or config.nnodes != LaunchConfig.nnodes:
        return config
    if config.gpus is None:
        raise UsageError(
            f"SLURM started one task on each of {step.num_nodes} nodes",
            hint="say how many GPUs a node has (--gpus 8), or start one task a GPU",
        )
    place = step.place
    return replace(
        config,
        nnodes=str(step.num_nodes),
        node_rank=step.node,
        rdzv_endpoint=config.rdzv_endpoint or f"{place.master_addr}:{place.master_port}",
        rdzv_id=config.rdzv_id or step.job,
    )


def _refuse(config: LaunchConfig, names: Sequence[str], without: str, hint: str) -> None:
    """Raise a UsageError for the first of these options that was given."""
    for name in names:
        value = getattr(config, name)
        if value != getattr(LaunchConfig, name):
            raise UsageError(f"--{name.replace('_', '-')} {value} without {without}", hint=hint)


def _parse_nodes(nnodes: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,6})(?::([0-9]{1,6}))?", nnodes)
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= least <= most:
        raise UsageError(f"--nnodes {nnodes}", hint="give a number of machines (2), or MIN:MAX (2:4)")
    return least, most


def _with_port(endpoint: str) -> str:
    found = re.fullmatch(r"([^:\s]+|\[[0-9a-fA-F:]+\])(?::([0-9]{1,5}))?", endpoint)
    if found is None or not 0 < int(found[2] or DEFAULT_PORT) < 65536:
        raise UsageError(f"--rdzv-endpoint {endpoint}", hint="give HOST:PORT")
    return f"{found[1]}:{found[2] or DEFAULT_PORT}"
