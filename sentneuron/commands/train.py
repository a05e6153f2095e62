"""`sentneuron train`: options in, one run of `core.training`, figures out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sentneuron.commands.options import Config, Debug, Device, Json, Quiet, Seed, Verbose, option
from sentneuron.core.config import Cell, Kernel, ModelConfig, PersistState, TrainConfig


def train(
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
    optim: Annotated[Literal["Adam", "SGD"], option(help="Optimizer.")] = TrainConfig.optim,
    lr: Annotated[float, option(help="Peak learning rate per 128 streams; at most 3e-3.")] = TrainConfig.lr,
    warmup: Annotated[int, option(help="Steps of linear warm-up before the decay.")] = TrainConfig.warmup,
    clip: Annotated[float, option(help="Largest norm of the gradient.")] = TrainConfig.clip,
    epochs: Annotated[int, option(help="Passes over the text.")] = TrainConfig.epochs,
    max_steps: Annotated[int | None, option(help="End after so many steps.")] = TrainConfig.max_steps,
    max_bytes: Annotated[int | None, option(help="End after so many bytes.")] = TrainConfig.max_bytes,
    max_hours: Annotated[float | None, option(help="Stop after so many hours.")] = TrainConfig.max_hours,
    batch_size: Annotated[int, option(help="Streams.")] = TrainConfig.batch_size,
    seq_length: Annotated[int, option(help="Bytes a stream a step.")] = TrainConfig.seq_length,
    persist_state: Annotated[
        PersistState, option(help="State is reset at each shard, each document, or never (always).")
    ] = TrainConfig.persist_state,
    save: Annotated[Path, option(help="Model file to write.")] = TrainConfig.save,
    save_every: Annotated[str, option(help="Time between saves (10m), or steps (500).")] = TrainConfig.save_every,
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
    device: Device = TrainConfig.device,
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
        resume=resume,
        log_interval=log_interval,
        eval_every=eval_every,
        kernel=kernel,
        recompute=recompute,
        check=check,
        seed=seed,
        device=device,
    )

    from sentneuron.core.training import loop  # torch costs seconds to import; --help must not pay them

    with console.progress("training") as update:
        report = loop.train(settings, progress=update, announce=console.say)
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


def shown(bits: float | None) -> str:
    """Format bits per byte; a dash where they were not measured."""
    return "-" if bits is None else f"{bits:.4f}"
