"""Names of inputs; expanding those on a disk is in test_readers, those in buckets in test_remote."""

import pytest

from sentneuron.core.data.inputs import folder_files, input_size, is_folder
from sentneuron.core.data.locations import file_name, joined
from sentneuron.core.data.sniffing import data_suffix


@pytest.mark.parametrize(
    ("given", "name", "suffix"),
    [
        ("x/reviews.json.gz", "reviews.json.gz", ".json"),
        ("s3://bucket/x/reviews.csv", "reviews.csv", ".csv"),
        ("s3://bucket/reviews.parquet?endpoint_override=127.0.0.1:80&scheme=http", "reviews.parquet", ".parquet"),
        ("s3://bucket", "bucket", ""),
        ("hf://datasets/someone/reviews/part.txt.zst", "part.txt.zst", ".txt"),
        ("file:///x/a%20b.tsv", "a b.tsv", ".tsv"),
        ("x/", "x", ""),
    ],
)
def test_the_name_and_extension_of(given, name, suffix) -> None:
    assert file_name(given) == name
    assert data_suffix(given) == suffix


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("x", "x/a/b.csv"),
        ("x/", "x/a/b.csv"),
        ("/", "/a/b.csv"),
        ("s3://bucket", "s3://bucket/a/b.csv"),
        ("s3://bucket/x/?scheme=http", "s3://bucket/x/a/b.csv?scheme=http"),
    ],
)
def test_a_name_in_a_folder_is_called(folder, expected) -> None:
    assert joined(folder, "a/b.csv") == expected


def test_a_folder_on_a_disk_and_in_a_bucket_lists_the_same_files(tmp_path, bucket) -> None:
    (tmp_path / "d" / "deeper").mkdir(parents=True)
    for name in ("train.csv", "test.csv", ".hidden", "deeper/x.csv"):
        (tmp_path / "d" / name).write_text("x")
    uri = bucket.put_folder(tmp_path / "d", "d")
    for folder in (str(tmp_path / "d"), (tmp_path / "d").as_uri(), uri):
        assert folder_files(folder) == ["test.csv", "train.csv"]
        assert is_folder(folder)
        assert not is_folder(joined(folder, "train.csv"))
        assert not is_folder(joined(folder, "missing"))


def test_only_what_has_an_end_has_a_size(tmp_path, bucket) -> None:
    (tmp_path / "x").write_bytes(b"four")
    assert input_size(str(tmp_path / "x")) == 4
    assert input_size(bucket.put("x", b"four")) == 4
    for name in ("-", "/dev/null", str(tmp_path), str(tmp_path / "missing"), f"{bucket.uri}/missing"):
        assert input_size(name) is None
