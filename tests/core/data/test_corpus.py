"""What `train` is given: shards as they are, text sharded once into a cache."""

import os

import pytest

from sentneuron.core.data import corpus, pool
from sentneuron.core.data.corpus import open_corpus
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, InputNotFoundError, UsageError

TEXT = b"text\n" + b"".join(b"this is text number %d\n" % number for number in range(50))


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Open a corpus, on one process; return the set and the lines said."""
    monkeypatch.setattr(pool, "default_workers", lambda: 1)

    def run(data, **options):
        lines = []
        options = {"split": (2, 1), "seed": 0, "cache": tmp_path / ".sentneuron"} | options
        found = open_corpus(str(data), progress=lambda done, total: None, announce=lines.append, **options)
        return found, lines

    return run


def texts(shard_set):
    return [
        shard.read_row_group(index)[0].tobytes()
        for split in ("train", "valid", "test")
        for shard in shard_set.split(split)
        for index in range(len(shard.row_group_bytes))
    ]


@pytest.fixture(params=["disk", "bucket"])
def place(request, tmp_path):
    """Put a file on the disk or into a bucket; returns what `train` is given."""
    if request.param == "bucket":
        bucket = request.getfixturevalue("bucket")
        return bucket.put

    def put(name, content):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return put


def test_text_is_sharded_once_and_says_so(place, opened, tmp_path):
    data = place("in/reviews.csv", TEXT)
    first, lines = opened(data)
    (folder,) = (tmp_path / ".sentneuron").glob("reviews-*.shards")
    assert lines == [f"sharding {data} into {folder} first"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    second, lines = opened(data)
    assert lines == [f"shards of {data}: {folder}, made by an earlier run"]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert texts(first) == texts(second)
    assert sum(map(len, texts(first))) == sum(len(line) + 3 for line in TEXT.splitlines()[1:])


def test_other_content_or_other_options_are_sharded_again(place, opened, monkeypatch):
    data = place("reviews.csv", TEXT)
    opened(data)
    for options in ({"seed": 1}, {"split": (1,)}):
        assert opened(data, **options)[1][0].startswith("sharding")
    # Time has a resolution of a second in a bucket; the size tells, too.
    place("reviews.csv", TEXT + b"one more\n")
    assert opened(data)[1][0].startswith("sharding")
    to_dict = TextRule.to_dict
    monkeypatch.setattr(TextRule, "to_dict", lambda self: {**to_dict(self), "version": 99})
    assert opened(data)[1][0].startswith("sharding")


def test_a_folder_or_glob_of_text_is_one_corpus(place, opened):
    place("in/a.csv", TEXT)
    folder = place("in/b.csv", TEXT).removesuffix("/b.csv")
    both = opened(folder)[0]
    assert sum(map(len, texts(both))) == 2 * sum(map(len, texts(opened(f"{folder}/a*")[0])))


def test_the_same_file_elsewhere_is_known_by_its_content(opened, tmp_path):
    (tmp_path / "x.csv").write_bytes(TEXT)
    opened(tmp_path / "x.csv")
    (tmp_path / "other").mkdir()
    os.rename(tmp_path / "x.csv", tmp_path / "other/x.csv")
    assert opened(tmp_path / "other/x.csv")[1][0].endswith("made by an earlier run")


def test_shards_are_opened_where_they_are(opened, tmp_path, bucket):
    (tmp_path / "x.csv").write_bytes(TEXT)
    made = opened(tmp_path / "x.csv")[0]
    (local,) = (tmp_path / ".sentneuron").glob("*.shards")
    for place in (local, local.as_uri(), bucket.put_folder(local, "x.shards")):
        found, lines = opened(place)
        assert lines == []
        assert found.fingerprint == made.fingerprint
        assert texts(found) == texts(made)
    assert list((tmp_path / ".sentneuron").glob("*.shards")) == [local]


def test_an_unfinished_folder_is_not_taken_for_text(opened, bucket):
    bucket.put("x.shards/train/00000.parquet", b"x")
    bucket.put("x.shards/manifest.unfinished.json", b"{}")
    with pytest.raises(DataError, match="unfinished shard folder"):
        opened(f"{bucket.uri}/x.shards")


def test_what_is_not_there_is_said_and_leaves_nothing(opened, tmp_path, bucket):
    for data in (tmp_path / "missing.csv", f"{bucket.uri}/missing.csv", "file:///missing.csv"):
        with pytest.raises(InputNotFoundError, match=r"missing\.csv"):
            opened(data)
    with pytest.raises(UsageError, match="stdin"):
        opened("-")
    assert list(tmp_path.iterdir()) == []


def test_what_a_file_holds_decides_not_what_it_is_called(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").write_bytes(b"x")
    (tmp_path / "c").write_bytes(b"y")
    keys = [corpus.cache_key([str(tmp_path / name)], (1,), 0) for name in "abc"]
    assert keys[0] == keys[1] != keys[2]
