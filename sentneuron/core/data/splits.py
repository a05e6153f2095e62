"""How many shards train, valid and test get, and which shard of the run is which file."""

from collections.abc import Iterator, Sequence
from typing import Any

from sentneuron.core.data.manifest import SPLITS
from sentneuron.core.errors import UsageError


def split_shards(num_shards: int, parts: Sequence[int]) -> dict[str, int]:
    """Divide shards over train, valid and test in proportion to `parts`; every part above zero gets at least one.

    Raises:
        UsageError: there are more such parts than shards.
    """
    parts = [*parts, 0, 0][: len(SPLITS)]
    num_named = sum(part > 0 for part in parts)
    if num_named > num_shards:
        raise UsageError(
            f"{num_shards} shards cannot hold a split into {num_named} parts",
            hint=f"give --shards {num_named} or more, or fewer parts in --split",
        )
    exact = [num_shards * part / sum(parts) for part in parts]
    counts = [max(1, int(share)) if share else 0 for share in exact]
    while sum(counts) != num_shards:
        step = 1 if sum(counts) < num_shards else -1
        # The part that is furthest below (above) its exact share; a part of one shard keeps it.
        open_parts = [i for i, part in enumerate(parts) if part > 0 and counts[i] + step >= 1]
        counts[max(open_parts, key=lambda i: step * (exact[i] - counts[i]))] += step
    return dict(zip(SPLITS, counts, strict=True))


def shard_paths(counts: dict[str, int]) -> Iterator[str]:
    """Yield each shard's path inside the folder, in the order of shard numbers."""
    for split, count in counts.items():
        for number in range(count):
            yield f"{split}/{number:05d}.parquet"


def sum_splits(files: Sequence[dict[str, Any]], counts: dict[str, int]) -> dict[str, dict[str, int]]:
    """Add up shards, documents and bytes of text by split, from the manifest's entries."""
    sums = {split: {"shards": count, "documents": 0, "bytes": 0} for split, count in counts.items()}
    for file in files:
        split = sums[file["path"].split("/")[0]]
        split["documents"] += file["documents"]
        split["bytes"] += file["bytes"]
    return sums


def describe_empty(splits: dict[str, dict[str, int]]) -> list[str]:
    """Return a warning for each split that was asked for and got no document."""
    num_documents = sum(split["documents"] for split in splits.values())
    num_shards = sum(split["shards"] for split in splits.values())
    return [
        f"{name} is empty: {num_documents:,} documents were dealt to {num_shards:,} shards by hash, "
        f"and none fell into the {split['shards']:,} of {name}; give it a larger part with --split, or fewer --shards"
        for name, split in splits.items()
        if split["shards"] and not split["documents"]
    ]
