"""`sentneuron transfer`: a language model and labelled texts in, a classifier out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentneuron.commands.launching import joined
from sentneuron.commands.options import (
    Config,
    Debug,
    Device,
    Encoding,
    Format,
    Gpus,
    Json,
    LabelKey,
    Quiet,
    Seed,
    TextKey,
    Verbose,
    option,
)
from sentneuron.core.config import LaunchConfig, Pooling, ReadConfig, TransferConfig

if TYPE_CHECKING:
    from sentneuron.core.transfer.transfer import TransferReport


def transfer(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model file to take features from.")],
    config: Config = None,
    data: Annotated[
        str, option(help="sst, imdb, a folder with train, val and test files, or one labelled file.")
    ] = TransferConfig.data,
    train: Annotated[str | None, option(help="Training file; instead of --data.")] = TransferConfig.train,
    valid: Annotated[str | None, option(help="Validation file.")] = TransferConfig.valid,
    test: Annotated[str | None, option(help="Test file.")] = TransferConfig.test,
    neurons: Annotated[int, option(help="Neurons of the second regression.")] = TransferConfig.neurons,
    pooling: Annotated[
        Pooling, option(help="Features: the final cell state, or its mean over the text.")
    ] = TransferConfig.pooling,
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
    settings = TransferConfig(
        model=model,
        data=data,
        train=train,
        valid=valid,
        test=test,
        neurons=neurons,
        pooling=pooling,
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
        console.say(f"transferring {model} to {train or data}")

        from sentneuron.core.transfer import transfer as engine  # torch costs seconds to import; --help must not pay

        with console.progress("features") as update:
            report = engine.transfer(settings, ranks=ranks, device=where, progress=update, announce=console.say)
    if report is None:  # this process has computed features for another one
        return
    console.table(str(report.output), score_rows(report), ("", "all neurons", f"{neurons} by weight"))
    for reason, count in report.results["skipped"].items():
        console.say(f"left out: {count:,} rows, {reason}")
    console.result({"output": report.output, "files": report.files, **report.results})


def score_rows(report: "TransferReport") -> list[tuple[str, str, str]]:
    """Return the table's rows: a score of each part, for the regression on all neurons and the one on the heaviest."""
    both = report.results["all_neurons"], report.results["neurons"]
    rows: list[tuple[str, str, str]] = []

    def add(name: str, describe: Any) -> None:
        rows.append((name, describe(both[0]), describe(both[1])))

    for part, count in report.results["rows"].items():
        add(f"{part}: accuracy, {count:,} texts", lambda probe, part=part: f"{probe[part]['accuracy']:.2%}")
    last = "test" if "test" in report.results["rows"] else "valid"
    add(f"{last}: F1", lambda probe: f"{probe[last]['f1']:.4f}")
    add(f"{last}: AUC", lambda probe: "-" if probe[last]["auc"] is None else f"{probe[last]['auc']:.4f}")
    add(f"{last}: commonest class", lambda probe: f"{probe[last]['majority_share']:.2%}")
    add("C", lambda probe: f"{probe['C']:g}")
    add("neurons used", lambda probe: f"{len(probe['weights']):,}")
    add("heaviest", lambda probe: ", ".join(str(item["neuron"]) for item in probe["weights"][:5]) or "-")
    return rows
