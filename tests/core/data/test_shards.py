"""Shard folders read back, from a disk and from a bucket: whatever is damaged is found, and nothing else is read."""

import json
import os
import random
import shutil
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.core.config import ShardConfig
from sentneuron.core.data import shard_file
from sentneuron.core.data.manifest import checksum
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.shards import Footers, open_shards
from sentneuron.core.errors import DataError, InputNotFoundError, StorageError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One folder of three shards, several row groups each."""
    folder = tmp_path_factory.mktemp("shards")
    words = random.Random(0).choices(["good", "bad", "film", "café", "the", "story"], k=6000)
    texts = [" ".join(words[i : i + 20]) for i in range(0, 6000, 20)]
    (folder / "in.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_file, "ROW_GROUP_BYTES", 3000)
        config = ShardConfig(inputs=(str(folder / "in.txt"),), output=folder / "out", shards=3, split=(2, 1), workers=1)
        write_shards(config)
    return folder / "out"


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy.shards")


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


def all_row_groups(folder):
    shards = open_shards(folder)
    files = shards.split("train") + shards.split("valid")
    return [[array.tobytes() for array in s.read_row_group(i)] for s in files for i in range(len(s.row_group_bytes))]


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
def test_a_row_group_is_the_same_whether_its_footer_was_kept_or_not(folder, monkeypatch, limit):
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
def test_several_threads_read_one_set(request, made, place):
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


def test_a_missing_a_resized_and_a_foreign_shard_are_named(folder):
    shard = folder / "train/00001.parquet"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(DataError, match=rf"train/00001\.parquet has {len(content) - 1:,} bytes, not {len(content):,}"):
        open_shards(folder)
    shard.unlink()
    with pytest.raises(DataError, match=r"train/00001\.parquet is missing"):
        open_shards(folder)
    shard.write_bytes(content)
    (folder / "test/00000.parquet").parent.mkdir(exist_ok=True)
    (folder / "test/00000.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"test/00000\.parquet is not in the folder's manifest"):
        open_shards(folder)


def test_a_shard_that_vanishes_after_opening_is_named(folder):
    shards = open_shards(folder)
    shard = shards.split("train")[0]
    shard.read_row_group(0)
    Path(shard.path).unlink()
    for read in (lambda: shard.read_row_group(0), shards.check):
        with pytest.raises(DataError, match=r"train/00000\.parquet is missing"):
            read()


def test_a_disk_that_fails_is_not_called_damage(folder, monkeypatch):
    shard = open_shards(folder).split("train")[0]

    def fail(self, name):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("sentneuron.core.data.folders.Folder.open", fail)
    with pytest.raises(StorageError, match=r"00000\.parquet: Input/output error"):
        shard.read_row_group(0)


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


@pytest.mark.parametrize("path", ["../../secret.parquet", "/etc/passwd", "train/../x.parquet", "train/00000.parquet\n"])
def test_a_manifest_cannot_name_files_outside_of_its_folder(folder, path):
    values = json.loads((folder / "manifest.json").read_text())
    values["files"][0]["path"] = path
    values["checksum"] = checksum(values)
    (folder / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match="outside of its folder"):
        open_shards(folder)


@pytest.mark.parametrize("name", ["train/00000.parquet", "manifest.json"])
def test_any_flipped_bit_or_cut_is_found_or_changes_nothing(folder, name):
    expected = all_row_groups(folder)
    content = (folder / name).read_bytes()
    draw = random.Random(name)
    damaged = [content[: draw.randrange(len(content))] for _ in range(10)]
    for _ in range(50):
        position = draw.randrange(len(content))
        flipped = content[position] ^ 1 << draw.randrange(8)
        damaged.append(content[:position] + bytes([flipped]) + content[position + 1 :])
    num_found = 0
    for variant in damaged:
        (folder / name).write_bytes(variant)
        try:
            assert all_row_groups(folder) == expected
        except DataError:
            num_found += 1
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            open_shards(folder).check()
    assert num_found >= 40


def test_text_or_borders_that_are_not_those_written_are_found_and_named(folder):
    """The file is a sound one of the same size, which no checksum of Parquet's own can tell."""
    path = folder / "train/00000.parquet"
    values = json.loads((folder / "manifest.json").read_text())
    content = path.read_bytes()
    for change in (lambda t: [t[0].swapcase(), *t[1:]], lambda t: [t[0][:-1], t[0][-1:] + t[1], *t[2:]], sorted):
        groups = []
        for index in range(pq.ParquetFile(path).num_row_groups):
            texts = pq.ParquetFile(path).read_row_group(index)["text"].to_pylist()
            texts = change(texts) if index == 1 else texts
            groups.append(pa.table({"text": texts, "label": pa.nulls(len(texts), pa.string())}, shard_file.SCHEMA))
        with pq.ParquetWriter(path, shard_file.SCHEMA) as writer:
            for group in groups:
                writer.write_table(group)
        values["files"][0]["file_bytes"] = path.stat().st_size
        values["checksum"] = checksum(values)
        (folder / "manifest.json").write_text(json.dumps(values))
        shard = open_shards(folder).split("train")[0]
        shard.read_row_group(0)
        with pytest.raises(DataError, match=r"00000\.parquet: row group 1 is damaged"):
            shard.read_row_group(1)
        path.write_bytes(content)


