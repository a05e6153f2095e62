"""`sentneuron transfer`: a language model and labelled texts in, a classifier out."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from sentneuron.commands.launching import joined
from sentneuron.commands.options import (
    Bf16,
    Config,
    Debug,
    Device,
    Encoding,
    Format,
    Fp16,
    Gpus,
    Json,
    LabelKey,
    Quiet,
    Seed,
    TextKey,
    Verbose,
    option,
)
from sentneuron.commands.parsing import parse_precision
from sentneuron.commands.score_tables import LABEL_HEADER, label_rows, summary_rows
from sentneuron.core.config import FinetuneConfig, LaunchConfig, Pooling, ReadConfig, TransferConfig
from sentneuron.core.errors import UsageError
from sentneuron.core.report.page import best_part


def transfer(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="Model to take features from; default: model.pt here, else the pretrained."
        ),
    ] = TransferConfig.model,
    config: Config = None,
    data: Annotated[
        str, option(help="sst, imdb, a folder with train, val and test files, or one labelled file.")
    ] = TransferConfig.data,
    train: Annotated[str | None, option(help="Training file; instead of --data.")] = TransferConfig.train,
    valid: Annotated[str | None, option(help="Validation file.")] = TransferConfig.valid,
    test: Annotated[str | None, option(help="Test file.")] = TransferConfig.test,
    folds: Annotated[
        int | None, option(help="Cross-validate one file in this many parts; default: split it 8/1/1.")
    ] = TransferConfig.folds,
    neurons: Annotated[int, option(help="Neurons of the second regression.")] = TransferConfig.neurons,
    drop_neurons: Annotated[
        bool, option("--drop-neurons", help="Fit the second regression on all but these neurons.")
    ] = TransferConfig.drop_neurons,
    all_layers: Annotated[
        bool, option("--all-layers", help="Features of all layers; default: of the top layer.")
    ] = TransferConfig.all_layers,
    pooling: Annotated[
        Pooling, option(help="Features: the final cell state, its mean over the text, or the final hidden state.")
    ] = TransferConfig.pooling,
    finetune: Annotated[
        bool, option("--finetune", help="Train encoder and classifier together; their scores stand beside the frozen.")
    ] = False,
    epochs: Annotated[
        int, option(help="With --finetune: passes over the training texts at the most.")
    ] = FinetuneConfig.epochs,
    lr: Annotated[float, option(help="With --finetune: peak learning rate of the encoder.")] = FinetuneConfig.lr,
    binarize: Annotated[
        bool | None,
        option(help="Turn stars into two classes; default: where labels look like stars."),
    ] = TransferConfig.binarize,
    use_cached: Annotated[
        bool, option("--use-cached", help="Take features from the output folder where they fit.")
    ] = TransferConfig.use_cached,
    write_results: Annotated[
        Path | None, option(metavar="FILE", help="Write results.json there as well.")
    ] = TransferConfig.write_results,
    output: Annotated[
        Path | None,
        option("--output", "-o", metavar="DIR", help="Folder to write; default: MODEL_transfer here."),
    ] = TransferConfig.output,
    text_key: TextKey = ReadConfig.text_key,
    label_key: LabelKey = ReadConfig.label_key,
    format: Format = ReadConfig.format,
    encoding: Encoding = ReadConfig.encoding,
    fp16: Fp16 = False,
    bf16: Bf16 = False,
    device: Device = TransferConfig.device,
    gpus: Gpus = LaunchConfig.gpus,
    seed: Seed = TransferConfig.seed,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Fit a sentiment classifier on a language model's features."""
    from sentneuron.commands.console import Console

    console = Console(quiet, verbose, json)
    tuning = FinetuneConfig(epochs=epochs, lr=lr)
    if tuning != FinetuneConfig() and not finetune:
        raise UsageError(
            f"{'--lr' if epochs == FinetuneConfig.epochs else '--epochs'} without --finetune", hint="add it"
        )
    settings = TransferConfig(
        model=model,
        data=data,
        train=train,
        valid=valid,
        test=test,
        folds=folds,
        neurons=neurons,
        drop_neurons=drop_neurons,
        all_layers=all_layers,
        pooling=pooling,
        finetune=tuning if finetune else None,
        precision=parse_precision(fp16=fp16, bf16=bf16, default=TransferConfig.precision),
        binarize=binarize,
        use_cached=use_cached,
        write_results=write_results,
        output=output,
        read=ReadConfig(format=format, encoding=encoding, text_key=text_key, label_key=label_key),
        seed=seed,
        device=device,
        launch=LaunchConfig(gpus=gpus),
    )
    with joined(ctx, settings.launch, device=device, console=console, verbose=verbose) as (ranks, where):
        from sentneuron.core.model.locate import find_language_model
        from sentneuron.core.transfer import transfer as engine  # torch costs seconds to import; --help must not pay

        console.say(f"transferring {find_language_model(model)[1]} to {train or data}")
        with console.progress("features and fine-tuning" if finetune else "features") as update:
            report = engine.transfer(settings, ranks=ranks, device=where, progress=update, announce=console.say)
    if report is None:  # this process has computed features for another one
        return
    second = f"all but {neurons}" if drop_neurons else f"{neurons} by weight"
    columns = ["all neurons", second]
    if finetune:
        columns += [f"frozen: {name}" for name in columns]
    console.table(str(report.output), score_rows(report.results), ("", *columns))
    if report.results["multi_label"]:
        part = best_part(report.results)
        console.table(f"{part}, all neurons", label_rows(report.results["all_neurons"][part]), LABEL_HEADER)
    for reason, count in report.results["skipped"].items():
        console.say(f"left out: {count:,} {'row' if count == 1 else 'rows'}, {reason}")
    if not report.results["all_neurons"]["weights"]:
        console.warn(
            "no neuron helps to tell the classes apart: every text gets the same answer; "
            "give more texts, --pooling mean, or a model trained for longer"
        )
    console.result({"output": report.output, "files": report.files, **report.results})


def score_rows(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the table's rows: a score of each part, for the regression on all neurons and for the second one; with
    fine-tuning also for both as they were before it."""
    probes = [own[name] for own in (results, results.get("frozen", {})) for name in ("all_neurons", "neurons") if own]
    rows: list[tuple[str, ...]] = []

    def add(name: str, describe: Callable[[dict[str, Any]], str]) -> None:
        rows.append((name, *map(describe, probes)))

    if results["folds"] is not None:
        add(f"{results['folds']} folds: accuracy", describe_folds)
    for part, count in results["rows"].items():
        rows.append((f"{part}: accuracy, {count:,} texts", *(f"{probe[part]['accuracy']:.2%}" for probe in probes)))
    last = best_part(results)
    for columns in zip(*(summary_rows(probe[last]) for probe in probes), strict=True):
        rows.append((f"{last}: {columns[0][0]}", *(value for _, value in columns)))
    add("C", lambda probe: f"{probe['C']:g}")
    add("neurons used", lambda probe: f"{len(probe['weights']):,}")
    add("heaviest", lambda probe: ", ".join(str(item["neuron"]) for item in probe["weights"][:5]) or "-")
    return rows


def describe_folds(probe: dict[str, Any]) -> str:
    """Return the accuracy over folds, and its standard deviation."""
    return f"{probe['folds']['mean']:.2%} ± {probe['folds']['std']:.2%}"
