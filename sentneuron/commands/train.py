"""`sentneuron train`: options in, one run of `core.training`, figures out."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

import typer

from sentneuron.commands.launching import joined
from sentneuron.commands.options import Config, Debug, Device, Gpus, Json, Quiet, Seed, Verbose, option
from sentneuron.core.config import Cell, Kernel, LaunchConfig, ModelConfig, PersistState, TrainConfig, TrainPrecision
from sentneuron.core.errors import UsageError

ARCHITECTURE = [item.name for item in fields(ModelConfig) if item.name != "dropout"]


def train(
    ctx: typer.Context,
    data: Annotated[
        str | None, typer.Argument(help="Shard folder, text file, or imdb; default: the one *.shards folder here.")
    ] = None,
    config: Config = None,
    valid: Annotated[str | None, option(help="Data to validate on; default: the valid shards.")] = None,
    test: Annotated[str | None, option(help="Data for the figure at the end; default: the test shards.")] = None,
    split: Annotated[str, option(help="Train, valid and test shards where DATA is text.")] = ",".join(
        map(str, TrainConfig.split)
    ),
    model: Annotated[Cell, option(help="Recurrent cell.")] = ModelConfig.model,
    nhid: Annotated[int, option(help="Hidden units a layer.")] = ModelConfig.nhid,
    emsize: Annotated[int, option(help="Numbers in a byte's embedding.")] = ModelConfig.emsize,
    nlayers: Annotated[int, option(help="Recurrent layers.")] = ModelConfig.nlayers,
    dropout: Annotated[float, option(help="Share of each layer's outputs dropped.")] = ModelConfig.dropout,
    tied: Annotated[bool, option("--tied", help="Decoder shares the embedding.")] = ModelConfig.tied,
    weight_norm: Annotated[bool, option(help="Weight norm on the recurrent layers.")] = ModelConfig.weight_norm,
    init: Annotated[
        str | None, option(metavar="MODEL", help="Start from this model's weights; pretrained: the one that ships.")
    ] = TrainConfig.init,
    optim: Annotated[Literal["Adam", "SGD"], option(help="Optimizer.")] = TrainConfig.optim,
    lr: Annotated[float, option(help="Peak learning rate per 128 streams; at most 3e-3.")] = TrainConfig.lr,
    warmup: Annotated[int, option(help="Steps of linear warm-up before the decay.")] = TrainConfig.warmup,
    clip: Annotated[float, option(help="Largest norm of the gradient.")] = TrainConfig.clip,
    epochs: Annotated[int, option(help="Passes over the text.")] = TrainConfig.epochs,
    max_steps: Annotated[int | None, option(help="End after so many steps.")] = TrainConfig.max_steps,
    max_bytes: Annotated[int | None, option(help="End after so many bytes.")] = TrainConfig.max_bytes,
    max_hours: Annotated[float | None, option(help="Stop after so many hours.")] = TrainConfig.max_hours,
    batch_size: Annotated[int, option(help="Streams a GPU in one pass.")] = TrainConfig.batch_size,
    accumulate: Annotated[int, option(help="Passes a step, each on streams of its own.")] = TrainConfig.accumulate,
    seq_length: Annotated[int, option(help="Bytes a stream a step.")] = TrainConfig.seq_length,
    persist_state: Annotated[
        PersistState, option(help="State is reset at each shard, each document, or never (always).")
    ] = TrainConfig.persist_state,
    save: Annotated[Path, option(help="Model file to write.")] = TrainConfig.save,
    save_every: Annotated[str, option(help="Time between saves (10m), or steps (500).")] = TrainConfig.save_every,
    keep: Annotated[int, option(help="Resume files to keep, older ones named by their step.")] = TrainConfig.keep,
    resume: Annotated[str, option(metavar="auto|never|PATH", help="Go on, or start over.")] = TrainConfig.resume,
    log_interval: Annotated[int, option(help="Steps between log lines.")] = TrainConfig.log_interval,
    eval_every: Annotated[
        int | None, option(help="Steps between validations; default: with each save.")
    ] = TrainConfig.eval_every,
    kernel: Annotated[
        Kernel, option(help="Implementation of the recurrence; auto: fused on a GPU where Triton runs, else sequence.")
    ] = TrainConfig.kernel,
    recompute: Annotated[
        bool, option("--recompute", help="Less memory (2H numbers a byte, not 7H), a third more arithmetic.")
    ] = TrainConfig.recompute,
    check: Annotated[
        Literal["sizes", "full"], option(help="Compare shards with their manifest: sizes, or every checksum (full).")
    ] = TrainConfig.check,
    fp16: Annotated[bool, option("--fp16", help="Half precision, with fp32 master weights.")] = False,
    bf16: Annotated[bool, option("--bf16", help="bfloat16, with fp32 master weights.")] = False,
    loss_scale: Annotated[
        str, option(metavar="dynamic|X", help="What the loss is multiplied by before the fp16 backward pass.")
    ] = TrainConfig.loss_scale,
    dynamic_loss_scale: Annotated[bool, option("--dynamic-loss-scale", hidden=True)] = False,
    device: Device = TrainConfig.device,
    gpus: Gpus = LaunchConfig.gpus,
    nnodes: Annotated[str, option(metavar="N|MIN:MAX", help="Machines.")] = LaunchConfig.nnodes,
    node_rank: Annotated[
        int | None, option(help="Number of this machine, from 0; default: the rendezvous gives it.")
    ] = LaunchConfig.node_rank,
    rdzv_endpoint: Annotated[
        str | None, option(metavar="HOST:PORT", help="Where the machines meet; HOST is one of them.")
    ] = LaunchConfig.rdzv_endpoint,
    rdzv_id: Annotated[str | None, option(help="Name of the job, the same on all machines.")] = LaunchConfig.rdzv_id,
    max_restarts: Annotated[
        int, option(help="How often the processes start again after one was lost.")
    ] = LaunchConfig.max_restarts,
    rank_timeout: Annotated[
        float, option(help="Seconds that a process waits for the others.")
    ] = LaunchConfig.rank_timeout,
    print_launch: Annotated[
        bool, option("--print-launch", help="Print the equivalent torchrun line, and end.")
    ] = False,
    seed: Seed = TrainConfig.seed,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a byte-level language model, or go on with a run."""
    from sentneuron.commands.console import Console
    from sentneuron.commands.parsing import parse_counts

    console = Console(quiet, verbose, json)
    require_one_architecture(ctx, init)
    settings = TrainConfig(
        data=data,
        valid=valid,
        test=test,
        split=parse_counts("--split", split),
        model=ModelConfig(
            model=model,
            nhid=nhid,
            emsize=emsize,
            nlayers=nlayers,
            dropout=dropout,
            tied=tied,
            weight_norm=weight_norm,
        ),
        init=init,
        optim=optim,
        lr=lr,
        warmup=warmup,
        clip=clip,
        epochs=epochs,
        max_steps=max_steps,
        max_bytes=max_bytes,
        max_hours=max_hours,
        batch_size=batch_size,
        seq_length=seq_length,
        persist_state=persist_state,
        save=save,
        save_every=save_every,
        keep=keep,
        resume=resume,
        log_interval=log_interval,
        eval_every=eval_every,
        kernel=kernel,
        recompute=recompute,
        check=check,
        precision=precision_of(fp16=fp16, bf16=bf16),
        loss_scale=loss_scale_of(loss_scale, is_dynamic=dynamic_loss_scale),
        accumulate=accumulate,
        seed=seed,
        device=device,
        launch=LaunchConfig(
            gpus=gpus,
            nnodes=nnodes,
            node_rank=node_rank,
            rdzv_endpoint=rdzv_endpoint,
            rdzv_id=rdzv_id,
            max_restarts=max_restarts,
            rank_timeout=rank_timeout,
        ),
    )

    together = joined(ctx, settings.launch, device=device, console=console, verbose=verbose, print_launch=print_launch)
    with together as (ranks, where):
        from sentneuron.core.training import loop  # torch costs seconds to import; --help must not pay them

        with console.progress("training") as update:
            report = loop.train(settings, ranks=ranks, device=where, progress=update, announce=console.say)
    if not ranks.is_first:
        return
    rows = [
        ("model", str(report.save)),
        ("steps", f"{report.steps:,} ({report.epochs:.2f} epochs, {report.bytes:,} bytes)"),
        ("bits per byte, training", shown(report.bits_per_byte)),
        ("bits per byte, valid", shown(report.valid_bits_per_byte)),
        ("bits per byte, test", shown(report.test_bits_per_byte)),
        ("time", f"{report.seconds / 60:.1f} min, {report.bytes / max(report.seconds, 1e-9):,.0f} bytes/s"),
    ]
    console.table("trained", rows)
    console.result(vars(report))


