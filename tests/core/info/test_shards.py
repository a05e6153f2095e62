"""What info says of a shard folder is what its manifest says, and whether the files are there."""

import json
import shutil
from pathlib import Path

import pytest

from sentneuron.core.config import ReadConfig
from sentneuron.core.data.manifest import checksum, read_manifest
from sentneuron.core.data.shards import open_shards
from sentneuron.core.errors import DataError
from sentneuron.core.info import describe
from sentneuron.core.info.shards import ShardsInfo


def of(path) -> ShardsInfo:
    found = describe(str(path), ReadConfig())
    assert isinstance(found, ShardsInfo)
    return found


@pytest.fixture
def copied(shards, tmp_path):
    return Path(shutil.copytree(shards, tmp_path / "copy.shards"))


def test_a_shard_folder_is_told_by_its_manifest(shards):
    found, opened = of(shards), open_shards(shards)
    assert found.documents == found.read == 400
    assert sum(split.documents for split in found.splits.values()) == 400
    assert sum(split.bytes for split in found.splits.values()) == found.bytes > 400
    assert found.splits["train"].shards == len(opened.split("train"))
    assert found.splits["train"].row_groups == sum(len(shard.row_group_bytes) for shard in opened.split("train"))
    assert found.text == opened.rule.to_dict()
    assert found.fingerprint == opened.fingerprint
    assert (found.settings["shards"], found.duplicates, found.skipped, found.problem) == (80, 0, {}, None)
    (source,) = found.sources
    assert (Path(source.name).name, source.format, source.records) == ("reviews.txt", "text", 400)


def test_a_shard_that_is_missing_or_of_another_size_is_named(copied):
    first = sorted((copied / "train").iterdir())[0]
    first.write_bytes(first.read_bytes()[:-1])
    assert "bytes, not" in of(copied).problem
    first.unlink()
    assert of(copied).problem == f"shard {first} is missing"


@pytest.mark.parametrize(
    "change", [{"records": {"read": "\x1b[31m"}}, {"sources": 5}, {"text_made_with": None}, {"records": None}]
)
def test_a_manifest_that_was_made_up_is_damaged(copied, change):
    values = read_manifest(copied) | change
    values["checksum"] = checksum(values)
    (copied / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"manifest.json is damaged"):
        of(copied)
