"""A finished shard folder goes to a bucket, so that nothing there ever looks finished before it is.

A bucket knows no renaming, so the order of uploads stands in for it: the manifest comes last, and the one that was
there goes first. While the files are on their way the new manifest lies beside them under another name; a run that was
killed there is known by it, and may run again. There is no lock: two runs to one place are not kept apart.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import pyarrow.fs as pf

from sentneuron.core.data.folders import Folder
from sentneuron.core.data.locations import Location, joined
from sentneuron.core.data.manifest import NAME, SHARD_PATH, SPLITS, UNFINISHED, parse_manifest
from sentneuron.core.data.remote import connect, explained, list_files, look_up
from sentneuron.core.data.shard_folder import REJECTS, check_settings
from sentneuron.core.errors import OutputError, StorageError

UPLOADS_AT_ONCE = 8

Progress = Callable[[int, int | None], None]


def check_publishable(uri: str, settings: dict[str, Any], *, force: bool) -> None:
    """Check that nothing but a shard folder made with these settings, finished or not, stands at `uri`; try to write.

    With `force`, any shard folder may go, a damaged one too, but never a folder that holds anything else.

    Raises:
        OutputError: something else does, and what differs is named; or nothing can be written there.
        StorageError: the bucket cannot be reached.
    """
    if look_up(uri).is_file:
        raise OutputError(f"{uri} is a file", hint="name another folder with -o")
    files = list_files(uri)
    foreign = sorted({name.split("/")[0] for name in files} - {*SPLITS, NAME, UNFINISHED, REJECTS})
    if foreign:
        raise OutputError(f"{uri} is not a shard folder: it holds {foreign[0]}", hint="name another with -o")
    if files.keys() - {UNFINISHED} and not force:
        _check_settings(Folder(uri), next((name for name in (NAME, UNFINISHED) if name in files), None), settings)
    if UNFINISHED not in files:
        bucket = Bucket(uri)
        bucket.write(UNFINISHED, b"")
        bucket.delete(UNFINISHED)


def publish(folder: Path, uri: str, *, progress: Progress = lambda done, total: None) -> None:
    """Upload a finished shard folder, in the place of the one at `uri`; `progress` counts bytes.

    Raises:
        OutputError: nothing can be written there.
        StorageError: the bucket cannot be reached, or lost a file.
    """
    bucket = Bucket(uri)
    paths = {str(path.relative_to(folder).as_posix()): path for path in folder.rglob("*") if path.is_file()}
    manifest = paths.pop(NAME).read_bytes()
    sizes = {name: path.stat().st_size for name, path in paths.items()}
    there = list_files(uri)

    bucket.write(UNFINISHED, manifest)
    if NAME in there:
        bucket.delete(NAME)
    for name in there:
        if name not in paths and (SHARD_PATH.fullmatch(name) or name == REJECTS):
            bucket.delete(name)
    done, total = 0, sum(sizes.values())
    progress(done, total)
    pool = ThreadPoolExecutor(UPLOADS_AT_ONCE)
    try:
        uploads = {pool.submit(bucket.upload, path, name): name for name, path in paths.items()}
        for upload in as_completed(uploads):
            upload.result()
            done += sizes[uploads[upload]]
            progress(done, total)
    finally:
        pool.shutdown(cancel_futures=True)
    there = list_files(uri)
    for name, num_bytes in sizes.items():
        if name not in there or there[name].size != num_bytes:
            raise StorageError(f"{joined(uri, name)} did not arrive as it was sent", hint="run again")
    bucket.write(NAME, manifest)
    bucket.delete(UNFINISHED)


class Bucket:
    """Writes to the place in a bucket that a folder's URI names."""

    def __init__(self, uri: str) -> None:
        self._uri = str(Location.parse(uri))
        self._filesystem, self._path = connect(uri)

    def upload(self, path: Path, name: str) -> None:
        """Copy a file there."""
        with explained(joined(self._uri, name), writing=True):
            pf.copy_files(
                str(path),
                f"{self._path}/{name}",
                source_filesystem=pf.LocalFileSystem(),
                destination_filesystem=self._filesystem,
                use_threads=False,
            )

    def write(self, name: str, content: bytes) -> None:
        """Write a small file."""
        with (
            explained(joined(self._uri, name), writing=True),
            self._filesystem.open_output_stream(f"{self._path}/{name}") as file,
        ):
            file.write(content)

    def delete(self, name: str) -> None:
        """Remove a file."""
        with explained(joined(self._uri, name), writing=True):
            self._filesystem.delete_file(f"{self._path}/{name}")


def _check_settings(folder: Folder, name: str | None, settings: dict[str, Any]) -> None:
    """Hold the manifest there, called `name`, against the new settings."""
    if name is None:
        raise OutputError(f"{folder.name} exists and has no {NAME}", hint="replace it with --force")
    check_settings(folder.name, lambda: parse_manifest(folder.read(name), folder.path(name)), settings)
