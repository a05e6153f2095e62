"""What a shard folder holds, by its manifest; no shard is read."""

from dataclasses import dataclass
from typing import Any

from sentneuron.core.data.folders import Folder
from sentneuron.core.data.manifest import NAME, SPLITS, damaged, read_manifest
from sentneuron.core.data.shards import ShardSet, check_files
from sentneuron.core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class SplitInfo:
    """One of train, valid and test."""

    shards: int
    """Files; those that `shard` left empty have none."""
    documents: int
    bytes: int
    """Of text."""
    row_groups: int


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """One input of `shard`."""

    name: str
    format: str
    records: int
    text_key: str
    label_keys: list[str]


@dataclass(frozen=True, kw_only=True)
class ShardsInfo:
    """What a shard folder's manifest says, and whether the files go with it."""

    path: str
    documents: int
    bytes: int
    """Of text."""
    file_bytes: int
    """Of all shards, as the manifest says."""
    splits: dict[str, SplitInfo]
    """Those that have documents."""
    text: dict[str, Any]
    """The text rule."""
    made_with: dict[str, Any]
    """Versions of what else decides the bytes."""
    settings: dict[str, Any]
    sources: list[SourceInfo]
    read: int
    """Records."""
    duplicates: int
    skipped: dict[str, int]
    """Records, by reason."""
    fingerprint: str
    """What the models trained on it call it."""
    problem: str | None
    """The first file that is not there, or not as the manifest says; None where names and sizes are right."""


def describe_shards(name: str) -> ShardsInfo:
    """Describe the shard folder at a path or URI.

    Raises:
        InputNotFoundError, DataError, StorageError: as `read_manifest`.
    """
    folder = Folder(name)
    manifest = read_manifest(folder)
    problem = None
    try:
        check_files(folder, manifest)
    except DataError as error:
        problem = error.message
    opened = ShardSet(folder, manifest)
    splits = {split: shards for split in SPLITS if (shards := opened.split(split))}
    try:
        records, sources = manifest["records"], [_source(source) for source in manifest["sources"]]
        return ShardsInfo(
            path=folder.name,
            documents=sum(entry["documents"] for entry in manifest["files"]),
            bytes=sum(entry["bytes"] for entry in manifest["files"]),
            file_bytes=sum(entry["file_bytes"] for entry in manifest["files"]),
            splits={
                split: SplitInfo(
                    shards=len(shards),
                    documents=sum(shard.num_documents for shard in shards),
                    bytes=sum(shard.num_bytes for shard in shards),
                    row_groups=sum(len(shard.row_group_bytes) for shard in shards),
                )
                for split, shards in splits.items()
            },
            text=opened.rule.to_dict(),
            made_with=dict(manifest["text_made_with"]),
            settings=manifest["settings"],
            sources=sources,
            read=int(records["read"]),
            duplicates=int(records["duplicates"]),
            skipped={str(reason): int(found["count"]) for reason, found in records["skipped"].items()},
            fingerprint=opened.fingerprint,
            problem=problem,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise damaged(folder.path(NAME), "it does not say what it was made from") from error


def _source(values: dict[str, Any]) -> SourceInfo:
    """Take an input as the manifest describes it."""
    return SourceInfo(
        name=str(values["name"]),
        format=str(values["format"]),
        records=int(values["records"]),
        text_key=str(values["text_key"]),
        label_keys=[str(key) for key in values["label_keys"]],
    )
