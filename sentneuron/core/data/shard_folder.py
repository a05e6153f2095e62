"""Where a shard folder goes, and whether what stands there may be replaced."""

from collections.abc import Callable, Sequence
from glob import has_magic
from pathlib import Path
from typing import Any

from sentneuron.core.config import ShardConfig
from sentneuron.core.data.locations import file_name, is_remote, local_path
from sentneuron.core.data.manifest import NAME, SPLITS, read_manifest
from sentneuron.core.errors import DataError, OutputError, UsageError
from sentneuron.core.values import changed_values

EXTENSIONS = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".txt", ".gz", ".bz2", ".xz", ".zst"}
REJECTS = "rejects.ndjson"


def default_output(inputs: Sequence[str]) -> Path:
    """Return the folder for a single named input: its name without extensions, with `.shards`, in the current folder.

    Raises:
        UsageError: there are several inputs, or stdin.
    """
    if len(inputs) != 1 or inputs[0] == "-" or has_magic(file_name(inputs[0])):
        raise UsageError("several inputs, or stdin, give the shard folder no name", hint="name it with -o")
    path = Path(file_name(inputs[0]) if is_remote(inputs[0]) else local_path(inputs[0]))
    if path.name in ("", ".."):
        path = path.resolve()
    while path.suffix.lower() in EXTENSIONS:
        path = path.with_suffix("")
    return Path(f"{path.name}.shards")


def stored_settings(config: ShardConfig, sources: Sequence[str]) -> dict[str, Any]:
    """Return what decides a shard folder's content, as plain values; a folder made with equal ones may be replaced."""
    return {
        "sources": list(sources),
        "format": config.read.format,
        "encoding": config.read.encoding,
        "text_key": config.read.text_key,
        "label_key": config.read.label_key,
        "keep_unicode": config.keep_unicode,
        "shards": config.shards,
        "split": list(config.split),
        "dedup": config.dedup,
        "seed": config.seed,
    }


def check_replaceable(output: Path, settings: dict[str, Any], *, force: bool) -> None:
    """Check that nothing but an empty folder, or a shard folder made with these settings, stands at `output`.

    With `force`, any shard folder may go, a damaged one too, but never a folder that holds anything else.

    Raises:
        OutputError: something else does; names what differs.
    """
    if output.name in ("", ".."):
        raise OutputError(f"{output} is no name for a new folder", hint="name one with -o")
    if not output.exists():
        return
    if not output.is_dir():
        raise OutputError(f"{output} is a file", hint="name another folder with -o")
    foreign = sorted({entry.name for entry in output.iterdir()} - {*SPLITS, NAME, REJECTS})
    if foreign:
        raise OutputError(f"{output} is not a shard folder: it holds {foreign[0]}", hint="name another with -o")
    if force or not any(output.iterdir()):
        return
    check_settings(str(output), lambda: read_manifest(output), settings)


def check_settings(output: str, read: Callable[[], dict[str, Any]], settings: dict[str, Any]) -> None:
    """Hold the manifest that `read` returns, of the folder `output`, against the settings of a new run.

    Raises:
        OutputError: it is damaged, or made with others; names what differs.
    """
    try:
        made_with = read()["settings"]
    except DataError as error:
        raise OutputError(f"{output} exists: {error.message}", hint="replace it with --force") from error
    changes = changed_values(made_with, settings)
    if changes:
        raise OutputError(
            f"{output} was made with other settings ({'; '.join(changes)})",
            hint="replace it with --force, or name another folder with -o",
        )
