"""Whatever is missing, foreign, damaged or edited in a shard folder is found and named.

`SENTNEURON_FLIPS=10000` flips so many bits of a shard and of the manifest, and cuts each a tenth as often.
"""

import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.core.data import shard_file
from sentneuron.core.data.manifest import checksum
from sentneuron.core.data.shards import open_shards
from sentneuron.core.errors import DataError, StorageError

FLIPS = int(os.environ.get("SENTNEURON_FLIPS", "60"))


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


@pytest.mark.parametrize("path", ["../../secret.parquet", "/etc/passwd", "train/../x.parquet", "train/00000.parquet\n"])
def test_a_manifest_cannot_name_files_outside_of_its_folder(folder, path):
    values = json.loads((folder / "manifest.json").read_text())
    values["files"][0]["path"] = path
    values["checksum"] = checksum(values)
    (folder / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match="outside of its folder"):
        open_shards(folder)


@pytest.mark.parametrize("name", ["train/00000.parquet", "manifest.json"])
def test_any_flipped_bit_or_cut_is_found_or_changes_nothing(folder, name, all_row_groups):
    expected = all_row_groups(folder)
    content = (folder / name).read_bytes()
    draw = random.Random(name)
    num_found = 0
    for number in range(FLIPS + FLIPS // 10):
        position = draw.randrange(len(content))
        flipped = bytes([content[position] ^ 1 << draw.randrange(8)])
        variant = content[:position] + (flipped + content[position + 1 :] if number < FLIPS else b"")
        (folder / name).write_bytes(variant)
        try:
            assert all_row_groups(folder) == expected
        except DataError:
            num_found += 1
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            open_shards(folder).check()
    print(f"{name}: {num_found:,} of {FLIPS + FLIPS // 10:,} found when it was read, the others changed nothing")
    assert num_found >= FLIPS * 2 // 3


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
