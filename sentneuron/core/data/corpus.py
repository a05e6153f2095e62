"""From what a user names to a shard folder: a folder as it is, a data set or a text file sharded once into a cache."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from sentneuron.core.config import ShardConfig
from sentneuron.core.data import manifest
from sentneuron.core.data.compression import CountedInput
from sentneuron.core.data.datasets import dataset_files, is_dataset
from sentneuron.core.data.folders import Folder
from sentneuron.core.data.inputs import expand_inputs
from sentneuron.core.data.locations import file_name, is_remote, local_path
from sentneuron.core.data.remote import look_up
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.data.shards import ShardSet, open_shards
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import UsageError
from sentneuron.core.lock import file_lock

CORPUS_SPLITS = ("train", "unsup")
"""What a language model may be trained on; the test sentences of a data set are never among them."""

Progress = Callable[[int, int | None], None]
Announce = Callable[[str], None]


def find_shards(folder: Path) -> str:
    """Return the only `*.shards` folder in `folder`.

    Raises:
        UsageError: there is none, or there are several; names them.
    """
    found = sorted(path.name for path in folder.glob("*.shards") if path.is_dir())
    if len(found) == 1:
        return str(folder / found[0])
    listed = f"several *.shards folders here: {', '.join(found)}" if found else "no *.shards folder here"
    raise UsageError(f"train without DATA: {listed}", hint="name one, or try 'sentneuron train imdb'")


def open_corpus(
    data: str, *, split: tuple[int, ...], cache: Path, seed: int, progress: Progress, announce: Announce
) -> ShardSet:
    """Open a shard folder, or shard a data set or text into `cache`, keyed by content and options, and open that.

    `data` is the name of a data set, or a path, glob or URI.

    Raises:
        SentneuronError: the input is not there or cannot be used.
    """
    if data == "-":
        raise UsageError("train cannot read stdin", hint="run 'sentneuron shard - -o text.shards' first")
    if (is_remote(data) or os.path.isdir(local_path(data))) and Folder(data).exists(manifest.NAME, manifest.UNFINISHED):
        return open_shards(data)
    if is_dataset(data):
        files = dataset_files(data, splits=CORPUS_SPLITS, progress=progress)
        sources = [str(path) for path in files.values()]
    else:
        sources = expand_inputs([data])
        for source in sources:
            require_rereadable(source)
    folder = cache / f"{file_name(data).split('.')[0]}-{cache_key(sources, split, seed)}.shards"
    with file_lock(cache / "lock"):  # of several processes that want it one makes it
        if (folder / manifest.NAME).exists():
            announce(f"shards of {data}: {folder}, made by an earlier run")
            return open_shards(folder)
        announce(f"sharding {data} into {folder} first")
        options = ShardConfig(inputs=(data,), output=folder, shards=sum(split), split=split, seed=seed)
        write_shards(options, sources=sources, progress=progress)
        return open_shards(folder)


def require_rereadable(source: str) -> None:
    """Check that a source is no pipe or device, which would be empty the second time.

    Raises:
        UsageError: it is one.
    """
    if not is_remote(source) and os.path.exists(source) and not os.path.isfile(source):
        raise UsageError(
            f"train cannot read {source}, which is no file",
            hint=f"run 'sentneuron shard {source} -o text.shards' first",
        )


def cache_key(sources: Sequence[str], split: tuple[int, ...], seed: int) -> str:
    """Return a short key of the files' contents and the options that shape the shards, the text rule's version too.

    Reading an object in a bucket costs what sharding it costs, so its name, size and time of change stand for its
    content.
    """
    digest = hashlib.sha256(f"{split} {seed} {TextRule().to_dict()}".encode())
    for source in sources:
        if is_remote(source):
            info = look_up(source)
            digest.update(f"{source} {info.size} {info.mtime_ns}".encode())
        else:
            with CountedInput(source, source) as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
