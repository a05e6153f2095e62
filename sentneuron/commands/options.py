"""The options that several commands share, and the settings file behind `--config`.

A command names its parameter as the option is called (`--text-key` is `text_key`): the environment variable and the
key in the settings file follow from it. `--config` is read before the other options are filled in.
"""

import tomllib
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from sentneuron.core.config import InputFormat, Precision
from sentneuron.core.errors import DataError, InputNotFoundError, UsageError

option = partial(typer.Option, show_envvar=False)
"""An option of a command. `--help` does not repeat for each of them what its environment variable is called."""


def load_settings(ctx: typer.Context, path: Path | None) -> Path | None:
    """Take the command's defaults from its table in the TOML file `path`.

    Raises:
        InputNotFoundError: there is no such file.
        DataError: it is not TOML.
        UsageError: a table is no command, or a key is no option of the command.
    """
    if path is None or ctx.resilient_parsing or ctx.parent is None:
        return path
    tables = read_tables(path)
    commands = ctx.parent.command.list_commands(ctx.parent)  # type: ignore[attr-defined]  # the parent is the group
    for name, table in tables.items():
        if name not in commands:
            raise UsageError(f"{path}: [{name}] is no command", hint=f"use one of {', '.join(commands)}")
        if not isinstance(table, dict):
            raise UsageError(f"{path}: {name} is not a table", hint=f"write [{name}] and its options below")
    options = {param.name: param for param in ctx.command.params}
    ctx.default_map = {}
    for key, value in tables.get(ctx.info_name or "", {}).items():
        name = key.replace("-", "_")
        if name not in options or name in ("config", "help"):
            raise UsageError(
                f"{path}: [{ctx.info_name}] {key} is no option", hint=f"see 'sentneuron {ctx.info_name} --help'"
            )
        typed = as_typed(value, several=options[name].nargs == -1)
        if "\0" in str(typed):
            raise UsageError(f"{path}: [{ctx.info_name}] {key} holds a NUL character", hint="take it out")
        ctx.default_map[name] = typed
    return path


def read_tables(path: Path) -> dict[str, Any]:
    """Read a TOML file; raises as `load_settings`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise InputNotFoundError(f"settings file {path} does not exist", hint="check the path after --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"settings file {path}: {error}", hint="mend the TOML") from None


def as_typed(value: Any, *, several: bool) -> Any:
    """Return a TOML value as it would be typed: numbers as text, a list of values parted by commas.

    `several` marks arguments that take any number of words; their lists stay lists.
    """
    if isinstance(value, list):
        words = [str(item) for item in value]
        return words if several else ",".join(words)
    return value if isinstance(value, bool) else str(value)


def remember(ctx: typer.Context, param: typer.CallbackParam, value: bool) -> bool:
    """Tell `cli.main`, through the context's object, that `--json` or `--debug` holds, wherever it was set."""
    if value and param.name and isinstance(ctx.obj, dict):
        ctx.obj[param.name] = True
    return value


Config = Annotated[
    Path | None,
    option("--config", metavar="FILE.toml", is_eager=True, callback=load_settings, help="Settings, a table a command."),
]
Quiet = Annotated[bool, option("--quiet", "-q", help="Show warnings and errors only.")]
Verbose = Annotated[bool, option("--verbose", "-v", help="Show what is decided on the way, too.")]
Json = Annotated[
    bool,
    option("--json", is_eager=True, callback=remember, help="Print the result as one JSON object on stdout."),
]
Debug = Annotated[bool, option("--debug", is_eager=True, callback=remember, help="Show the traceback of an error.")]
Device = Annotated[str, option("--device", metavar="auto|cpu|cuda|cuda:N", help="Where the model runs.")]
Gpus = Annotated[
    str | None, option("--gpus", metavar="N|all|6,7", help="One process a GPU; CPU processes with --device cpu.")
]
Weights = Annotated[
    Precision | None,
    option(
        "--precision", help="An mLSTM's weights; default: fp32. On most CPUs int8 is fastest, and changes some answers."
    ),
]
Fp16 = Annotated[bool, option("--fp16", help="An mLSTM's weights in fp16.")]
Bf16 = Annotated[bool, option("--bf16", help="An mLSTM's weights in bf16.")]
Seed = Annotated[int, option("--seed", help="Seed of everything random.")]
Format = Annotated[InputFormat | None, option("--format", help="Format of the input; default: found by content.")]
Encoding = Annotated[str, option("--encoding", help="Encoding of the input.")]
TextKey = Annotated[str, option("--text-key", help="Column with the text.")]
LabelKey = Annotated[str, option("--label-key", help="Column with the label; several are parted by commas.")]
