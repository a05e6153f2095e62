"""`sentneuron classify`: texts in, the same rows out with a prediction."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentneuron.commands.launching import joined
from sentneuron.commands.options import (
    Bf16,
    Config,
    Debug,
    Device,
    Encoding,
    Fp16,
    Gpus,
    Json,
    LabelKey,
    Quiet,
    Seed,
    TextKey,
    Verbose,
    Weights,
    option,
)
from sentneuron.commands.parsing import parse_precision
from sentneuron.commands.score_tables import LABEL_HEADER, label_rows, summary_rows
from sentneuron.core.config import ClassifyConfig, LaunchConfig, OutputFormat, ReadConfig
from sentneuron.core.errors import UsageError

if TYPE_CHECKING:
    from sentneuron.core.transfer.classify import ClassifyReport


def classify(
    ctx: typer.Context,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA|-", help="File, folder, data set, or - for stdin; default: sst.")
    ] = ClassifyConfig.data,
    config: Config = None,
    text: Annotated[str | None, option(help="Classify this text; the row goes to stdout.")] = ClassifyConfig.text,
    model: Annotated[
        str | None, option(help="Classifier; default: model_transfer/classifier.pt, then the pretrained one.")
    ] = ClassifyConfig.model,
    neurons: Annotated[
        int | None, option(help="Decide by the second regression, on this many neurons.")
    ] = ClassifyConfig.neurons,
    neutral: Annotated[str | None, option(metavar="LO,HI", help="Call probabilities from LO to HI neutral.")] = None,
    output: Annotated[
        Path | None,
        option("--output", "-o", metavar="FILE", help="The one file to write; default: DATA.classified.csv here."),
    ] = ClassifyConfig.output,
    format: Annotated[
        OutputFormat | None, option("--format", help="Format of the output; default: the input's.")
    ] = ClassifyConfig.output_format,
    text_key: TextKey = ReadConfig.text_key,
    label_key: LabelKey = ReadConfig.label_key,
    encoding: Encoding = ReadConfig.encoding,
    excel_safe: Annotated[
        bool,
        option("--excel-safe", help="CSV for spreadsheets: a cell that would be a formula is led by an apostrophe."),
    ] = ClassifyConfig.excel_safe,
    precision: Weights = None,
    fp16: Fp16 = False,
    bf16: Bf16 = False,
    device: Device = ClassifyConfig.device,
    gpus: Gpus = LaunchConfig.gpus,
    seed: Seed = ClassifyConfig.seed,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Add a prediction and its probability to each text."""
    from sentneuron.commands.console import Console

    console = Console(quiet, verbose, json)
    settings = ClassifyConfig(
        data=data,
        text=text,
        model=model,
        neurons=neurons,
        neutral=None if neutral is None else parse_neutral(neutral),
        output=output,
        output_format=format,
        read=ReadConfig(encoding=encoding, text_key=text_key, label_key=label_key),
        excel_safe=excel_safe,
        precision=parse_precision(precision, fp16=fp16, bf16=bf16, default=ClassifyConfig.precision),
        seed=seed,
        device=device,
        launch=LaunchConfig(gpus=gpus),
    )
    if json and (output == Path("-") or (data == "-" and output is None)):
        raise UsageError("--json and the rows both go to stdout", hint="name a file for the rows with -o")

    with joined(ctx, settings.launch, device=device, console=console, verbose=verbose) as (ranks, where):
        from sentneuron.core.transfer import classify as engine  # torch costs seconds to import; --help must not pay

        stdout = None if json else sys.stdout.buffer
        with console.progress("classifying") as update:
            report = engine.classify(
                settings, ranks=ranks, device=where, stdout=stdout, progress=update, announce=console.say
            )
    if report is None:  # this process has computed features for another one
        return
    show(console, report)
    console.result(vars(report))


def parse_neutral(text: str) -> tuple[float, float]:
    """Read `0.4,0.6`.

    Raises:
        UsageError: it is not two numbers.
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--neutral {text}", hint="give two probabilities, as in 0.4,0.6") from None
    return low, high


def show(console: Any, report: "ClassifyReport") -> None:
    """Print the counts, and the scores where there are labels."""
    if report.result is None:
        counts = [
            (name, f"{count:,}", f"{count / report.rows:.1%}") for name, count in sorted(report.predictions.items())
        ]
        if report.without_text:
            counts.append(("(no text)", f"{report.without_text:,}", f"{report.without_text / report.rows:.1%}"))
        console.table("1 row" if report.rows == 1 else f"{report.rows:,} rows", counts, ("prediction", "rows", "share"))
    elif report.without_text:
        console.warn("the text is empty: no prediction")
    if report.scores is not None:
        scores, classes = report.scores, report.scores["classes"]
        figures = [("accuracy", f"{scores['accuracy']:.2%}"), *summary_rows(scores)]
        console.table(f"against the labels of {scores['rows']:,} rows", figures)
        if "labels" in scores:
            console.table("each label", label_rows(scores), LABEL_HEADER)
        else:
            rows = [(name, *counts) for name, counts in zip(classes, scores["confusion"], strict=True)]
            console.table("confusion", rows, ("label", *(f"called {name}" for name in classes)))
    if report.result is None:
        from sentneuron.commands.meter import with_unit

        console.say(
            f"{with_unit(report.num_bytes, 'B')} in {report.seconds:,.1f} s: {report.rows_per_second:,.1f} rows/s, "
            f"{with_unit(report.bytes_per_second, 'B')}/s"
        )
    for path in report.outputs:
        console.say(f"wrote {path}")
