"""What a URI stands for and what is said about a wrong one, as far as no server is needed; test_remote has one."""

import subprocess
import sys

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry as fsspec_registry

from sentneuron.core.config import ReadConfig
from sentneuron.core.data import remote
from sentneuron.core.data.inputs import expand_inputs, input_size
from sentneuron.core.data.locations import Location
from sentneuron.core.data.readers import open_source
from sentneuron.core.data.remote import explanation
from sentneuron.core.errors import InputNotFoundError, OutputError, StorageError, UsageError


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://b/k", ("s3", "b/k", "")),
        ("s3://b/a?b*.csv", ("s3", "b/a?b*.csv", "")),
        ("s3://b/a?.csv?region=x&scheme=http", ("s3", "b/a?.csv", "region=x&scheme=http")),
        ("gs://anonymous@b/k/", ("gs", "b/k", "")),
        ("s3://b?scheme=http", ("s3", "b", "scheme=http")),
    ],
)
def test_a_uri_is_taken_apart(uri, parts) -> None:
    location = Location.parse(uri)
    assert (location.scheme, location.path, location.options) == parts
    assert str(location) == uri.rstrip("/")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://key:secret@bucket/x", "credentials"),
        ("s3://", "names no bucket"),
        ("s3:///x?scheme=http", "names no bucket"),
        ("s3://bucket/x?colour=red", "colour"),
        ("gs://bad bucket/x", "bad bucket"),
    ],
)
def test_a_uri_that_is_none_is_wrong_usage_and_a_secret_is_not_repeated(uri, message) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        open_source(uri, ReadConfig())
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", StorageError, "is refused"),
        ("AWS Error INVALID_ACCESS_KEY_ID during GetObject operation: The key", StorageError, "is refused"),
        ("AWS Error UNKNOWN (HTTP status 403) during GetObject", StorageError, "is refused"),
        ("google::cloud::Status(PERMISSION_DENIED: no)", StorageError, "is refused"),
        ("google::cloud::Status(UNAVAILABLE: Could not create a OAuth2 access token to", StorageError, "is refused"),
        ("When listing 'NO_SUCH_KEY/403': AWS Error SLOW_DOWN during GetObject", StorageError, "SLOW_DOWN"),
        ("AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation: gone", InputNotFoundError, "does not exist"),
        ("google::cloud::Status(NOT_FOUND: no bucket)", InputNotFoundError, "does not exist"),
        ("AWS Error NETWORK_CONNECTION curlCode: 28, Timeout was reached; x", StorageError, ": timeout was reached"),
    ],
)
def test_a_servers_answer_becomes_one_line(said, kind, words) -> None:
    found = explanation(OSError(f"{said}\nmore lines"), "s3://b/x")
    assert type(found) is kind
    assert "s3://b/x" in str(found)
    assert words in str(found)
    assert "\n" not in str(found)
    assert type(explanation(OSError(said), "s3://b/x", writing=True)) in (OutputError, StorageError)


def test_a_file_uri_is_a_path(texts_at, tmp_path) -> None:
    path = tmp_path / "a b.csv"
    path.write_text("text\none\n")
    assert expand_inputs([path.as_uri()]) == [str(path)]
    assert texts_at(path.as_uri()) == ["one"]
    assert input_size(path.as_uri()) == 9
    with pytest.raises(UsageError, match="names a machine, data"):
        expand_inputs(["file://data/x.csv"])
    with pytest.raises(InputNotFoundError, match="does not exist"):
        open_source("file:///nowhere/x.csv", ReadConfig())


def test_the_hub_needs_a_package_and_says_which(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match="pip install huggingface_hub"):
        open_source("hf://datasets/someone/reviews/x.csv", ReadConfig())


def test_the_hub_is_read_through_its_own_file_system(texts_at, monkeypatch) -> None:
    class HfFileSystem(MemoryFileSystem):
        protocol = "hf"

    monkeypatch.setitem(fsspec_registry, "hf", HfFileSystem)
    HfFileSystem().pipe("/datasets/someone/reviews/x.csv", b"text\none\n")
    remote._file_system.cache_clear()
    assert expand_inputs(["hf://datasets/someone/reviews"]) == ["hf://datasets/someone/reviews/x.csv"]
    assert expand_inputs(["hf://datasets/*/reviews/*.csv"]) == ["hf://datasets/someone/reviews/x.csv"]
    assert texts_at("hf://datasets/someone/reviews/x.csv") == ["one"]
    with pytest.raises(InputNotFoundError):
        open_source("hf://datasets/someone/reviews/y.csv", ReadConfig())
    remote._file_system.cache_clear()


def test_reading_a_local_file_does_not_import_what_buckets_need(tmp_path) -> None:
    (tmp_path / "x.csv").write_text("text\none\n")
    code = (
        "import sys; from sentneuron.core.data.inputs import expand_inputs;"
        "expand_inputs(sys.argv[1:]); assert not {'pyarrow', 'fsspec'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), str(tmp_path / "x.csv")], check=True)