def require_one_architecture(ctx: typer.Context, init: str | None) -> None:
    """Check that the architecture is not said twice in one place; `--init` overrides the environment and settings.

    Raises:
        UsageError: the run starts from a model, and an option says what it is made of.
    """
    if init is None:
        return
    said_there = {"COMMANDLINE", source_of(ctx, "init")}
    for name in ARCHITECTURE:
        if source_of(ctx, name) in said_there:
            raise UsageError(
                f"--{name.replace('_', '-')} with --init: the architecture is that of {init}", hint="leave it out"
            )


def source_of(ctx: typer.Context, name: str) -> str:
    """Return where an option's value comes from: COMMANDLINE, ENVIRONMENT, DEFAULT_MAP (a file), DEFAULT."""
    source = ctx.get_parameter_source(name)
    return "DEFAULT" if source is None else source.name


def precision_of(*, fp16: bool, bf16: bool) -> TrainPrecision:
    """Return the precision that the two flags name.

    Raises:
        UsageError: both are given.
    """
    if fp16 and bf16:
        raise UsageError("--fp16 and --bf16", hint="give one of them")
    return "fp16" if fp16 else "bf16" if bf16 else TrainConfig.precision


def loss_scale_of(loss_scale: str, *, is_dynamic: bool) -> str:
    """Return the loss scale, for which the predecessor had a flag, too.

    Raises:
        UsageError: they contradict each other.
    """
    if is_dynamic and loss_scale != "dynamic":
        raise UsageError(f"--loss-scale {loss_scale} and --dynamic-loss-scale", hint="give one of them")
    return loss_scale


def shown(bits: float | None) -> str:
    """Format bits per byte; a dash where they were not measured."""
    return "-" if bits is None else f"{bits:.4f}"
