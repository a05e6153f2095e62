"""`sentneuron export`: a model in another layout."""

from pathlib import Path
from typing import Annotated

import typer

from sentneuron.commands.options import Config, Debug, Json, Quiet, Verbose, option
from sentneuron.core.config import ExportConfig, Layout


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file or folder, of any layout that is known.")],
    format: Annotated[
        Layout, option("--format", help="Layout to write; safetensors and sentneuron hold all of a model.")
    ],
    config: Config = None,
    output: Annotated[
        Path | None,
        option(
            "--output", "-o", metavar="PATH", help="File to write, for openai a folder; default: MODEL with an ending."
        ),
    ] = ExportConfig.output,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a model in another layout."""
    from sentneuron.commands.console import Console
    from sentneuron.commands.meter import with_unit

    console = Console(quiet, verbose, json)
    settings = ExportConfig(model=model, layout=format, output=output)

    from sentneuron.core.model import exporters  # torch costs seconds to import; --help must not pay them

    report = exporters.export(settings)
    console.say(f"exported {model} to {report.output} ({with_unit(report.num_bytes, 'B')})")
    if report.left_out:
        console.say(f"left out, as the layout has no place for it: {', '.join(report.left_out)}")
    console.result(vars(report))
