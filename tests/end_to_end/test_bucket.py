"""The road through a bucket: a real S3 server on loopback holds the input, the shards, and what is classified."""

import csv
import json

import pytest
import torch

from sentneuron.cli import main

SMALL = ["--nhid", "8", "--batch-size", "8", "--seq-length", "64", "--max-steps", "12", "--log-interval", "4"]


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def learned(path):
    """Everything that a run learned, and what it logged, but for the time it took."""
    saved = torch.load(path, weights_only=True)
    log = [json.loads(line) for line in path.with_suffix(".log.jsonl").read_text().splitlines()]
    timeless = [{k: v for k, v in line.items() if k not in ("seconds", "bytes_per_second")} for line in log]
    return saved["encoder"], saved["decoder"], timeless


def assert_same(first, second):
    for part in (0, 1):
        assert first[part].keys() == second[part].keys()
        assert all(torch.equal(tensor, second[part][name]) for name, tensor in first[part].items())
    assert first[2] == second[2]


@pytest.fixture
def shards(world, bucket):
    """The reviews sharded on the disk, and from the bucket into the bucket; returns the folder and the URI."""
    lines = (world / "reviews.json").read_bytes().splitlines(keepends=True)[:400]
    (world / "reviews.json").write_bytes(b"".join(lines))
    uri = bucket.put("raw/reviews.json", b"".join(lines))
    options = ["--shards", "12", "--split", "10,1,1", "--workers", "1"]
    assert run("shard", "reviews.json", *options) == 0
    assert run("shard", uri, "-o", f"{bucket.uri}/made/x.shards", *options) == 0
    return world / "reviews.shards", f"{bucket.uri}/made/x.shards"


@pytest.mark.slow
def test_shards_made_in_a_bucket_are_those_made_on_a_disk(world, bucket, shards, capsys):
    folder, uri = shards
    local = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    remote = {name.removeprefix("made/x.shards/") for name in bucket.names() if name.startswith("made/")}
    assert remote == set(local)
    for name in remote - {"manifest.json"}:
        assert bucket.get(f"made/x.shards/{name}") == local[name]
    manifests = [json.loads(local["manifest.json"]), json.loads(bucket.get("made/x.shards/manifest.json"))]
    assert manifests[0]["files"] == manifests[1]["files"]
    assert sorted(path.name for path in world.iterdir()) == ["data.csv", "reviews.json", "reviews.shards"]

    before = bucket.get("made/x.shards/manifest.json")
    again = ["shard", f"{bucket.uri}/raw/reviews.json", "-o", uri, "--shards", "12", "--split", "10,1,1"]
    assert run(*again, "--seed", "1") == 73
    assert "seed: 0 -> 1" in capsys.readouterr().err
    assert run(*again, "--workers", "1") == 0
    assert bucket.get("made/x.shards/manifest.json") == before


@pytest.mark.slow
def test_training_from_a_bucket_is_training_from_a_disk_to_the_bit(world, bucket, shards):
    folder, uri = shards
    assert run("train", folder, *SMALL, "--save", "local.pt") == 0
    assert run("train", uri, *SMALL, "--save", "remote.pt") == 0
    assert_same(learned(world / "local.pt"), learned(world / "remote.pt"))
    assert not (world / ".sentneuron").exists()
    read = {name for name in bucket.requests("GET") if name.endswith(".parquet")}
    assert any(name.startswith("made/x.shards/train/") for name in read)


@pytest.mark.slow
def test_training_on_text_in_a_bucket_is_training_on_the_text(world, bucket, shards, capsys):
    options = [*SMALL, "--split", "10,1,1", "--save"]
    assert run("train", "reviews.json", *options, "local.pt") == 0
    assert run("train", f"{bucket.uri}/raw", *options, "remote.pt") == 0
    assert_same(learned(world / "local.pt"), learned(world / "remote.pt"))
    capsys.readouterr()
    assert run("train", f"{bucket.uri}/raw", *options, "remote.pt") == 0
    assert "made by an earlier run" in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_or_missing_object_ends_training_with_its_name(world, bucket, shards, capsys):
    _, uri = shards
    name = next(name for name in bucket.names() if "/train/" in name)
    content = bytearray(bucket.get(name))
    content[len(content) // 3] ^= 16
    bucket.put(name, bytes(content))
    for check, words in (("sizes", "row group"), ("full", "its checksum is not the manifest's")):
        everything = ["--nhid", "8", "--batch-size", "8", "--seq-length", "64"]
        assert run("train", uri, *everything, "--save", f"{check}.pt", "--check", check) == 65
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert f"{bucket.uri}/{name}" in errors[0]
        assert words in errors[0]
    bucket.delete(name)
    assert run("train", uri, *SMALL) == 65
    assert f"{name} is missing" in capsys.readouterr().err


@pytest.mark.slow
def test_texts_in_a_bucket_are_classified_and_learned_from(world, bucket, shards):
    csvs = world.parent / "data" / "sst"
    folder = bucket.put_folder(csvs, "sst")
    assert run("train", shards[0], *SMALL) == 0
    for data in (csvs, folder):
        assert run("transfer", "model.pt", "--data", data, "-o", "made_here") == 0
        results = json.loads((world / "made_here" / "results.json").read_text())
        assert results["rows"] == {"train": 400, "valid": 80, "test": 120}
    uri = bucket.put("in/data.csv", (world / "data.csv").read_bytes())
    assert run("classify", "data.csv", "--model", "made_here/classifier.pt", "-o", "expected.csv") == 0
    assert run("classify", uri, "--model", "made_here/classifier.pt") == 0
    with open("expected.csv") as expected, open("data.classified.csv") as found:
        assert list(csv.reader(expected)) == list(csv.reader(found))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["shard", "s3://{bucket}/missing.json"], 66, "s3://{bucket}/missing.json does not exist"),
        (["shard", "s3://{bucket}/*.json", "-o", "x"], 66, "no object matches s3://{bucket}/*.json"),
        (["shard", "s3://no-such-bucket/x.json"], 66, "s3://no-such-bucket/x.json does not exist"),
        (["shard", "data.csv", "-o", "s3://no-such-bucket/x"], 73, "there is no such bucket"),
        (["train", "s3://{bucket}/missing.shards"], 66, "s3://{bucket}/missing.shards does not exist"),
        (["classify", "s3://{bucket}/missing.csv"], 66, "s3://{bucket}/missing.csv does not exist"),
        (["classify", "s3://{bucket}/*.csv"], 66, "no object matches s3://{bucket}/*.csv"),
        (["shard", "s3://key:secret@bucket/x.csv"], 2, "credentials"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_not_there_gives_one_line_and_its_code_and_writes_nothing(
    world, bucket, capsys, arguments, code, words
):
    before = sorted(world.rglob("*"))
    assert run(*(argument.format(bucket=bucket.name) for argument in arguments)) == code
    said = capsys.readouterr()
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said.err
    assert words.format(bucket=bucket.name) in errors[0]
    assert "Traceback" not in said.err
    assert "secret" not in errors[0]
    assert sorted(world.rglob("*")) == before
    assert bucket.names() == []


@pytest.mark.slow
def test_a_server_that_is_not_there_gives_one_line(world, bucket, capsys, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    from sentneuron.core.data import remote

    remote._file_system.cache_clear()
    for command in (["classify", f"{bucket.uri}/x.csv"], ["train", f"{bucket.uri}/x.shards"]):
        assert run(*command) == 74
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert "cannot be reached" in errors[0]
    remote._file_system.cache_clear()
