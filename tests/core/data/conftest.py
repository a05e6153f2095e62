"""Fixtures for tests that read sources, make shard folders and read epochs: most give a function."""

import json
import random
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from sentneuron.core.config import ReadConfig, ShardConfig
from sentneuron.core.data import shard_file
from sentneuron.core.data.readers import Row, open_source
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.shards import open_shards


@pytest.fixture(scope="session")
def write_lines():
    """Write one line a record; strings as they are. Returns the path."""

    def write(path, records):
        lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="session")
def shard():
    """Run `write_shards` on sources into six shards, in this process."""

    def run(output, *sources, **options):
        options = {"shards": 6, "split": (4, 1, 1), "workers": 1, **options}
        return write_shards(ShardConfig(inputs=tuple(sources), output=output, **options))

    return run


@pytest.fixture(scope="session")
def documents():
    """Return (path, text, label) of every document in a folder, in the order on disk."""

    def read_all(folder):
        found = []
        for path in sorted(folder.rglob("*.parquet")):
            table = pq.read_table(path)
            name = str(path.relative_to(folder))
            pairs = zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True)
            found += [(name, text, label) for text, label in pairs]
        return found

    return read_all


@pytest.fixture(scope="session")
def contents():
    """Return the bytes of every file in a folder, by name."""

    def read(folder, *, without=()):
        files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in files.items() if name not in without}

    return read


@pytest.fixture
def read(tmp_path):
    """Write bytes to a file, and return its source and its rows."""

    def read_bytes(content, name="in"):
        (tmp_path / name).write_bytes(content)
        source = open_source(str(tmp_path / name), ReadConfig())
        return source, list(source.rows())

    return read_bytes


@pytest.fixture(scope="session")
def texts_at():
    """Return the texts of the source at a path or URI."""

    def read_all(name):
        with open_source(name, ReadConfig()) as source:
            return [row.fields["text"] for row in source.rows() if isinstance(row, Row)]

    return read_all


@pytest.fixture(scope="session")
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


@pytest.fixture
def remote(made, bucket):
    """The same folder in a bucket."""
    return bucket.put_folder(made, "x.shards")


@pytest.fixture(scope="session")
def all_row_groups():
    """Return the bytes of every row group of a folder's train and valid shards."""

    def read_all(folder):
        shards = open_shards(folder)
        files = shards.split("train") + shards.split("valid")
        return [
            [array.tobytes() for array in s.read_row_group(i)] for s in files for i in range(len(s.row_group_bytes))
        ]

    return read_all


class MemoryShard:
    """A shard in memory: row groups are lists of documents. `reads` counts the row groups decoded so far."""

    def __init__(self, row_groups: list[list[bytes]]) -> None:
        self.row_groups = row_groups
        self.row_group_bytes = [sum(map(len, group)) for group in row_groups]
        self.num_bytes = sum(self.row_group_bytes)
        self.num_documents = sum(map(len, row_groups))
        self.reads = 0

    def read_row_group(self, index):
        self.reads += 1
        lengths = [len(document) for document in self.row_groups[index]]
        text = np.frombuffer(b"".join(self.row_groups[index]), np.uint8)
        return text, np.cumsum([0, *lengths[:-1]]).astype(np.int64)


@pytest.fixture(scope="session")
def memory_shards():
    """Make shards in memory, each from its row groups, which are lists of documents."""

    def make(corpus):
        return [MemoryShard(row_groups) for row_groups in corpus]

    return make


@pytest.fixture(scope="session")
def all_windows():
    """Return the windows of an epoch, one step after the other."""

    def read_all(epoch_stream):
        return [epoch_stream.window(step) for step in range(epoch_stream.num_steps)]

    return read_all


@pytest.fixture(scope="session")
def assert_same_window():
    """Hold two windows against each other; resets that are nowhere must be None in both."""

    def compare(found, expected):
        for name, value in expected._asdict().items():
            assert np.array_equal(getattr(found, name), value), name

    return compare
