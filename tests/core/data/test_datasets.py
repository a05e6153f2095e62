"""Named data sets: found where they lie, or fetched from a publisher, here a server on loopback."""

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest

from sentneuron.core.data import datasets
from sentneuron.core.data.datasets import data_folder, dataset_files, is_dataset
from sentneuron.core.errors import DataError, OutputError, StorageError

CSV = b"label,sentence\n1,good\n" * 10_000


class Publisher:
    """A web server with some files, which counts what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        publisher = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked.append(self.path)
                content = publisher.files.get(self.path.removeprefix("/"))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("SENTNEURON_DATA", str(tmp_path / "data"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "data"


@pytest.fixture
def publisher(monkeypatch, folder: Path) -> Iterator[Publisher]:
    server = Publisher()
    monkeypatch.setattr(datasets, "SST_URL", server.url)
    monkeypatch.setattr(datasets, "IMDB_URL", server.url)
    checksum = "sha256:" + hashlib.sha256(CSV).hexdigest()
    monkeypatch.setattr(
        datasets, "SST_FILES", {split: (f"{split}_x.csv", checksum) for split in ("train", "val", "test")}
    )
    server.files = {f"{split}_x.csv": CSV for split in ("train", "val", "test")}
    yield server
    server.stop()


def imdb_archive(**leave_out: bool) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:

        def add(name: str, text: str) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))

        add("aclImdb/README", "not a review")
        for part in ("test", "train"):
            for number in (10, 9, 1):
                add(f"aclImdb/{part}/pos/{number}_{8}.txt", f"{part} pos {number} é")
                add(f"aclImdb/{part}/neg/{number}_{2}.txt", f"{part} neg {number}")
            add(f"aclImdb/{part}/labeledBow.feat", "1 2 3")
        if not leave_out.get("unsup"):
            add("aclImdb/train/unsup/3_0.txt", "unsup 3")
            add("aclImdb/train/unsup/0_0.txt", "unsup 0")
    return sink.getvalue()


def publish_imdb(monkeypatch, publisher: Publisher, content: bytes) -> None:
    publisher.files["imdb.tar.gz"] = content
    monkeypatch.setattr(datasets, "IMDB_ARCHIVE", ("imdb.tar.gz", "md5:" + hashlib.md5(content).hexdigest()))


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_only_the_data_sets_names_are_names() -> None:
    assert [name for name in ("sst", "imdb", "SST", "sst/", "imdb.csv", "") if is_dataset(name)] == ["sst", "imdb"]


def test_the_folder_is_the_environments_or_the_cache(monkeypatch, folder: Path) -> None:
    assert data_folder() == folder
    for value in ("", None):
        monkeypatch.setenv("SENTNEURON_DATA", value) if value is not None else monkeypatch.delenv("SENTNEURON_DATA")
        monkeypatch.setenv("HOME", "/home/somebody")
        assert data_folder() == Path("/home/somebody/.cache/sentneuron")


def test_files_that_are_there_are_taken_and_nothing_is_asked_for(publisher: Publisher, folder: Path) -> None:
    for name in ("sst/train.csv", "sst/val.csv", "sst/test.csv", "imdb/train.parquet", "imdb/unsup.parquet"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    assert dataset_files("sst") == {split: folder / f"sst/{split}.csv" for split in ("train", "val", "test")}
    assert dataset_files("imdb") == {split: folder / f"imdb/{split}.parquet" for split in ("train", "unsup")}
    assert dataset_files("imdb", splits=["train"]) == {"train": folder / "imdb/train.parquet"}
    assert dataset_files("imdb", splits=["val", "test"]) == {}
    assert publisher.asked == []


def test_a_missing_file_is_downloaded_once_with_progress(publisher: Publisher, folder: Path) -> None:
    amounts: list[tuple[int, int | None]] = []
    files = dataset_files("sst", splits=["val"], progress=lambda done, total: amounts.append((done, total)))
    assert files == {"val": folder / "sst/val.csv"}
    assert files["val"].read_bytes() == CSV
    assert amounts[-1] == (len(CSV), len(CSV))
    assert amounts == sorted(amounts)
    assert len(amounts) > 2
    assert files_in(folder) == ["sst", "val.csv"]
    dataset_files("sst", splits=["val"])
    assert publisher.asked == ["/val_x.csv"]


def test_a_wrong_checksum_is_an_error_and_leaves_nothing(publisher: Publisher, folder: Path) -> None:
    publisher.files["train_x.csv"] = CSV[:-1] + b"!"
    with pytest.raises(DataError, match="does not have the expected checksum") as caught:
        dataset_files("sst", splits=["train"])
    assert str(folder / "sst/train.csv") in caught.value.hint
    assert files_in(folder) == ["sst"]


def test_a_server_that_is_down_is_one_line_that_says_which_file_to_put_where(
    publisher: Publisher, folder: Path
) -> None:
    publisher.stop()
    with pytest.raises(StorageError) as caught:
        dataset_files("sst", splits=["train"])
    assert caught.value.message == f"cannot download {publisher.url}train_x.csv (ConnectionError)"
    assert caught.value.hint == f"get that file elsewhere and put it at {folder / 'sst/train.csv'}"
    assert caught.value.exit_code == 74
    assert files_in(folder) == ["sst"]


def test_a_file_that_the_publisher_lacks_is_an_error(publisher: Publisher, folder: Path) -> None:
    del publisher.files["train_x.csv"]
    with pytest.raises(StorageError, match=r"train_x\.csv \(HTTP 404\)"):
        dataset_files("sst", splits=["train"])


def test_a_disk_that_cannot_be_written_is_said(publisher: Publisher, folder: Path, monkeypatch) -> None:
    folder.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot make"):
        dataset_files("sst")


def test_the_imdb_archive_becomes_three_parquet_files(publisher: Publisher, folder: Path, monkeypatch) -> None:
    publish_imdb(monkeypatch, publisher, imdb_archive())
    files = dataset_files("imdb")
    assert files == {split: folder / f"imdb/{split}.parquet" for split in ("train", "test", "unsup")}
    assert files_in(folder) == ["imdb", "test.parquet", "train.parquet", "unsup.parquet"]
    for split in ("train", "test"):
        table = pyarrow.parquet.read_table(files[split])
        assert [(field.name, str(field.type)) for field in table.schema] == [
            ("id", "int32"),
            ("text", "string"),
            ("label", "int8"),
            ("rating", "int8"),
        ]
        expected = [f"{split} neg {number}" for number in (1, 9, 10)] + [
            f"{split} pos {number} é" for number in (1, 9, 10)
        ]
        assert table.to_pydict() == {
            "id": list(range(6)),
            "text": expected,
            "label": [0, 0, 0, 1, 1, 1],
            "rating": [2, 2, 2, 8, 8, 8],
        }
    assert pyarrow.parquet.read_table(files["unsup"]).to_pydict() == {"id": [0, 1], "text": ["unsup 0", "unsup 3"]}


def test_an_archive_that_was_put_there_is_used_and_kept(publisher: Publisher, folder: Path, monkeypatch) -> None:
    publish_imdb(monkeypatch, publisher, imdb_archive())
    (folder / "imdb").mkdir(parents=True)
    (folder / "imdb/imdb.tar.gz").write_bytes(publisher.files["imdb.tar.gz"])
    (folder / "imdb/unsup.parquet").write_bytes(b"mine")
    dataset_files("imdb", splits=["train"])
    assert publisher.asked == []
    assert files_in(folder / "imdb") == ["imdb.tar.gz", "test.parquet", "train.parquet", "unsup.parquet"]
    assert (folder / "imdb/unsup.parquet").read_bytes() == b"mine"


@pytest.mark.parametrize("content", [imdb_archive()[:-200], b"no archive", imdb_archive(unsup=True)])
def test_an_archive_that_is_not_the_one_expected_is_an_error(
    publisher, folder: Path, monkeypatch, content: bytes
) -> None:
    publish_imdb(monkeypatch, publisher, content)
    with pytest.raises(DataError, match=r"imdb\.tar\.gz (cannot be read|holds no .*reviews)"):
        dataset_files("imdb")
    assert files_in(folder) == ["imdb"]
