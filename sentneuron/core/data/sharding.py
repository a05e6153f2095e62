"""Turn reviews into shards: `write_shards`.

Two passes. The first streams records through the text rule into spill files by hash; the second sorts and writes one
shard at a time. A document's shard and its place in it depend on its text, its label and the seed only, so the order of
files and lines does not show in the shards, and equal texts share a shard and never stand in two splits. Nothing is
visible before all of it is on disk.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sentneuron.core.config import ReadConfig, ShardConfig
from sentneuron.core.data.building import atomic_folder
from sentneuron.core.data.columns import choose_label_keys, choose_text_key
from sentneuron.core.data.fields import label_of, text_of
from sentneuron.core.data.manifest import write_manifest
from sentneuron.core.data.readers import BadRow, Row, expand_inputs, open_source
from sentneuron.core.data.rejects import EMPTY, Rejects
from sentneuron.core.data.shard_file import write_shard
from sentneuron.core.data.shard_folder import REJECTS, check_replaceable, default_output, stored_settings
from sentneuron.core.data.spills import Spills
from sentneuron.core.data.splits import describe_empty, shard_paths, split_shards, sum_splits
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, StorageError

Progress = Callable[[int, int | None], None]
RECORDS_BETWEEN_PROGRESS = 256


@dataclass(frozen=True, kw_only=True)
class SourceColumns:
    """The columns taken from one source, on its way to `output`."""

    source: str
    output: Path
    text_key: str
    label_keys: list[str]
    columns: list[str]


@dataclass(frozen=True, kw_only=True)
class ShardReport:
    """What `write_shards` did; `num_read` = `num_kept` + `num_duplicates` + all of `skipped`."""

    folder: Path
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
        return {**asdict(self), "folder": str(self.folder)}


def write_shards(
    config: ShardConfig,
    *,
    sources: Sequence[str] | None = None,
    progress: Progress = lambda done, total: None,
    on_source: Callable[[SourceColumns], None] = lambda columns: None,
) -> ShardReport:
    """Write a shard folder from `sources`, or from what `config.inputs` stands for.

    `progress` counts bytes of input, then starts again at 0 for the bytes of text written. `on_source` is told the
    columns of each source as it is opened.

    Raises:
        UsageError: the split does not fit the shards, or the output has no name.
        InputNotFoundError: an input does not exist.
        DataError: no usable documents, no text column, or more malformed records than allowed.
        OutputError: the folder exists with other content, cannot be made, or is being written by another run.
        StorageError: the disk is full.
    """
    started = time.monotonic()
    counts = split_shards(config.shards, config.split)
    output = config.output or default_output(config.inputs)
    # Sorted, so that the order given does not show in the manifest either.
    names = sorted(expand_inputs(config.inputs) if sources is None else sources)
    rule = TextRule(keep_unicode=config.keep_unicode)
    settings = stored_settings(config, names)
    check_replaceable(output, settings, force=config.force)

    with atomic_folder(output) as folder:
        spills = Spills(folder / "spill", num_shards=config.shards, seed=config.seed, dedup=config.dedup)
        with open(folder / REJECTS, "w", encoding="utf-8") as file:
            rejects = Rejects(file, fail=config.on_error == "fail")
            reader = Reader(config.read, output, rule, spills, rejects, progress, on_source)
            used = reader.read_all(names)
        num_read = sum(source["records"] for source in used)
        rejects.check(num_read, max_bad=config.max_bad)
        if spills.num_documents == 0:
            accounts = f"{num_read:,} records were read, {rejects.num_skipped:,} skipped"
            hint = "check the file, --text-key and --format"
            raise DataError(f"no documents in {', '.join(names)}: {accounts}", hint=hint)
        files = write_files(folder, spills, counts, progress=progress)
        spills.folder.rmdir()
        num_kept, num_duplicates = sum(file["documents"] for file in files), spills.num_duplicates
        if num_read != num_kept + num_duplicates + rejects.num_skipped:
            accounts = f"{num_kept:,} written, {num_duplicates:,} duplicates, {rejects.num_skipped:,} skipped"
            raise StorageError(f"{output}: of {num_read:,} records {accounts}", hint="check the disk and run again")
        splits = sum_splits(files, counts)
        records = {"read": num_read, "kept": num_kept, "duplicates": num_duplicates, "skipped": rejects.summary()}
        content = {"text": rule.to_dict(), "settings": settings, "records": records, "splits": splits}
        write_manifest(folder, {**content, "sources": used, "files": files})

    return ShardReport(
        folder=output,
        num_read=num_read,
        num_kept=num_kept,
        num_duplicates=num_duplicates,
        skipped=dict(sorted(rejects.counts.items())),
        bytes_in=sum(source["bytes"] for source in used),
        bytes_out=sum(file["bytes"] for file in files),
        bytes_on_disk=sum(file["file_bytes"] for file in files),
        seconds=time.monotonic() - started,
        splits=splits,
        warnings=describe_empty(splits),
    )


@dataclass(frozen=True)
class Reader:
    """The first pass: records to spill files and rejects."""

    read: ReadConfig
    output: Path
    rule: TextRule
    spills: Spills
    rejects: Rejects
    progress: Progress
    on_source: Callable[[SourceColumns], None]

    @cached_property
    def nothing(self) -> bytes:
        """What the rule makes of a text without content: the padding alone."""
        return self.rule.clean("")

    def read_all(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Read every source, and return the manifest's entry for each."""
        sizes = [os.path.getsize(name) if os.path.isfile(name) else None for name in names]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        used: list[dict[str, Any]] = []
        self.progress(0, total)
        for name in names:
            used.append(self.read_one(name, done=sum(source["bytes"] for source in used), total=total))
        return used

    def read_one(self, name: str, *, done: int, total: int | None) -> dict[str, Any]:
        """Read one source; `done` bytes of `total` were read before it."""
        with open_source(name, self.read) as source:
            columns = list(source.columns or [])
            text_key = choose_text_key(columns, self.read.text_key, source=source.name)
            label_keys = choose_label_keys(columns, self.read.label_key, source=source.name, required=False)
            taken = SourceColumns(
                source=source.name, output=self.output, text_key=text_key, label_keys=label_keys, columns=columns
            )
            self.on_source(taken)
            num_records = 0
            for row in source.rows():
                num_records += 1
                self.take(row, taken)
                if num_records % RECORDS_BETWEEN_PROGRESS == 0:
                    self.progress(done + source.bytes_read, total)
            self.progress(done + source.bytes_read, total)
            return {
                "name": source.name,
                "format": source.format,
                "bytes": source.bytes_read,
                "records": num_records,
                "text_key": text_key,
                "label_keys": label_keys,
            }

    def take(self, row: Row | BadRow, taken: SourceColumns) -> None:
        """Put one record among the documents or the rejects."""
        if isinstance(row, BadRow):
            self.rejects.add(row.reason, row.place)
            return
        text, reason = text_of(row.fields, taken.text_key)
        clean = self.rule.clean(text)
        if clean == self.nothing:
            self.rejects.add(reason or EMPTY, row.place)
        else:
            self.spills.add(clean, label_of(row.fields, taken.label_keys))


def write_files(folder: Path, spills: Spills, counts: dict[str, int], *, progress: Progress) -> list[dict[str, Any]]:
    """The second pass: write every shard that has documents, and return the manifest's entry for each."""
    for split, count in counts.items():
        if count:
            (folder / split).mkdir()
    files: list[dict[str, Any]] = []
    num_bytes = 0
    progress(0, spills.num_bytes)
    for shard, path in enumerate(shard_paths(counts)):
        entry = write_shard(folder / path, spills.documents(shard))
        if entry is not None:
            files.append({"path": path, **entry})
            num_bytes += entry["bytes"]
            progress(num_bytes, spills.num_bytes)
    return files
