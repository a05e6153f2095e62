"""Which files make the train, valid and test parts of labelled data, and how one file is split into them.

One file is split by a seeded hash of its clean texts, so that equal texts never stand in two parts.
"""

import hashlib
from collections.abc import Sequence

from sentneuron.core.config import TransferConfig
from sentneuron.core.data.datasets import dataset_files, is_dataset
from sentneuron.core.data.examples import Example
from sentneuron.core.data.inputs import folder_files, is_folder
from sentneuron.core.data.locations import joined
from sentneuron.core.data.readers import expand_inputs
from sentneuron.core.errors import InputNotFoundError, UsageError

PART_NAMES = {"train": ("train",), "valid": ("valid", "val", "validation", "dev"), "test": ("test",)}


def find_parts(config: TransferConfig) -> tuple[str, dict[str, list[str]]]:
    """Return what the data is called and the files of each part; a single file or a glob is all `train`.

    Raises:
        UsageError: --train with --data, or --valid or --test without either; --folds with data that has parts.
        InputNotFoundError: nothing is there, or no train file in a folder.
    """
    name, files = _find(config)
    if config.folds is not None and len(files) > 1:
        others = " and ".join(f"a {part} part" for part in files if part != "train")
        raise UsageError(
            f"--folds {config.folds}: {name} has {others}", hint="leave --folds out, or name one file with --train"
        )
    return name, files


def is_one_file(config: TransferConfig) -> bool:
    """Tell whether the data is one file without parts, which is split 8/1/1."""
    return config.train is not None or not (is_dataset(config.data) or is_folder(config.data))


def split_by_hash(examples: Sequence[Example], shares: dict[str, int], *, seed: int) -> dict[str, list[Example]]:
    """Deal examples to the parts in these proportions by a seeded hash of the clean text; order is kept."""
    deal = [part for part, share in shares.items() for _ in range(share)]
    parts: dict[str, list[Example]] = {part: [] for part in shares}
    for example in examples:
        digest = hashlib.sha256(f"{seed}\n".encode() + example.clean).digest()
        parts[deal[int.from_bytes(digest[:8], "big") % len(deal)]].append(example)
    return parts


def _find(config: TransferConfig) -> tuple[str, dict[str, list[str]]]:
    """Do what `find_parts` does, whatever --folds says."""
    given = {"train": config.train, "valid": config.valid, "test": config.test}
    files = {part: expand_inputs([path]) for part, path in given.items() if path is not None}
    if config.train is not None:
        if config.data != TransferConfig.data:
            raise UsageError(f"--train {config.train} and --data {config.data}", hint="give one of them")
        return config.train, files
    if is_dataset(config.data):
        found = dataset_files(config.data, splits=("train", "val", "test"))
        name, own = config.data, {"valid" if split == "val" else split: [str(path)] for split, path in found.items()}
    elif is_folder(config.data):
        name, own = config.data, {part: [path] for part, path in _folder_parts(config.data).items()}
    elif files:
        raise UsageError(f"--{min(files)} with --data {config.data}, which is one file", hint="give --train as well")
    else:
        name, own = config.data, {"train": expand_inputs([config.data])}
    return name, own | files


def _folder_parts(folder: str) -> dict[str, str]:
    """Find the file of each part by its name up to the first dot."""
    found: dict[str, str] = {}
    files = folder_files(folder)
    for part, names in PART_NAMES.items():
        matching = [name for name in files if name.split(".")[0].lower() in names]
        if len(matching) > 1:
            raise UsageError(f"{folder}: both {matching[0]} and {matching[1]}", hint=f"name one with --{part}")
        if matching:
            found[part] = joined(folder, matching[0])
    if "train" not in found:
        raise InputNotFoundError(f"{folder} has no train file", hint="name the files with --train, --valid and --test")
    return found
