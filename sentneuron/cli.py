"""The `sentneuron` command: one registration a command, and `main`, which turns errors into one line and an exit code.

Imports nothing heavy, so that `--help` and completion answer at once.
"""

import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, TextIO

import typer

from sentneuron import __version__
from sentneuron.commands.classify import classify
from sentneuron.commands.export import export
from sentneuron.commands.generate import generate
from sentneuron.commands.info import info
from sentneuron.commands.shard import shard
from sentneuron.commands.train import train
from sentneuron.commands.transfer import transfer
from sentneuron.core.errors import InterruptedRunError, LostRankError, SentneuronError, StoppedError
from sentneuron.core.launch import status
from sentneuron.core.printable import printable

OLD_NAMES = {"load-model": "model", "num-shards": "shards", "visualize": "heatmap"}
"""Options that had another name in the predecessor; its underscores are taken for hyphens before this is looked up."""

MAKE_ROOM = "make room, or work on less at a time: --workers 1, a smaller --batch-size or --nhid, fewer samples"


def current_name(name: str) -> str:
    """Return what an option is called today: `batch_size` is `batch-size`, `load_model` is `model`."""
    name = name.replace("_", "-")
    return OLD_NAMES.get(name, name)


app = typer.Typer(
    name="sentneuron",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "SENTNEURON",
        "token_normalize_func": current_name,
    },
)


def show_version(value: bool) -> None:
    """Print the version and end."""
    if value:
        typer.echo(f"sentneuron {__version__}")
        raise typer.Exit()


@app.callback(epilog="An option can also come from SENTNEURON_<COMMAND>_<OPTION>, or from a file: --config FILE.toml.")
def sentneuron(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=show_version, show_envvar=False, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Learn sentiment from the raw bytes of reviews: shard, train, transfer, classify, generate."""


app.command()(shard)
app.command()(train)
app.command()(transfer)
app.command()(classify)
app.command()(generate)
app.command()(info)
app.command()(export)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; whatever goes wrong ends in one line on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    escape_unwritable(sys.stdout)
    told = {"json": "--json" in words, "debug": "--debug" in words, "words": words}  # options add to the first two
    try:
        code = app(words or ["--help"], prog_name="sentneuron", standalone_mode=False, obj=told)
        sys.stdout.flush()
    except SentneuronError as error:
        return fail(error.message, error.hint, error.exit_code, told)
    except typer.TyperException as error:
        return fail(error.format_message().rstrip("."), f"see '{help_command(words)}'", error.exit_code, told)
    except (typer.Abort, KeyboardInterrupt):
        return fail("interrupted", "", 130, told)
    except BrokenPipeError:
        return end_quietly()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # what Typer makes of one
            return end_quietly()
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return fail(f"{where}{error.strerror or error}", "check the file and the disk and run again", 74, told)
    except MemoryError:
        return fail("not enough memory", MAKE_ROOM, 74, told)
    except Exception as error:
        if is_out_of_memory(error):
            return fail("not enough memory", MAKE_ROOM, 74, told)
        detail = f"internal: {type(error).__name__}: {error}"
        return fail(detail, "run again with --debug and report it", 1, told)
    if code == 130:  # what Typer makes of Ctrl-C
        return fail("interrupted", "", 130, told)
    return code if isinstance(code, int) else 0


def fail(message: str, hint: str, code: int, told: dict[str, Any]) -> int:
    """Show the error being handled, with its traceback under `--debug`, and return the exit code.

    A process among several leaves it to its launcher to show the error; without one of ours, those that are not the
    first say which they are, and nothing about a stop, which all have.
    """
    error, rank = sys.exception(), told.get("rank", 0)
    is_lost = isinstance(error, LostRankError)
    if told["debug"]:
        sys.stderr.write(printable(traceback.format_exc()))
    if status.tell(os.environ, code, message=message, hint=hint, is_lost=is_lost):
        return code
    if rank and isinstance(error, StoppedError | InterruptedRunError):
        return code
    if rank and not is_lost:  # which names it itself
        message = f"rank {rank}: {message}"

    from sentneuron.commands.console import Console  # Rich costs a tenth of a second to import; --help must not pay it

    Console(json=told["json"]).error(message, hint=hint)
    return code


def escape_unwritable(stream: TextIO) -> None:
    """Let a character that the terminal's encoding lacks be written as its escape, as Python does on stderr."""
    if not isinstance(stream, io.TextIOWrapper):
        return
    # In the C locale Python lets the bytes of file names pass, and refuses letters.
    if stream.errors == "strict" or stream.encoding.lower() not in ("utf-8", "utf8"):
        stream.reconfigure(errors="backslashreplace")


def is_out_of_memory(error: Exception) -> bool:
    """Say whether torch found no room: on a GPU it has an error of its own, on a CPU a RuntimeError.

    By name, since torch is not imported here.
    """
    return type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator: " in str(error)


def help_command(words: Sequence[str]) -> str:
    """Return the command that shows the help for what was typed."""
    names = [command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands]
    return f"sentneuron {words[0]} --help" if words and words[0] in names else "sentneuron --help"


def end_quietly() -> int:
    """End after the reader of stdout has gone away, as `head` does; Python must not complain at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
