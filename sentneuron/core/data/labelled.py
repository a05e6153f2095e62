"""Texts with labels, in train, valid and test parts: what `transfer` learns from and is scored on.

The parts come from a named data set, a folder with a file for each, a file for each, or one file that is split (see
parts.py). Everything is in memory.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sentneuron.core.config import TransferConfig
from sentneuron.core.data.examples import Announce, Example, read_examples
from sentneuron.core.data.labels import binarized, look_like_stars, sort_classes
from sentneuron.core.data.parts import find_parts, is_one_file, split_by_hash
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, UsageError

MAX_CLASSES = 100
CHECK_LABELS = "two classes are needed; check --label-key"
TOO_FEW = "there are few texts to split: name a file with --valid, or cross-validate one file with --folds 5"


@dataclass(frozen=True, kw_only=True)
class LabelledTexts:
    """The parts, and the classes in order; each part has examples, of exclusive classes those of two at least."""

    name: str
    """What was read, for people."""
    parts: dict[str, list[Example]]
    """train; valid, unless the data is cross-validated; and test where there is one."""
    classes: list[str]
    """Sorted as numbers where all are numbers, else as strings; several labels in the order of their columns."""
    multi_label: bool = False
    """Each class is a label of its own, of which any number may hold."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Rows left out, by reason."""

    def truth(self, part: str) -> NDArray[np.int64]:
        """Return the class numbers [N] of a part's examples; of several labels which hold [N, classes], as 0 and 1."""
        if self.multi_label:
            return np.array([example.holds for example in self.parts[part]], np.int64)
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers[example.label] for example in self.parts[part]], np.int64)


def load_labelled(config: TransferConfig, rule: TextRule, *, announce: Announce = lambda line: None) -> LabelledTexts:
    """Read the parts that `config` names; `announce` gets a line for each choice made and each thing left out.

    Raises:
        UsageError: files of parts without --train, or options that do not go with the data.
        DataError: no text or label column, a part with a single class, or more than MAX_CLASSES classes.
        InputNotFoundError: a file or part that does not exist.
    """
    name, files = find_parts(config)
    if "test" not in files and not is_one_file(config):
        announce(f"{name} has no test file here: no test score")
    skipped: Counter[str] = Counter()
    parts: dict[str, list[Example]] = {}
    columns: dict[str, list[str]] = {}
    for part, paths in files.items():
        parts[part], columns[part] = read_examples(
            paths, config.read, rule, required=part != "test", skipped=skipped, announce=announce
        )
    labels = columns["train"]
    multi_label = len(labels) > 1
    if "test" in parts and not parts["test"]:
        del parts["test"]
        announce("no labels in the test part: no test score")
    if not multi_label:
        parts = _binarize(parts, config.binarize, skipped, announce)
    elif config.binarize:
        raise UsageError(f"--binarize with {len(labels)} labels", hint="it turns one column of stars into classes")
    if not any(parts.values()):
        raise DataError(f"{name}: no row has both a text and a label", hint="check --text-key and --label-key")
    dealt: dict[str, int] = {}
    if config.folds is not None:
        _check_enough(parts["train"], config.folds)
    elif "valid" not in parts:
        whole = is_one_file(config) and "test" not in files
        dealt = {"train": 8, "valid": 1, "test": 1} if whole else {"train": 9, "valid": 1}
        parts |= split_by_hash(parts["train"], dealt, seed=config.seed)
        announce(f"split by a hash of the text: {', '.join(f'{part} {len(parts[part]):,}' for part in dealt)}")
    if multi_label:
        classes = labels
        _check_labels(name, parts, classes, announce)
    else:
        classes = sort_classes(example.label for example in parts["train"])
        parts = {part: _known(examples, part, classes, skipped) for part, examples in parts.items()}
        if "test" in parts and not parts["test"]:
            del parts["test"]
            announce("no labels of train in the test part: no test score")
        for part, examples in parts.items():
            _check_classes(name, part, examples, hint=TOO_FEW if part in dealt and part != "train" else CHECK_LABELS)
    return LabelledTexts(name=name, parts=parts, classes=classes, multi_label=multi_label, skipped=dict(skipped))


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
    known = set(classes)
    kept = [example for example in examples if example.label in known]
    if len(kept) < len(examples):
        skipped[f"label in {part} that train does not have"] += len(examples) - len(kept)
    return kept


def _check_classes(name: str, part: str, examples: list[Example], *, hint: str) -> None:
    """Check that a part has two classes at least, and not as many as there are texts.

    Raises:
        DataError: it has one, none, or more than MAX_CLASSES.
    """
    found = sort_classes(example.label for example in examples)
    if len(found) < 2:
        what = f"all {len(examples):,} labels are {found[0]!r}" if found else "there are no labelled texts"
        raise DataError(f"{name}: in the {part} part {what}", hint=hint)
    if len(found) > MAX_CLASSES:
        raise DataError(f"{name}: {len(found):,} different labels in the {part} part", hint="check --label-key")


def _check_enough(examples: list[Example], folds: int) -> None:
    """Check that each fold gets two different texts at least, so that there is one to learn from and one to choose C.

    Raises:
        UsageError: there are fewer.
    """
    count = len({example.clean for example in examples})
    if count < 2 * folds:
        raise UsageError(f"--folds {folds}: there are {count} different texts", hint="each fold needs two")


def _check_labels(name: str, parts: dict[str, list[Example]], labels: list[str], announce: Announce) -> None:
    """Check that each part has texts, and that there is a label to learn; `announce` gets those that are not.

    Raises:
        DataError: a part is empty, or every label is the same for all texts of train.
    """
    for part, examples in parts.items():
        if not examples:
            raise DataError(f"{name}: in the {part} part there are no labelled texts", hint="check --label-key")
    holds = np.array([example.holds for example in parts["train"]])
    constant = [label for label, values in zip(labels, holds.T, strict=True) if values.all() or not values.any()]
    if len(constant) == len(labels):
        raise DataError(f"{name}: every label is the same for all texts of train", hint="check --label-key")
    if constant:
        announce(f"the same for all texts of train, and nothing to learn: {', '.join(constant)}")
