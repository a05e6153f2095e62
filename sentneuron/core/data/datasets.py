"""The data sets with a name: where their files are, and how to get them.

Each is looked for in `$SENTNEURON_DATA` (default `~/.cache/sentneuron`), else downloaded from its publisher into that
folder and held against a checksum. The IMDB archive becomes three Parquet files, rows in the order of label and the
publisher's number.
"""

import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sentneuron.core.atomic import atomic_path, storage_error
from sentneuron.core.errors import DataError, OutputError, StorageError

Progress = Callable[[int, int | None], None]

DATASETS = ("sst", "imdb")
SPLITS = ("train", "val", "test", "unsup")

# Source: the copies published with OpenAI's generating-reviews-discovering-sentiment.
SST_URL = "https://raw.githubusercontent.com/openai/generating-reviews-discovering-sentiment/master/data/"
SST_FILES = {
    "train": ("train_binary_sent.csv", "sha256:6003623bcb35aad3a446a265b8931b7ccab61fcc10f2e9c1fec916ff67c7be35"),
    "val": ("dev_binary_sent.csv", "sha256:f34c4987fea208fefc2d62a1b42c83a766cbfc7ce58c2a878ef953cf91f01729"),
    "test": ("test_binary_sent.csv", "sha256:519cea7ed4d22fe7ec4eccbb3d5ba6d88902a3b15ce129f476aa8364463a9fc7"),
}
# Source: Maas et al. 2011, Large Movie Review Dataset v1.0.
IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/"
IMDB_ARCHIVE = ("aclImdb_v1.tar.gz", "md5:7c2ac02c03563afcf9b574c7e56c153a")
IMDB_MEMBER = re.compile(r"aclImdb/(train|test)/(pos|neg|unsup)/(\d+)_(\d+)\.txt")
TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 16


def is_dataset(name: str) -> bool:
    """Say whether a data argument is a data set's name."""
    return name in DATASETS


def data_folder() -> Path:
    """Return the folder of the data sets: the one place in core where the environment is read."""
    return Path(os.environ.get("SENTNEURON_DATA") or "~/.cache/sentneuron").expanduser()


def dataset_files(
    name: str, *, splits: Sequence[str] = SPLITS, progress: Progress = lambda done, total: None
) -> dict[str, Path]:
    """Return the files of a data set by split, downloading what is missing; splits that it does not have are left out.

    `imdb` without its test file leaves the test split out where train is there: it takes the whole archive to get it.

    Raises:
        DataError: a downloaded file has another checksum, or the archive is not the one expected.
        StorageError: the publisher cannot be reached; it says which file to put where.
        OutputError: the folder cannot be made.
    """
    assert is_dataset(name), name
    folder = data_folder() / name
    suffix = "csv" if name == "sst" else "parquet"
    exists_for = ("train", "val", "test") if name == "sst" else ("train", "test", "unsup")
    files = {split: folder / f"{split}.{suffix}" for split in exists_for if split in splits}
    missing = [split for split, path in files.items() if not path.is_file()]
    if name == "imdb" and missing == ["test"] and (folder / "train.parquet").is_file():
        del files["test"]
        missing = []
    if missing:
        _make_folder(folder)
        if name == "sst":
            for split in missing:
                publisher_name, checksum = SST_FILES[split]
                _download(SST_URL + publisher_name, checksum, files[split], put=files[split], progress=progress)
        else:
            _fetch_imdb(folder, progress)
    return files


def _fetch_imdb(folder: Path, progress: Progress) -> None:
    """Make the missing Parquet files from the archive that somebody put into the folder, or from a downloaded one."""
    archive_name, checksum = IMDB_ARCHIVE
    placed = folder / archive_name
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as scratch:
        archive = placed if placed.is_file() else Path(scratch, archive_name)
        # pooch takes a file that is there and has the checksum, and downloads nothing.
        _download(IMDB_URL + archive_name, checksum, archive, put=placed, progress=progress)
        _convert_imdb(archive, folder)