@pytest.mark.parametrize("columns", [{"label": ["x"]}, {"text": [1]}, {"text": ["x"]}, {"text": [["x"]]}])
def test_a_parquet_file_that_is_no_shard_is_refused(folder, columns):
    path = folder / "train/00000.parquet"
    pq.write_table(pa.table(columns), path)
    values = json.loads((folder / "manifest.json").read_text())
    values["files"][0]["file_bytes"] = path.stat().st_size
    values["checksum"] = checksum(values)
    (folder / "manifest.json").write_text(json.dumps(values))
    shard = open_shards(folder).split("train")[0]
    for index in (0, 1):
        with pytest.raises(DataError, match=rf"00000\.parquet: row group {index} "):
            shard.read_row_group(index)


def test_a_page_that_decays_after_the_first_read_is_found_by_its_own_checksum(folder):
    shard = open_shards(folder).split("train")[0]
    path = Path(shard.path)
    expected = [array.tobytes() for array in shard.read_row_group(1)]
    content = path.read_bytes()
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    draw = random.Random(0)
    for _ in range(20):
        # The page's data; its header, some 30 bytes in front, has no checksum of its own.
        position = column.data_page_offset + draw.randrange(60, column.total_compressed_size)
        flipped = bytes([content[position] ^ 1 << draw.randrange(8)])
        path.write_bytes(content[:position] + flipped + content[position + 1 :])
        with pytest.raises(DataError, match=r"00000\.parquet: row group 1"):
            shard.read_row_group(1)
    path.write_bytes(content)
    assert [array.tobytes() for array in shard.read_row_group(1)] == expected


def test_a_full_check_reads_every_byte_of_every_file_and_counts_them(folder):
    told = []
    open_shards(folder).check(progress=lambda done, total: told.append((done, total)))
    num_bytes = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    assert told[0] == (0, num_bytes)
    assert told[-1] == (num_bytes, num_bytes)
    labels = pq.ParquetFile(folder / "valid/00000.parquet").metadata.row_group(0).column(1)
    path = folder / "valid/00000.parquet"
    content = bytearray(path.read_bytes())
    content[labels.data_page_offset + labels.total_compressed_size - 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"valid/00000\.parquet is damaged: its checksum"):
        open_shards(folder).check()


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


# In a bucket


@pytest.fixture
def remote(made, bucket):
    """The same folder in a bucket."""
    return bucket.put_folder(made, "x.shards")


def test_a_bucket_gives_the_same_bytes_and_fingerprint(made, remote):
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


def test_damage_in_a_bucket_is_found_and_named(remote, bucket, made):
    name = "x.shards/train/00001.parquet"
    content = bytearray(bucket.get(name))
    column = pq.ParquetFile(made / "train/00001.parquet").metadata.row_group(1).column(0)
    content[column.data_page_offset + column.total_compressed_size - 5] ^= 1
    bucket.put(name, bytes(content))
    shard = open_shards(remote).split("train")[1]
    shard.read_row_group(0)
    with pytest.raises(DataError, match=rf"{bucket.uri}/{name}: row group 1"):
        shard.read_row_group(1)
    with pytest.raises(DataError, match=f"{bucket.uri}/{name} is damaged"):
        open_shards(remote).check()

    bucket.put(name, bytes(content[:-1]))
    with pytest.raises(DataError, match=f"{name} has {len(content) - 1:,} bytes, not {len(content):,}"):
        open_shards(remote)
    shard = open_shards(bucket.put_folder(made, "x.shards")).split("train")[1]
    shard.read_row_group(0)
    bucket.delete(name)
    with pytest.raises(DataError, match=f"{name} is missing"):
        shard.read_row_group(1)
    with pytest.raises(DataError, match=f"{name} is missing"):
        open_shards(remote)
    bucket.put_folder(made, "x.shards")
    bucket.put("x.shards/test/00000.parquet", b"x")
    with pytest.raises(DataError, match=r"test/00000\.parquet is not in the folder's manifest"):
        open_shards(remote)


def test_a_folder_that_is_not_in_the_bucket_is_not_found(bucket):
    with pytest.raises(InputNotFoundError, match=f"{bucket.uri}/x does not exist"):
        open_shards(f"{bucket.uri}/x")
    bucket.put("x/reviews.csv", b"x")
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        open_shards(f"{bucket.uri}/x")
