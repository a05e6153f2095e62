import json
import os
import random
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.core.config import ShardConfig
from sentneuron.core.data import shard_file
from sentneuron.core.data.manifest import checksum
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.shards import concatenated, open_shards
from sentneuron.core.errors import DataError, InputNotFoundError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One folder of three shards, several row groups each."""
    folder = tmp_path_factory.mktemp("shards")
    words = random.Random(0).choices(["good", "bad", "film", "café", "the", "story"], k=6000)
    texts = [" ".join(words[i : i + 20]) for i in range(0, 6000, 20)]
    (folder / "in.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_file, "ROW_GROUP_BYTES", 3000)
        config = ShardConfig(inputs=(str(folder / "in.txt"),), output=folder / "out", shards=3, split=(2, 1))
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


def test_a_column_in_several_slices_is_joined_with_its_starts():
    whole = pa.array([b"skipped", b"ab", b"", b"cde", b"skipped"], pa.binary())
    text, starts = concatenated(pa.chunked_array([whole.slice(1, 2), whole.slice(3, 1)]))
    assert text.tobytes() == b"abcde"
    assert starts.tolist() == [0, 2, 2]


def test_opening_reads_no_shard_and_reading_leaves_no_file_open(folder):
    first, second = open_shards(folder).split("train")
    second.path.write_bytes(bytes(second.path.stat().st_size))  # found out only when it is read
    before = len(os.listdir("/proc/self/fd"))
    first.read_row_group(0)
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(DataError, match=r"train/00001\.parquet is damaged: its checksum"):
        second.read_row_group(0)


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
    shard = open_shards(folder).split("train")[0]
    shard.path.unlink()
    with pytest.raises(DataError, match=r"train/00000\.parquet cannot be read: No such file"):
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
    (folder / "manifest.json").write_text(json.dumps({**values, "version": 2}))
    with pytest.raises(DataError, match="version 2, this program reads 1; update"):
        open_shards(folder)


@pytest.mark.parametrize("path", ["../../secret.parquet", "/etc/passwd", "train/../x.parquet", "train/00000.parquet\n"])
def test_a_manifest_cannot_name_files_outside_of_its_folder(folder, path):
    values = json.loads((folder / "manifest.json").read_text())
    values["files"][0]["path"] = path
    values["checksum"] = checksum(values)
    (folder / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match="outside of its folder"):
        open_shards(folder)


def read_everything(folder):
    shards = open_shards(folder)
    files = shards.split("train") + shards.split("valid")
    return shards.rule, [
        [g.tobytes() for g in s.read_row_group(i)] for s in files for i in range(len(s.row_group_bytes))
    ]


@pytest.mark.parametrize("name", ["train/00000.parquet", "manifest.json"])
def test_any_flipped_bit_or_cut_is_found_or_changes_nothing(folder, name):
    expected = read_everything(folder)
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
            assert read_everything(folder) == expected
        except DataError:
            num_found += 1
    assert num_found >= 50


def test_a_page_that_decays_after_the_first_read_is_found_by_its_own_checksum(folder):
    shard = open_shards(folder).split("train")[0]
    expected = [array.tobytes() for array in shard.read_row_group(1)]
    content = shard.path.read_bytes()
    column = pq.ParquetFile(shard.path).metadata.row_group(1).column(0)
    draw = random.Random(0)
    for _ in range(20):
        # The page's data; its header, some 30 bytes in front, has no checksum of its own.
        position = column.data_page_offset + draw.randrange(60, column.total_compressed_size)
        flipped = bytes([content[position] ^ 1 << draw.randrange(8)])
        shard.path.write_bytes(content[:position] + flipped + content[position + 1 :])
        with pytest.raises(DataError, match=r"00000\.parquet: row group 1"):
            shard.read_row_group(1)
    shard.path.write_bytes(content)
    assert [array.tobytes() for array in shard.read_row_group(1)] == expected


def test_the_fingerprint_is_of_the_texts_and_the_rule_not_of_the_folder(made, folder, tmp_path):
    assert open_shards(folder).fingerprint == open_shards(made).fingerprint

    source = tmp_path / "in.txt"
    source.write_text("café\n", encoding="utf-8")
    prints = set()
    for number, options in enumerate([{}, {"keep_unicode": True}, {"seed": 1}]):
        output = tmp_path / str(number)
        write_shards(ShardConfig(inputs=(str(source),), output=output, shards=3, split=(1,), **options))
        prints.add(open_shards(output).fingerprint)
    assert len(prints) == 3


def test_the_rule_that_cleaned_the_texts_comes_with_them(tmp_path):
    (tmp_path / "in.txt").write_text("café\n", encoding="utf-8")
    config = ShardConfig(inputs=(str(tmp_path / "in.txt"),), output=tmp_path / "out", keep_unicode=True)
    write_shards(config)
    shards = open_shards(tmp_path / "out")
    (shard,) = [shard for name in ("train", "valid", "test") for shard in shards.split(name)]
    assert shard.read_row_group(0)[0].tobytes() == shards.rule.clean("café") == "\n café ".encode()
