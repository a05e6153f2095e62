"""Turn reviews into shards: `write_shards`.

Two passes over several processes. The first cuts the input into blocks, and turns each into a spill of clean documents
by hash; the second sorts and writes one shard at a time. A document's shard and its place in it depend on its text, its
label and the seed only, so neither the order of files and lines nor blocks nor workers show in the shards, and equal
texts share a shard and never stand in two splits. Nothing is visible before all of it is on disk.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sentneuron.core.config import ShardConfig
from sentneuron.core.data.blocks import SourceColumns
from sentneuron.core.data.destination import open_destination
from sentneuron.core.data.inputs import expand_inputs
from sentneuron.core.data.manifest import write_manifest
from sentneuron.core.data.merging import merge_all
from sentneuron.core.data.pool import open_pool
from sentneuron.core.data.rejects import Rejects
from sentneuron.core.data.shard_folder import REJECTS, default_output, stored_settings
from sentneuron.core.data.spilling import FirstPass, Spiller
from sentneuron.core.data.splits import describe_empty, shard_paths, split_shards, sum_splits
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, StorageError

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class ShardReport:
    """What `write_shards` did; `num_read` = `num_kept` + `num_duplicates` + all of `skipped`."""

    folder: str
    num_read: int
    num_kept: int
    num_duplicates: int
    skipped: dict[str, int]
    bytes_in: int
    """As stored, compressed or not."""
    bytes_out: int
    """Of clean text."""
    bytes_on_disk: int
    """Of all shard files."""
    seconds: float
    splits: dict[str, dict[str, int]]
    """By split: shards, documents, bytes."""
    warnings: list[str]
    """One for each split that was asked for and is empty."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def write_shards(
    config: ShardConfig,
    *,
    sources: Sequence[str] | None = None,
    progress: Progress = lambda done, total: None,
    on_source: Callable[[SourceColumns], None] = lambda columns: None,
) -> ShardReport:
    """Write a shard folder from `sources`, or from what `config.inputs` stands for.

    `progress` counts bytes of input, then starts again at 0 for the bytes of text written, and again for those uploaded
    where the output is in a bucket. `on_source` is told the columns of each source as it is opened.

    Raises:
        UsageError: the split does not fit the shards, or the output has no name.
        InputNotFoundError: an input does not exist.
        DataError: no usable documents, no text column, or more malformed records than allowed.
        OutputError: the folder exists with other content, cannot be made, or is being written by another run.
        StorageError: the disk is full or will be, or a worker was killed.
    """
    started = time.monotonic()
    counts = split_shards(config.shards, config.split)
    output = str(config.output or default_output(config.inputs))
    # Sorted, so that the order given does not show in the manifest either.
    names = sorted(expand_inputs(config.inputs) if sources is None else sources)
    rule = TextRule(keep_unicode=config.keep_unicode)
    settings = stored_settings(config, names)

    destination = open_destination(output, settings, force=config.force, progress=progress)
    with destination as folder, open_pool(config.workers) as pool:
        spills = folder / "spill"
        with open(folder / REJECTS, "w", encoding="utf-8") as file:
            rejects = Rejects(file, fail=config.on_error == "fail")
            spiller = Spiller(spills, rule, config.shards, config.seed)
            spilled = FirstPass(names, config.read, spiller, rejects, progress, on_source).run(pool)
        num_read = sum(source["records"] for source in spilled.sources)
        rejects.check(num_read, max_bad=config.max_bad)
        if spilled.num_documents == 0:
            accounts = f"{num_read:,} records were read, {rejects.num_skipped:,} skipped"
            hint = "check the file, --text-key and --format"
            raise DataError(f"no documents in {', '.join(names)}: {accounts}", hint=hint)
        files, num_duplicates = merge_all(
            pool,
            list(shard_paths(counts)),
            spills=spills,
            num_spills=spilled.num_spills,
            num_bytes=spilled.num_bytes,
            folder=folder,
            dedup=config.dedup,
            progress=progress,
        )
        shutil.rmtree(spills)
        num_kept = sum(file["documents"] for file in files)
        if num_read != num_kept + num_duplicates + rejects.num_skipped:
            accounts = f"{num_kept:,} written, {num_duplicates:,} duplicates, {rejects.num_skipped:,} skipped"
            raise StorageError(f"{output}: of {num_read:,} records {accounts}", hint="check the disk and run again")
        splits = sum_splits(files, counts)
        records = {"read": num_read, "kept": num_kept, "duplicates": num_duplicates, "skipped": rejects.summary()}
        content = {
            "text": rule.to_dict(),
            "text_made_with": rule.made_with(),
            "settings": settings,
            "records": records,
            "splits": splits,
        }
        write_manifest(folder, {**content, "sources": spilled.sources, "files": files})

    return ShardReport(
        folder=output,
        num_read=num_read,
        num_kept=num_kept,
        num_duplicates=num_duplicates,
        skipped=dict(sorted(rejects.counts.items())),
        bytes_in=sum(source["bytes"] for source in spilled.sources),
        bytes_out=sum(file["bytes"] for file in files),
        bytes_on_disk=sum(file["file_bytes"] for file in files),
        seconds=time.monotonic() - started,
        splits=splits,
        warnings=describe_empty(splits),
    )
