"""Objects on a real S3 server, and what is said where a server refuses or is not there.

What needs no server is in test_locations.
"""

import gzip
import io
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.core.config import ReadConfig
from sentneuron.core.data.inputs import expand_inputs, input_size
from sentneuron.core.data.readers import open_source
from sentneuron.core.data.remote import RemoteStream, list_files
from sentneuron.core.errors import DataError, InputNotFoundError, StorageError

NOWHERE = "endpoint_override=127.0.0.1:9&scheme=http"


def take(stream: RemoteStream, size: int) -> bytes:
    """What one read of at most `size` bytes gives."""
    buffer = bytearray(size)
    return bytes(buffer[: stream.readinto(memoryview(buffer))])


def parquet(**columns) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=10)
    return sink.getvalue()


# Reading


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", b"text,label\none,1\ntwo,0\n"),
        ("x.json.gz", gzip.compress(b'{"text": "one"}\n{"text": "two"}\n', mtime=0)),
        ("x.parquet", parquet(text=["one", "two"])),
        ("x.parquet.gz", gzip.compress(parquet(text=["one", "two"]), mtime=0)),
        ("a b/50%20 + é&[x].txt", b"one\ntwo\n"),
    ],
)
def test_an_object_reads_like_a_file(bucket, texts_at, name, content) -> None:
    uri = bucket.put(name, content)
    assert expand_inputs([uri]) == [uri]
    assert input_size(uri) == len(content)
    assert texts_at(uri) == ["one", "two"]
    with open_source(uri, ReadConfig()) as source:
        assert source.num_bytes == len(content)
        list(source.rows())
        assert source.bytes_read == len(content)


def test_options_in_a_uri_lead_to_a_server_and_stay_with_its_objects(bucket, texts_at, monkeypatch) -> None:
    bucket.put("in/x.csv", b"text\none\n")
    bucket.put("in/x.parquet", parquet(text=["two"]))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    options = f"endpoint_override={bucket.endpoint.removeprefix('http://')}&scheme=http"
    uris = expand_inputs([f"{bucket.uri}/in?{options}"])
    assert uris == [f"{bucket.uri}/in/x.{kind}?{options}" for kind in ("csv", "parquet")]
    assert [texts_at(uri) for uri in uris] == [["one"], ["two"]]


def test_a_long_object_is_read_in_few_requests_and_a_glance_costs_one(bucket) -> None:
    content = bytes(range(256)) * 20_000
    stream = RemoteStream(bucket.put("x", content))
    assert take(stream, 10) == content[:10]
    assert len(bucket.requests("GET")) == 1
    found = content[:10]
    while block := take(stream, 100_000):
        found += block
    assert found == content
    assert len(bucket.requests("GET")) < 10
    stream.close()


def test_parquet_is_read_row_group_by_row_group(bucket) -> None:
    num_rows = 20_000
    content = parquet(text=[f"{number}" * 50 for number in range(num_rows)])
    with open_source(bucket.put("x.parquet", content), ReadConfig()) as source:
        before = len(bucket.requests("GET"))
        next(source.rows())
        assert len(bucket.requests("GET")) <= before + 2


@pytest.mark.slow
def test_a_process_that_used_a_bucket_ends(bucket) -> None:
    uri = bucket.put("x.csv", b"text\none\n")
    code = (
        "import sys\n"
        "from sentneuron.core.data.readers import ReadConfig, open_source\n"
        "kept = open_source(sys.argv[1], ReadConfig())\n"
        "print(kept.num_bytes)"
    )
    done = subprocess.run([sys.executable, "-c", code, uri], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "9\n"), done.stderr


# Folders and globs


@pytest.fixture
def folder(bucket):
    for name in (
        "d/b.json",
        "d/a.csv.gz",
        "d/v1.2/part-0000",
        "d/README.md",
        "d/.hidden.csv",
        "d/_SUCCESS",
        "d/.x/a.csv",
        "dd/other.csv",
    ):
        bucket.put(name, b"x")
    return bucket


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["d"], ["d/a.csv.gz", "d/b.json", "d/v1.2/part-0000"]),
        (["d/"], ["d/a.csv.gz", "d/b.json", "d/v1.2/part-0000"]),
        (["d/*.json", "d/b.json", "/d//b.json"], ["d/b.json"]),
        (["d/?.json"], ["d/b.json"]),
        (["*/*.csv"], ["dd/other.csv"]),
        (["d/**/part-*"], ["d/v1.2/part-0000"]),
        (["d/.*"], ["d/.hidden.csv"]),
        (["d/README.md"], ["d/README.md"]),
    ],
)
def test_folders_and_globs_are_expanded_as_on_a_disk(folder, given, expected) -> None:
    assert expand_inputs([f"{folder.uri}/{name}" for name in given]) == [f"{folder.uri}/{name}" for name in expected]


def test_an_object_with_a_name_like_a_glob_is_taken_as_it_is(bucket) -> None:
    uri = bucket.put("[odd]*.csv", b"x")
    bucket.put("odd.csv", b"x")
    assert expand_inputs([uri]) == [uri]


@pytest.mark.parametrize("name", ["missing.csv", "*.md/x", "none/*", "only"])
def test_what_names_nothing_is_not_found(bucket, name) -> None:
    bucket.put("only/readme.md", b"x")
    with pytest.raises(InputNotFoundError, match=f"{bucket.name}"):
        expand_inputs([f"{bucket.uri}/{name}"])


# Refusals


def test_a_bucket_that_is_not_there_is_not_found(bucket) -> None:
    for uri in ("s3://no-such-bucket/x.csv", "s3://no-such-bucket", "s3://no-such-bucket/*.csv"):
        with pytest.raises(InputNotFoundError, match="no-such-bucket"):
            expand_inputs([uri])
        with pytest.raises(InputNotFoundError, match="no-such-bucket"):
            open_source(uri, ReadConfig())
    assert list_files("s3://no-such-bucket/x") == {}


def test_a_folder_is_no_file(bucket) -> None:
    bucket.put("d/x.csv", b"x")
    with pytest.raises(DataError, match="/d is a folder"):
        open_source(f"{bucket.uri}/d", ReadConfig())


def test_an_object_that_goes_while_it_is_read_is_said(bucket) -> None:
    stream = RemoteStream(bucket.put("x", bytes(10_000_000)))
    while len(take(stream, 1 << 20)) < 1 << 20:
        pass
    bucket.delete("x")
    with pytest.raises(InputNotFoundError, match="/x does not exist"):
        [take(stream, 1 << 20) for _ in range(10)]


def test_a_damaged_parquet_object_is_damage_and_not_an_outage(bucket) -> None:
    with pytest.raises(DataError, match=r"x\.parquet is no whole Parquet file"):
        open_source(bucket.put("x.parquet", parquet(text=["one"])[:-20]), ReadConfig())


@pytest.mark.slow
def test_a_server_that_is_not_there_is_said_within_seconds(bucket) -> None:
    for uri in (f"s3://bucket/x.csv?{NOWHERE}", f"gs://anonymous@bucket/x.csv?{NOWHERE}&retry_limit_seconds=1"):
        started = time.monotonic()
        with pytest.raises(StorageError, match=r"cannot be reached: .*connect.*check the network"):
            open_source(uri, ReadConfig())
        assert time.monotonic() - started < 25
