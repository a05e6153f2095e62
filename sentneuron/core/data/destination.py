"""Where finished shards go: a folder on this machine, or one in a bucket."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sentneuron.core.data.building import atomic_folder, building_folder
from sentneuron.core.data.locations import file_name, is_remote, local_path
from sentneuron.core.data.shard_folder import check_replaceable

Progress = Callable[[int, int | None], None]


@contextmanager
def open_destination(output: str, settings: dict[str, Any], *, force: bool, progress: Progress) -> Iterator[Path]:
    """Yield an empty local folder, whose content appears at `output` when the block ends without an error.

    What goes to a bucket is built in the current folder first. `progress` counts the bytes of the upload.

    Raises:
        OutputError: something stands at `output` that was not made with `settings`, or it cannot be written.
        StorageError: the disk is full, or the bucket cannot be reached.
    """
    if not is_remote(output):
        path = Path(local_path(output))
        check_replaceable(path, settings, force=force)
        with atomic_folder(path) as folder:
            yield folder
        return

    from sentneuron.core.data.publishing import check_publishable, publish

    check_publishable(output, settings, force=force)
    with building_folder(Path(file_name(output))) as folder:
        yield folder
        publish(folder, output, progress=progress)
