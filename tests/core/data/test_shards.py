"""Shard folders read back, from a disk and from a bucket: every document, and nothing else is read."""

import json
import os
import random
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sentneuron.core.config import ShardConfig
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.shards import Footers, open_shards
from sentneuron.core.errors import DataError, InputNotFoundError


def test_row_groups_give_back_every_document_in_order(made):
    shards = open_shards(made)
    assert [len(shards.split(name)) for name in ("train", "valid", "test")] == [2, 1, 0]
    for shard in [*shards.split("train"), *shards.split("valid")]:
        expected = pq.read_table(shard.path)["text"].to_pylist()
        found = []
        for group, num_bytes in enumerate(shard.row_group_bytes):
            text, starts = shard.read_row_group(group)
            assert (text.dtype, starts.dtype, len(text), starts[0]) == (np.uint8, np.int64, num_bytes, 0)
            found += [piece.tobytes() for piece in np.split(text, starts[1:])]
        assert len(shard.row_group_bytes) > 2
        assert found == expected
        assert (shard.num_documents, shard.num_bytes) == (len(expected), sum(map(len, expected)))


def test_opening_reads_no_shard_and_reading_leaves_no_file_open(folder):
    first, second = open_shards(folder).split("train")
    Path(second.path).write_bytes(bytes(second.file_bytes))  # found out only when it is read
    before = len(os.listdir("/proc/self/fd"))
    for index in (0, 1, 0):
        first.read_row_group(index)
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(DataError, match=r"train/00001\.parquet: row group 0 cannot be read"):
        second.read_row_group(0)


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_row_group_is_the_same_whether_its_footer_was_kept_or_not(folder, monkeypatch, limit, all_row_groups):
    expected = all_row_groups(folder)
    monkeypatch.setattr(Footers, "LIMIT", limit)
    shards = open_shards(folder)
    first, second = shards.split("train")
    for _ in range(2):
        for shard, start in ((first, 0), (second, len(first.row_group_bytes))):
            found = [array.tobytes() for array in shard.read_row_group(1)]
            assert found == expected[start + 1]
    assert len(first._footers._kept) == limit


@pytest.mark.parametrize("place", ["made", "remote"])
def test_several_threads_read_one_set(request, made, place, all_row_groups):
    expected = all_row_groups(made)
    shards = open_shards(request.getfixturevalue(place))
    files = [*shards.split("train"), *shards.split("valid")]
    groups = [(shard, index) for shard in files for index in range(len(shard.row_group_bytes))]
    found = {}

    def read(seed):
        for number in random.Random(seed).sample(range(len(groups)), 5):
            shard, index = groups[number]
            found[seed, number] = [array.tobytes() for array in shard.read_row_group(index)]

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert all(arrays == expected[number] for (_, number), arrays in found.items())


def test_a_folder_that_is_none_or_not_there_or_newer_is_refused(folder, tmp_path):
    with pytest.raises(InputNotFoundError, match="does not exist"):
        open_shards(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        open_shards(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "something else"}')
    with pytest.raises(DataError, match="is not the manifest of a shard folder"):
        open_shards(tmp_path)
    values = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**values, "version": 3}))
    with pytest.raises(DataError, match="version 3, this program reads 2; update"):
        open_shards(folder)


def test_the_fingerprint_is_of_the_texts_and_the_rule_not_of_the_folder(made, folder, tmp_path):
    assert open_shards(folder).fingerprint == open_shards(made).fingerprint

    source = tmp_path / "in.txt"
    source.write_text("".join(f"café {number}\n" for number in range(20)), encoding="utf-8")
    prints = set()
    for number, options in enumerate([{}, {"keep_unicode": True}, {"seed": 1}]):
        output = tmp_path / str(number)
        write_shards(ShardConfig(inputs=(str(source),), output=output, shards=3, split=(1,), workers=1, **options))
        prints.add(open_shards(output).fingerprint)
    assert len(prints) == 3


def test_the_rule_that_cleaned_the_texts_comes_with_them(tmp_path):
    (tmp_path / "in.txt").write_text("café\n", encoding="utf-8")
    config = ShardConfig(inputs=(str(tmp_path / "in.txt"),), output=tmp_path / "out", keep_unicode=True, workers=1)
    write_shards(config)
    shards = open_shards(tmp_path / "out")
    (shard,) = [shard for name in ("train", "valid", "test") for shard in shards.split(name)]
    assert shard.read_row_group(0)[0].tobytes() == shards.rule.clean("café") == "\n café ".encode()


def test_a_bucket_gives_the_same_bytes_and_fingerprint(made, remote, all_row_groups):
    assert all_row_groups(remote) == all_row_groups(made)
    assert open_shards(remote).fingerprint == open_shards(made).fingerprint
    open_shards(remote).check()


def test_a_row_group_costs_one_request_once_its_shard_is_known_and_is_all_that_is_read(remote, bucket):
    shards = open_shards(remote)
    assert bucket.requests("GET") == ["x.shards/manifest.json"]
    first = shards.split("train")[0]
    first.read_row_group(0)
    before = len(bucket.requests("GET"))
    for index in (2, 1):
        first.read_row_group(index)
    assert bucket.requests("GET")[before:] == ["x.shards/train/00000.parquet"] * 2
    assert not any("00001" in name for name in bucket.requests("GET") + bucket.requests("HEAD"))


def test_a_folder_that_is_not_in_the_bucket_is_not_found(bucket):
    with pytest.raises(InputNotFoundError, match=f"{bucket.uri}/x does not exist"):
        open_shards(f"{bucket.uri}/x")
    bucket.put("x/reviews.csv", b"x")
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        open_shards(f"{bucket.uri}/x")
