"""What the commands that work on several devices share: start the processes, or be one of them.

A command's engine runs inside `joined`. With --gpus it never gets there: the command is started again, with the same
words, once a device, by torch's elastic agent, and this process ends as they do. Those processes, and those that
torchrun or SLURM started, find in the environment which one they are, and connect to the others.
"""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from sentneuron.core.config import LaunchConfig
from sentneuron.core.errors import UsageError

if TYPE_CHECKING:
    import torch

    from sentneuron.commands.console import Console
    from sentneuron.core.launch.ranks import Ranks


@contextmanager
def joined(
    ctx: typer.Context,
    launch: LaunchConfig,
    *,
    device: str,
    console: "Console",
    verbose: bool = False,
    print_launch: bool = False,
) -> Iterator[tuple["Ranks", "torch.device"]]:
    """Yield this process's ranks and its device; or launch the processes, wait for them, and end.

    On ranks other than the first the console falls silent. `verbose` lets torch's launcher log; `print_launch` prints
    the torchrun line instead.

    Raises:
        UsageError: the options, the environment and this machine do not fit together.
        LostRankError: the processes did not find each other, or one was lost.
        SentneuronError: launched processes failed, with the exit code of the most telling one.
    """
    from sentneuron.core.launch.cluster import find_place, is_slurm_task
    from sentneuron.core.launch.devices import device_of

    place = find_place(os.environ)
    if place is None:
        _launch(ctx, launch, device, console, verbose=verbose, print_launch=print_launch)
        name = device
    else:
        if place.rank:
            console.mute()
            ctx.obj |= {"json": False, "rank": place.rank}
        name = device_of(place, gpus=launch.gpus, device=device, is_bound=is_slurm_task(os.environ))

    import torch  # torch costs seconds to import; --help and --print-launch must not pay them

    from sentneuron.core.launch.ranks import Ranks
    from sentneuron.core.model.device import pick_device

    picked = pick_device(name)
    if place is not None and picked.type == "cuda":
        torch.cuda.set_device(picked)
    with Ranks.join(place, picked, timeout=launch.rank_timeout) as ranks:
        if place is not None and place.rank == 0:  # an interrupt is an error here, which removes unfinished files
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if ranks.size > 1:
            model = f" {torch.cuda.get_device_name(picked)}" if picked.type == "cuda" else ""
            for number, line in enumerate(ranks.gather_text(f"{socket.gethostname()}  {picked}{model}")):
                console.say(f"rank {number}  {line}")
        yield ranks, picked


def _launch(
    ctx: typer.Context, config: LaunchConfig, device: str, console: "Console", *, verbose: bool, print_launch: bool
) -> None:
    """Launch where that is asked for, and end; return where this process shall work alone."""
    from sentneuron.core.launch.plan import make_plan, torchrun_line

    plan = make_plan(config, device=device, environ=os.environ)
    words = ctx.obj["words"]
    if plan is None:
        if print_launch:
            raise UsageError("--print-launch without --gpus", hint="add --gpus N")
        return
    if print_launch:
        valued = {name for param in ctx.command.params if not getattr(param, "is_flag", True) for name in param.opts}
        typer.echo(torchrun_line(plan, words, gpus=config.gpus or "all", valued=valued, environ=os.environ))
        raise typer.Exit()

    from sentneuron.core.launch.launcher import launch

    number = len(plan.devices)
    console.say(f"starting {number} {'process' if number == 1 else 'processes'} on {', '.join(plan.devices)}")
    launch(plan, words, verbose=verbose or ctx.obj["debug"], announce=console.say).raise_error()
    raise typer.Exit()
