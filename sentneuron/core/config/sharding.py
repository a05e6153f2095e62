"""Settings of `shard`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sentneuron.core.config.reading import ReadConfig
from sentneuron.core.errors import UsageError
from sentneuron.core.values import require_positive, require_seed, require_split


@dataclass(frozen=True, kw_only=True)
class ShardConfig:
    """One run of `shard`."""

    inputs: tuple[str, ...]
    """Files, folders, globs, or `-`."""
    output: str | Path | None = None
    """Folder to make, or a URI of one in a bucket; default: the input's name with `.shards`, here."""
    shards: int = 1002
    """Shards in all splits together."""
    split: tuple[int, ...] = (1000, 1, 1)
    """Proportions of train, valid and test."""
    read: ReadConfig = field(default_factory=ReadConfig)
    """Where text and label are."""
    keep_unicode: bool = False
    """Leave UTF-8 as it is instead of Unidecode's ASCII."""
    dedup: bool = False
    """Keep one of exactly equal texts."""
    on_error: Literal["skip", "fail"] = "skip"
    """What to do with a record that cannot be read."""
    max_bad: float = 0.01
    """Largest share of records that may be skipped, 0 to 1."""
    seed: int = 0
    """Seed of the assignment of documents to shards."""
    workers: int | None = None
    """Processes; None takes as many as there are cores, at most 8. Does not show in the result."""
    force: bool = False
    """Replace a folder made with other settings."""

    def __post_init__(self) -> None:
        require_positive(shards=self.shards)
        if self.workers is not None:
            require_positive(workers=self.workers)
        if self.shards > 100_000:
            raise UsageError(f"--shards is {self.shards:,}", hint="give at most 100,000")
        require_seed(self.seed)
        require_split(self.split)
        if not 0 <= self.max_bad <= 1:
            raise UsageError(f"--max-bad is {self.max_bad:.0%}", hint="give a share from 0% to 100%")
