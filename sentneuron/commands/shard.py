"""`sentneuron shard`: reviews in, a shard folder out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sentneuron.commands.meter import with_unit
from sentneuron.commands.options import (
    Config,
    Debug,
    Encoding,
    Format,
    Json,
    LabelKey,
    Quiet,
    Seed,
    TextKey,
    Verbose,
    option,
)
from sentneuron.commands.parsing import parse_counts
from sentneuron.core.config import ReadConfig, ShardConfig
from sentneuron.core.errors import UsageError

if TYPE_CHECKING:
    from sentneuron.commands.console import Console
    from sentneuron.core.data.blocks import SourceColumns
    from sentneuron.core.data.sharding import ShardReport


def shard(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Files, folders, globs, or - for stdin.")],
    output: Annotated[
        str | None,
        option("--output", "-o", help="Folder to make; default: the input's name with .shards, here."),
    ] = None,
    shards: Annotated[int, option(help="Shards in all splits together.")] = ShardConfig.shards,
    split: Annotated[str, option(help="Proportions of train, valid and test.")] = ",".join(map(str, ShardConfig.split)),
    text_key: TextKey = ReadConfig.text_key,
    label_key: LabelKey = ReadConfig.label_key,
    format: Format = ReadConfig.format,
    encoding: Encoding = ReadConfig.encoding,
    keep_unicode: Annotated[
        bool, option("--keep-unicode", help="Leave UTF-8 as it is instead of turning it into ASCII.")
    ] = ShardConfig.keep_unicode,
    dedup: Annotated[bool, option("--dedup", help="Keep one of exactly equal texts.")] = ShardConfig.dedup,
    on_error: Annotated[
        Literal["skip", "fail"], option(help="What to do with a record that cannot be read.")
    ] = ShardConfig.on_error,
    max_bad: Annotated[
        str, option(help="Largest share of malformed records, as 1% or 0.01.")
    ] = f"{ShardConfig.max_bad:.0%}",
    workers: Annotated[
        int | None, option(help="Processes; default: as many as there are cores, at most 8.")
    ] = ShardConfig.workers,
    seed: Seed = ShardConfig.seed,
    force: Annotated[
        bool, option("--force", help="Replace a shard folder made with other settings.")
    ] = ShardConfig.force,
    config: Config = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Turn reviews into a folder of shards to train on."""
    from sentneuron.commands.console import Console

    console = Console(quiet=quiet, verbose=verbose, json=json)
    settings = ShardConfig(
        inputs=tuple(inputs),
        output=output,
        shards=shards,
        split=parse_counts("--split", split),
        read=ReadConfig(format=format, encoding=encoding, text_key=text_key, label_key=label_key),
        keep_unicode=keep_unicode,
        dedup=dedup,
        on_error=on_error,
        max_bad=parse_share(max_bad),
        workers=workers,
        seed=seed,
        force=force,
    )

    from sentneuron.core.data.shard_folder import default_output
    from sentneuron.core.data.sharding import write_shards

    announce = Announcer(console, output or str(default_output(settings.inputs)))
    with show_passes(console) as progress:
        report = write_shards(settings, progress=progress, on_source=announce)
    show_report(console, report)
    console.result(report.to_dict())


def parse_share(text: str) -> float:
    """Read `1%` or `0.01`.

    Raises:
        UsageError: it is neither.
    """
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise UsageError(f"--max-bad is {text!r}", hint="give a share, as in 1% or 0.01") from None


class Announcer:
    """Says what is read, where it goes, and which columns are taken; again only where a later source differs."""

    def __init__(self, console: "Console", output: str) -> None:
        self._console = console
        self._output = output
        self._last: tuple[str, list[str]] | None = None

    def __call__(self, source: "SourceColumns") -> None:
        taken = (source.text_key, source.label_keys)
        if taken != self._last:
            goes_to = f" -> {self._output}" if self._last is None else ""
            self._console.say(f"{source.choice}{goes_to}")
        self._last = taken


@contextmanager
def show_passes(console: "Console") -> Iterator[Callable[[int, int | None], None]]:
    """Give a progress callback that shows reading and, each time the amount falls back, writing and uploading."""
    with ExitStack() as stack:
        update = stack.enter_context(console.progress("reading"))
        labels = iter(("writing", "uploading"))
        last = 0

        def show(done: int, total: int | None) -> None:
            nonlocal update, last
            if done < last:
                stack.close()
                update = stack.enter_context(console.progress(next(labels)))
            last = done
            update(done, total)

        yield show


def show_report(console: "Console", report: "ShardReport") -> None:
    """Print the closing table and the warnings."""
    rows: list[tuple[str, str]] = [("documents read", f"{report.num_read:,}"), ("kept", f"{report.num_kept:,}")]
    if report.num_duplicates:
        rows.append(("duplicates", f"{report.num_duplicates:,}"))
    rows += [(f"skipped: {reason}", f"{count:,}") for reason, count in report.skipped.items()]
    for name, part in report.splits.items():
        if part["shards"]:
            shards = "1 shard" if part["shards"] == 1 else f"{part['shards']:,} shards"
            rows.append((name, f"{part['documents']:,} documents in {shards}"))
    rate = report.bytes_in / max(report.seconds, 1e-9)
    rows += [
        ("bytes in", with_unit(report.bytes_in, "B")),
        ("bytes out", f"{with_unit(report.bytes_out, 'B')} of text, {with_unit(report.bytes_on_disk, 'B')} on disk"),
        ("MB/s", f"{rate / 1e6:.1f}"),
    ]
    console.table(report.folder, rows)
    for warning in report.warnings:
        console.warn(warning)
