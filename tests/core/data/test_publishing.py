"""Shard folders on their way to a bucket: what stands there is finished, or does not look so."""

import os
import signal
import subprocess
import sys

import pytest

from sentneuron.core.data.publishing import Bucket, check_publishable, publish
from sentneuron.core.data.shards import open_shards
from sentneuron.core.errors import DataError, OutputError, StorageError


@pytest.fixture(scope="module")
def made(tmp_path_factory, shard, write_lines):
    """A finished folder, and a smaller one."""
    base = tmp_path_factory.mktemp("made")
    many = write_lines(base / "many.txt", [f"text number {number}" for number in range(60)])
    few = write_lines(base / "few.txt", ["one", "two"])
    shard(base / "many.shards", many, shards=3, split=(1, 1, 1))
    shard(base / "few.shards", few, shards=1, split=(1,))
    return {"many": base / "many.shards", "few": base / "few.shards"}


def settings_of(folder):
    return open_shards(folder).manifest["settings"]


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def published(bucket):
    return {name.removeprefix("x.shards/"): bucket.get(name) for name in bucket.names()}


@pytest.fixture
def uri(bucket):
    return f"{bucket.uri}/x.shards"


def test_every_file_arrives_and_nothing_else(made, bucket, uri):
    told = []
    check_publishable(uri, settings_of(made["many"]), force=False)
    publish(made["many"], uri, progress=lambda done, total: told.append((done, total)))
    expected = files_of(made["many"])
    assert published(bucket) == expected
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] == sum(map(len, expected.values())) - len(expected["manifest.json"])
    open_shards(uri).check()


def test_another_folder_takes_its_place_whole(made, bucket, uri):
    publish(made["many"], uri)
    check_publishable(uri, settings_of(made["few"]), force=True)
    publish(made["few"], uri)
    assert published(bucket) == files_of(made["few"])


class Died(BaseException):
    """The process that published is gone."""


def die_at(monkeypatch, number):
    """Make the operation of this number in the bucket, from 0, the last that is not done."""
    left = [number]
    for name in ("write", "upload", "delete"):
        original = getattr(Bucket, name)

        def step(self, *arguments, original=original):
            left[0] -= 1
            if left[0] < 0:
                raise Died
            original(self, *arguments)

        monkeypatch.setattr(Bucket, name, step)
    monkeypatch.setattr("sentneuron.core.data.publishing.UPLOADS_AT_ONCE", 1)


@pytest.mark.slow
def test_a_run_that_ends_anywhere_leaves_the_old_folder_or_the_new_one_or_none(made, bucket, uri, monkeypatch):
    new = files_of(made["few"])
    seen = []
    for number in range(30):
        for name in bucket.names():
            bucket.delete(name)
        bucket.put_folder(made["many"], "x.shards")
        with monkeypatch.context() as patch:
            die_at(patch, number)
            try:
                publish(made["few"], uri)
            except Died:
                pass
            else:
                break
        try:
            found = open_shards(uri)
            found.check()
            seen.append("new" if found.manifest == open_shards(made["few"]).manifest else "old")
        except DataError as error:
            seen.append("none" if "is an unfinished shard folder" in str(error) else str(error))
        check_publishable(uri, settings_of(made["few"]), force=seen[-1] == "old")
        publish(made["few"], uri)
        assert published(bucket) == new
    # Before the old manifest goes; until the new one comes; before its copy goes.
    assert seen == ["old", "old", *["none"] * (len(seen) - 3), "new"]
    assert number == len(seen) < 12


@pytest.mark.slow
def test_a_killed_upload_does_not_look_finished_and_is_finished_by_running_again(made, bucket, uri):
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from sentneuron.core.data import publishing\n"
        "done = []\n"
        "progress = lambda n, total: done.append(n) or len(done) > 2 and os.kill(os.getpid(), signal.SIGKILL)\n"
        "publishing.publish(Path(sys.argv[1]), sys.argv[2], progress=progress)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(made["many"]), uri], env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(DataError, match="unfinished shard folder; run 'sentneuron shard' again"):
        open_shards(uri)
    check_publishable(uri, settings_of(made["many"]), force=False)
    publish(made["many"], uri)
    assert published(bucket) == files_of(made["many"])


def test_a_folder_made_with_other_settings_stays_unless_it_is_forced(made, bucket, uri):
    publish(made["many"], uri)
    before = published(bucket)
    for change in ({"seed": 7}, {"sources": ["other"]}):
        with pytest.raises(OutputError, match=f"other settings .*{next(iter(change))}"):
            check_publishable(uri, settings_of(made["many"]) | change, force=False)
        check_publishable(uri, settings_of(made["many"]) | change, force=True)
    check_publishable(uri, settings_of(made["many"]), force=False)
    assert published(bucket) == before


def test_what_is_no_shard_folder_is_never_replaced(bucket, uri):
    bucket.put("x.shards/notes.txt", b"mine")
    for force in (False, True):
        with pytest.raises(OutputError, match=r"holds notes\.txt"):
            check_publishable(uri, {}, force=force)
    bucket.put("file", b"x")
    with pytest.raises(OutputError, match="is a file"):
        check_publishable(f"{bucket.uri}/file", {}, force=True)


def test_shards_without_a_manifest_are_replaced_by_force_only(bucket, uri):
    bucket.put("x.shards/train/00000.parquet", b"x")
    with pytest.raises(OutputError, match=r"has no manifest\.json; replace it with --force"):
        check_publishable(uri, {}, force=False)
    check_publishable(uri, {}, force=True)
    bucket.put("x.shards/manifest.json", b"{}")
    with pytest.raises(OutputError, match=r"is not the manifest of a shard folder; replace it with --force"):
        check_publishable(uri, {}, force=False)


def test_a_bucket_that_is_not_there_is_said_before_any_work(bucket):
    with pytest.raises(OutputError, match="there is no such bucket"):
        check_publishable("s3://no-such-bucket/x.shards", {}, force=False)


def test_a_file_that_arrives_short_is_said_and_the_folder_stays_unfinished(made, bucket, uri, monkeypatch):
    def upload(self, path, name):
        bucket.put(f"x.shards/{name}", path.read_bytes()[:-1])

    monkeypatch.setattr(Bucket, "upload", upload)
    with pytest.raises(StorageError, match="did not arrive as it was sent"):
        publish(made["few"], uri)
    with pytest.raises(DataError, match="unfinished"):
        open_shards(uri)


def test_the_name_in_the_bucket_is_taken_as_it_is_written(made, bucket):
    uri = f"{bucket.uri}/a b/50%25/x.shards"
    publish(made["few"], uri)
    open_shards(uri).check()
    assert "a b/50%25/x.shards/manifest.json" in bucket.names()
