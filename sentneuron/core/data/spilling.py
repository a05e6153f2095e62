"""The first pass of sharding: sources cut into blocks, each block parsed, cleaned and spilled by one worker."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sentneuron.core.config import ReadConfig
from sentneuron.core.data.blocks import BLOCK_BYTES, Block, SourceColumns, cut_blocks
from sentneuron.core.data.building import check_space
from sentneuron.core.data.choice import choose_columns
from sentneuron.core.data.inputs import input_size
from sentneuron.core.data.parsing import Reject, parse_block
from sentneuron.core.data.pool import Pool
from sentneuron.core.data.readers import open_source
from sentneuron.core.data.records import Place
from sentneuron.core.data.rejects import Rejects
from sentneuron.core.data.spills import spill_path, write_spill
from sentneuron.core.data.text import TextRule

Progress = Callable[[int, int | None], None]
OnSource = Callable[[SourceColumns], None]

DISK_FACTOR = 1.6
"""Disk needed at the most, in terms of the spills: they stand until the last shard, of about half their size, does."""


class Job(NamedTuple):
    """A block on its way to a worker."""

    number: int
    source: int
    bytes_read: int
    """Of all input, when the block was cut."""
    block: Block


class Outcome(NamedTuple):
    """What a worker made of a block."""

    source: int
    bytes_read: int
    num_documents: int
    num_bytes: int
    """Of clean text."""
    spill_bytes: int
    rejects: list[Reject]


@dataclass(frozen=True)
class Spiller:
    """The worker's part: everything that it needs beside the block."""

    folder: Path
    rule: TextRule
    num_shards: int
    seed: int

    def __call__(self, job: Job) -> Outcome:
        """Write the spill of one block."""
        texts, labels, rejects = parse_block(job.block, self.rule)
        path = spill_path(self.folder, job.number)
        write_spill(path, texts, labels, num_shards=self.num_shards, seed=self.seed)
        num_bytes = sum(map(len, texts))
        return Outcome(job.source, job.bytes_read, len(texts), num_bytes, path.stat().st_size, rejects)


@dataclass
class Spilled:
    """All spills of a run."""

    num_spills: int = 0
    num_documents: int = 0
    num_bytes: int = 0
    """Of clean text."""
    sources: list[dict[str, Any]] = field(default_factory=list)
    """The manifest's entries."""


@dataclass
class FirstPass:
    """Reads `names` and spills them with `spiller`."""

    names: Sequence[str]
    read: ReadConfig
    spiller: Spiller
    rejects: Rejects
    progress: Progress
    on_source: OnSource

    def run(self, pool: Pool) -> Spilled:
        """Spill every source.

        Raises:
            SentneuronError: a source cannot be read, too little disk, or `rejects` had enough.
        """
        self.spiller.folder.mkdir()
        sizes = [input_size(name) for name in self.names]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        spilled = Spilled()
        self.progress(0, total)
        # A little is done sooner than a process starts.
        is_little = total is not None and total < 2 * BLOCK_BYTES
        jobs = self.jobs(spilled, by_reference=pool.workers > 1 and not is_little)
        for outcome in (map if is_little else pool.map)(self.spiller, jobs):
            source = spilled.sources[outcome.source]
            for reason, line, offset in outcome.rejects:
                self.rejects.add(reason, Place(source["name"], line, offset))
            source["records"] += outcome.num_documents + len(outcome.rejects)
            spilled.num_documents += outcome.num_documents
            spilled.num_bytes += outcome.num_bytes
            spilled.num_spills += 1
            if spilled.num_spills == 1 and total is not None:
                # Known only now: how much text there is in a byte of these files.
                share = outcome.spill_bytes / max(outcome.bytes_read, 1)
                check_space(self.spiller.folder, int(share * total * DISK_FACTOR))
            self.progress(outcome.bytes_read, total)
        return spilled

    def jobs(self, spilled: Spilled, *, by_reference: bool) -> Iterator[Job]:
        """Cut all sources, and note each in `spilled.sources`."""
        number = done = 0
        for index, name in enumerate(self.names):
            with open_source(name, self.read) as source:
                text_key, label_keys, choice = choose_columns(source.name, source.columns or [], self.read)
                taken = SourceColumns(source=source.name, text_key=text_key, label_keys=label_keys, choice=choice)
                self.on_source(taken)
                entry: dict[str, Any] = {"name": source.name, "format": source.format, "bytes": 0, "records": 0}
                spilled.sources.append({**entry, "text_key": text_key, "label_keys": label_keys})
                for block in cut_blocks(source, taken, by_reference=by_reference):
                    yield Job(number, index, done + source.bytes_read, block)
                    number += 1
                spilled.sources[index]["bytes"] = source.bytes_read
                done += source.bytes_read
