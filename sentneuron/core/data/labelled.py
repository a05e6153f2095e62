"""Texts with labels, in train, valid and test parts: what `transfer` learns from and is scored on.

The parts come from a named data set, a folder with a file for each, a file for each, or one file that is split by a
seeded hash of its clean texts, so that equal texts never stand in two parts. Everything is in memory.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.config import ReadConfig, TransferConfig
from sentneuron.core.data.blanks import NOTHING
from sentneuron.core.data.choice import choose_columns
from sentneuron.core.data.columns import candidate_keys
from sentneuron.core.data.datasets import dataset_files, is_dataset
from sentneuron.core.data.inputs import folder_files, is_folder
from sentneuron.core.data.labels import binarized, class_name, look_like_stars, sort_classes
from sentneuron.core.data.locations import joined
from sentneuron.core.data.readers import BadRow, Source, expand_inputs, open_source
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, InputNotFoundError, UsageError

PART_NAMES = {"train": ("train",), "valid": ("valid", "val", "validation", "dev"), "test": ("test",)}
MAX_CLASSES = 100

Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Example:
    """A text, as given and cleaned, with its class and its place: the row's number in its file, from 1."""

    row: int
    text: str
    clean: bytes
    label: str


@dataclass(frozen=True, kw_only=True)
class LabelledTexts:
    """The parts, and the classes in order; each part has examples of two classes at least."""

    name: str
    """What was read, for people."""
    parts: dict[str, list[Example]]
    """train, valid, and test where there is one."""
    classes: list[str]
    """Sorted as numbers where all are numbers, else as strings."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Rows left out, by reason."""

    def truth(self, part: str) -> NDArray[np.int64]:
        """Return the class numbers of a part's examples."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers[example.label] for example in self.parts[part]], np.int64)


def load_labelled(config: TransferConfig, rule: TextRule, *, announce: Announce = lambda line: None) -> LabelledTexts:
    """Read the parts that `config` names; `announce` gets a line for each choice made and each thing left out.

    Raises:
        UsageError: files of parts without --train, or several label columns.
        DataError: no text or label column, a part with a single class, or more than MAX_CLASSES classes.
        InputNotFoundError: a file or part that does not exist.
    """
    name, files = find_parts(config)
    if "test" not in files and not _is_one_file(config):
        announce(f"{name} has no test file here: no test score")
    skipped: Counter[str] = Counter()
    parts = {
        part: read_examples(paths, config.read, rule, required=part != "test", skipped=skipped, announce=announce)
        for part, paths in files.items()
    }
    if "test" in parts and not parts["test"]:
        del parts["test"]
        announce("no labels in the test part: no test score")
    parts = _binarize(parts, config.binarize, skipped, announce)
    if not any(parts.values()):
        raise DataError(f"{name}: no row has both a text and a label", hint="check --text-key and --label-key")
    if "valid" not in parts:
        whole = _is_one_file(config) and "test" not in files
        shares = {"train": 8, "valid": 1, "test": 1} if whole else {"train": 9, "valid": 1}
        parts |= split_by_hash(parts["train"], shares, seed=config.seed)
        announce(f"split by a hash of the text: {', '.join(f'{part} {len(parts[part]):,}' for part in shares)}")
    classes = sort_classes(example.label for example in parts["train"])
    parts = {part: _known(examples, part, classes, skipped) for part, examples in parts.items()}
    for part, examples in parts.items():
        _check_classes(name, part, examples)
    return LabelledTexts(name=name, parts=parts, classes=classes, skipped=dict(skipped))


def find_parts(config: TransferConfig) -> tuple[str, dict[str, list[str]]]:
    """Return what the data is called and the files of each part; a single file or a glob is all `train`.

    Raises:
        UsageError: --valid or --test without --train.
        InputNotFoundError: nothing is there, or no train file in a folder.
    """
    given = {"train": config.train, "valid": config.valid, "test": config.test}
    files = {part: expand_inputs([path]) for part, path in given.items() if path is not None}
    if "train" in files:
        return config.train or "", files
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


def read_examples(
    paths: Sequence[str],
    read: ReadConfig,
    rule: TextRule,
    *,
    required: bool = True,
    skipped: Counter[str],
    announce: Announce = lambda line: None,
) -> list[Example]:
    """Return the rows that have a text and a label; the others are counted in `skipped`, by reason.

    Without a label column: nothing, unless it is `required`.

    Raises:
        DataError: no text column, or no label column where one is required.
        UsageError: several label columns.
    """
    examples: list[Example] = []
    for path in paths:
        with open_source(path, read) as source:
            columns = source.columns or []
            is_named = read.label_key != "auto"
            if is_named and not required and not candidate_keys(columns, [read.label_key, *read.label_key.split(",")]):
                continue
            text_key, label_keys, line = choose_columns(source.name, columns, read, needs_label=required)
            if len(label_keys) > 1:
                raise UsageError(f"--label-key {','.join(label_keys)}: several labels", hint="give one column")
            announce(line)
            if label_keys:
                examples.extend(_examples(source, text_key, label_keys[0], rule, skipped))
    return examples


def _examples(
    source: Source, text_key: str, label_key: str, rule: TextRule, skipped: Counter[str]
) -> Iterator[Example]:
    """Yield the rows of a source that have a text and a label."""
    rows: list[tuple[int, str, str | None]] = []
    for number, row in enumerate(source.rows(), 1):
        if isinstance(row, BadRow):
            skipped[row.reason] += 1
        else:
            text = row.fields.get(text_key)
            rows.append((number, text if isinstance(text, str) else "", class_name(row.fields.get(label_key))))
    for (number, text, label), clean in zip(rows, rule.clean_all([text for _, text, _ in rows]), strict=True):
        if clean == NOTHING:
            skipped["no text"] += 1
        elif label is None:
            skipped["no label"] += 1
        else:
            yield Example(number, text, clean, label)


def split_by_hash(examples: Sequence[Example], shares: dict[str, int], *, seed: int) -> dict[str, list[Example]]:
    """Deal examples to the parts in these proportions by a seeded hash of the clean text; order is kept."""
    deal = [part for part, share in shares.items() for _ in range(share)]
    parts: dict[str, list[Example]] = {part: [] for part in shares}
    for example in examples:
        digest = hashlib.sha256(f"{seed}\n".encode() + example.clean).digest()
        parts[deal[int.from_bytes(digest[:8], "big") % len(deal)]].append(example)
    return parts


def _is_one_file(config: TransferConfig) -> bool:
    """Tell whether the data is one file without parts, which is split 8/1/1."""
    return config.train is not None or not (is_dataset(config.data) or is_folder(config.data))


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


def _binarize(
    parts: dict[str, list[Example]], wanted: bool | None, skipped: Counter[str], announce: Announce
) -> dict[str, list[Example]]:
    """Turn stars into classes where asked for, or where the training labels look like stars."""
    if wanted is False or (wanted is None and not look_like_stars(example.label for example in parts["train"])):
        return parts
    announce("stars become classes: at most 2 are 0, at least 4 are 1, others are left out (--no-binarize keeps them)")
    turned: dict[str, list[Example]] = {}
    for part, examples in parts.items():
        turned[part] = []
        for example in examples:
            label = binarized(example.label)
            if label is None:
                skipped["neither at most 2 nor at least 4 stars"] += 1
            else:
                turned[part].append(Example(example.row, example.text, example.clean, label))
    return turned


def _known(examples: list[Example], part: str, classes: list[str], skipped: Counter[str]) -> list[Example]:
    """Leave out examples of classes that the training part does not have."""
    kept = [example for example in examples if example.label in classes]
    if len(kept) < len(examples):
        skipped[f"label in {part} that train does not have"] += len(examples) - len(kept)
    return kept


def _check_classes(name: str, part: str, examples: list[Example]) -> None:
    """Check that a part has two classes at least, and not as many as there are texts.

    Raises:
        DataError: it has one, none, or more than MAX_CLASSES.
    """
    found = sort_classes(example.label for example in examples)
    if len(found) < 2:
        what = f"all {len(examples):,} labels are {found[0]!r}" if found else "there are no labelled texts"
        raise DataError(f"{name}: in the {part} part {what}", hint="two classes are needed; check --label-key")
    if len(found) > MAX_CLASSES:
        raise DataError(f"{name}: {len(found):,} different labels in the {part} part", hint="check --label-key")