def _convert_imdb(archive: Path, folder: Path) -> None:
    """Turn the publisher's archive into train, test and unsup.parquet: id, text and, but for unsup, label and rating.

    Raises:
        DataError: the archive is damaged or lacks one of the parts.
    """
    import pyarrow
    import pyarrow.parquet

    parts: dict[str, list[tuple[int, int, int, str]]] = {"train": [], "test": [], "unsup": []}
    try:
        for part, label, number, rating, text in _imdb_reviews(archive):
            parts[part].append((label, number, rating, text))
    except (tarfile.TarError, zlib.error, EOFError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{archive.name} cannot be read ({error})", hint="get the archive again") from error
    absent = [part for part, reviews in parts.items() if not reviews]
    if absent:
        raise DataError(f"{archive.name} holds no {', '.join(absent)} reviews", hint="get the archive again")
    for part, reviews in parts.items():
        target = folder / f"{part}.parquet"
        if target.is_file():
            continue
        labels, _, ratings, texts = zip(*sorted(reviews), strict=True)
        columns = {
            "id": pyarrow.array(range(len(texts)), pyarrow.int32()),
            "text": pyarrow.array(texts, pyarrow.string()),
        }
        if part != "unsup":
            columns["label"] = pyarrow.array(labels, pyarrow.int8())
            columns["rating"] = pyarrow.array(ratings, pyarrow.int8())
        with atomic_path(target) as path:
            pyarrow.parquet.write_table(
                pyarrow.table(columns), path, compression="zstd", row_group_size=5000, write_page_checksum=True
            )


def _imdb_reviews(archive: Path) -> Iterator[tuple[str, int, int, int, str]]:
    """Yield (part, label, id, rating, text); members are read in memory, nothing is unpacked to disk."""
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            match = IMDB_MEMBER.fullmatch(member.name)
            file = tar.extractfile(member) if match else None
            if match is None or file is None:
                continue
            part = "unsup" if match[2] == "unsup" else match[1]
            yield part, int(match[2] == "pos"), int(match[3]), int(match[4]), file.read().decode()


def _download(url: str, checksum: str, path: Path, *, put: Path, progress: Progress) -> None:
    """Have the file with this checksum at `path`; pooch renames it there once it is whole."""
    import pooch  # type: ignore[import-untyped]

    pooch.get_logger().setLevel("ERROR")
    downloader = pooch.HTTPDownloader(
        progressbar=_ProgressBar(progress), chunk_size=CHUNK_BYTES, timeout=TIMEOUT_SECONDS
    )
    try:
        pooch.retrieve(url, checksum, fname=path.name, path=path.parent, downloader=downloader)
    except ValueError as error:
        # Before OSError: some of requests' errors are both, and none of those is about a checksum.
        if isinstance(error, OSError):
            raise _unreachable(url, put, error) from error
        raise DataError(f"{url} does not have the expected checksum", hint=f"put the right file at {put}") from error
    except OSError as error:
        # requests' errors are OSErrors without a number; those with one are the disk's.
        raise (storage_error(error, path) if error.errno else _unreachable(url, put, error)) from error


def _unreachable(url: str, put: Path, error: OSError) -> StorageError:
    response = getattr(error, "response", None)
    reason = type(error).__name__ if response is None else f"HTTP {response.status_code}"
    return StorageError(f"cannot download {url} ({reason})", hint=f"get that file elsewhere and put it at {put}")


class _ProgressBar:
    """What pooch wants of a progress bar, passed on as absolute amounts."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0
        self.total: int | None = None

    def update(self, amount: int) -> None:
        """Add so many bytes."""
        self._done += amount
        self._progress(min(self._done, self.total or self._done), self.total or None)

    def reset(self) -> None:
        """Ignore pooch's rewind before it reports the whole once more."""

    def close(self) -> None:
        """Report the end."""
        self._progress(self.total or self._done, self.total or None)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make {folder}: {error.strerror}", hint="set SENTNEURON_DATA to a folder that you can write"
        ) from error
