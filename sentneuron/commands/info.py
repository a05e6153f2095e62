"""`sentneuron info`: one screen about a model, a run, a shard folder or data."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentneuron.commands.info_data import data_screens
from sentneuron.commands.info_screens import model_rows, run_rows, shards_rows
from sentneuron.commands.options import (
    Config,
    Debug,
    Encoding,
    Format,
    Json,
    LabelKey,
    Quiet,
    TextKey,
    Verbose,
    option,
)
from sentneuron.core.config import ReadConfig

if TYPE_CHECKING:
    from sentneuron.commands.console import Console
    from sentneuron.core.info import Info


def info(
    path: Annotated[
        str, typer.Argument(metavar="PATH|-", help="Model, resume file, shard folder, data, data set, or pretrained.")
    ],
    count: Annotated[bool, option("--count/--no-count", help="Read data to its end, to count rows and labels.")] = True,
    text_key: TextKey = ReadConfig.text_key,
    label_key: LabelKey = ReadConfig.label_key,
    format: Format = ReadConfig.format,
    encoding: Encoding = ReadConfig.encoding,
    config: Config = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a model, a shard folder or a data file holds."""
    from sentneuron.commands.console import Console

    console = Console(quiet, verbose, json)
    read = ReadConfig(format=format, encoding=encoding, text_key=text_key, label_key=label_key)

    from sentneuron.core.info import describe  # pyarrow costs half a second to import; --help must not pay it

    with console.progress("counting") as update:
        found = describe(path, read, count=count, progress=update)
    kind = type(found).__name__.removesuffix("Info").lower()
    if not json:
        show(console, kind, found)
    console.result({"what": kind, **asdict(found)})


def show(console: "Console", kind: str, found: "Info") -> None:
    """Print the screen on stdout, and what is wrong on stderr."""
    described: Any = found
    if kind == "data":
        for title, rows, columns in data_screens(described):
            console.sheet(title, rows, columns)
    elif kind == "shards":
        console.sheet(described.path, shards_rows(described))
        if described.problem is not None:
            console.warn(f"{described.problem}; run 'sentneuron shard' again")
    else:
        console.sheet(described.path, model_rows(described) if kind == "model" else run_rows(described))
