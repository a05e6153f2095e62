"""What data files hold, as the commands would read them: the columns that are taken, the texts and the labels.

Counting reads a file from end to end, in memory that does not grow with it; the rows of a Parquet file are known from
its footer, too. Texts and labels are told apart by what `transfer` uses.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sentneuron.core.config import ReadConfig
from sentneuron.core.data.blanks import NOTHING
from sentneuron.core.data.choice import choose_columns, other_candidates
from sentneuron.core.data.examples import labelled_rows
from sentneuron.core.data.labels import NO_LABEL, binarized, look_like_stars, sort_classes
from sentneuron.core.data.readers import Source, open_source
from sentneuron.core.data.records import BLANK, BadRow
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError

MAX_LABELS = 1_000
"""Different labels that are counted; a column with more is none of labels."""
EXAMPLE_CHARACTERS = 300
PROGRESS_ROWS = 1_000

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class CountInfo:
    """What reading a file from end to end gave."""

    texts: int
    """Rows with a text and, where there is a label column, a label."""
    text_bytes: int
    """Of these texts, clean, without padding."""
    left_out: dict[str, int]
    """Rows without, by reason."""
    labels: dict[str, int] | None
    """Texts of each label as it stands, in the order of classes; of several label columns, texts for which each holds.
    None without a label column, or where there are more than MAX_LABELS different ones."""
    classes: dict[str, int] | None
    """The same as `transfer` takes them: stars as two classes."""


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """One data file."""

    name: str
    part: str | None
    """train, valid or test, of a folder that has these."""
    format: str
    compression: str | None
    bytes: int | None
    """As stored; None of a pipe."""
    columns: list[str]
    rows: int | None
    """None where they were not counted."""
    text_key: str | None
    label_keys: list[str]
    others: list[str]
    """Columns that could be text or label, too."""
    problem: str | None
    """Why no column is taken."""
    example: str | None
    """The beginning of the first text."""
    counted: CountInfo | None
    """None where nothing was counted."""


@dataclass(frozen=True, kw_only=True)
class DataInfo:
    """One or several data files."""

    path: str
    files: list[FileInfo]


def describe_data(
    path: str, files: Sequence[tuple[str, str | None]], read: ReadConfig, *, count: bool, progress: Progress
) -> DataInfo:
    """Describe files, each with the part that it is, if any.

    Without `count` nothing is read but the beginnings. `progress` counts the bytes of one file after the other.

    Raises:
        InputNotFoundError, DataError, StorageError: one cannot be read, or lacks a column that `read` names.
    """
    found: list[FileInfo] = []
    is_stars: bool | None = None
    for file, part in files:
        with open_source(file, read) as source:
            found.append(_describe(source, read, part, is_stars, count=count, progress=progress))
        counted = found[-1].counted
        if part == "train" and counted is not None and counted.labels is not None:
            is_stars = look_like_stars(counted.labels)  # as train's are, so are the others
    return DataInfo(path=path, files=found)


def _describe(
    source: Source, read: ReadConfig, part: str | None, is_stars: bool | None, *, count: bool, progress: Progress
) -> FileInfo:
    """Describe an open file; None for `is_stars` leaves its labels to say so."""
    text_key, label_keys, problem = _choose(source, read)
    rows, counted, example = source.num_rows, None, None
    if text_key is None:
        rows = _count_rows(source, progress) if count else rows
    elif count:
        rows, counted, example = _count(source, text_key, label_keys, is_stars, progress)
    else:
        first = next(labelled_rows(source, text_key, [], TextRule(), Counter()), None)
        example = None if first is None else first.text
    return FileInfo(
        name=source.name,
        part=part,
        format=source.format,
        compression=source.compression,
        bytes=source.num_bytes,
        columns=source.columns or [],
        rows=rows,
        text_key=text_key,
        label_keys=label_keys,
        others=[] if text_key is None else other_candidates(source.columns or [], [text_key, *label_keys]),
        problem=problem,
        example=None if example is None else " ".join(example[:EXAMPLE_CHARACTERS].split()),
        counted=counted,
    )


def _choose(source: Source, read: ReadConfig) -> tuple[str | None, list[str], str | None]:
    """Return the columns that are taken; no text column where there is none to find, and a line that says so."""
    try:
        return (*choose_columns(source.name, source.columns or [], read)[:2], None)
    except DataError as error:
        if read.text_key != "auto" or read.label_key != "auto":
            raise
        return None, [], f"{error.message}; {error.hint}"


def _count_rows(source: Source, progress: Progress) -> int:
    """Count the records of a source that has no texts."""
    count = 0
    for number, row in enumerate(source.rows()):
        count += not (isinstance(row, BadRow) and row.reason == BLANK)
        if number % PROGRESS_ROWS == 0:
            progress(source.bytes_read, source.num_bytes)
    return count


def _count(
    source: Source, text_key: str, label_keys: list[str], is_stars: bool | None, progress: Progress
) -> tuple[int, CountInfo, str | None]:
    """Read a source to its end; return its records, the counts and the first text."""
    left_out: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    texts, text_bytes, example = 0, 0, None
    for row in labelled_rows(source, text_key, label_keys, TextRule(), left_out):
        example = row.text if example is None else example
        if texts % PROGRESS_ROWS == 0:
            progress(source.bytes_read, source.num_bytes)
        texts += 1
        text_bytes += len(row.clean) - len(NOTHING)
        if len(labels) <= MAX_LABELS:
            holding = [key for key, holds in zip(label_keys, row.holds, strict=False) if holds]
            labels.update(holding or [row.label])
    rows = texts + left_out.total() - left_out[BLANK]
    named = _in_order(labels, label_keys) if label_keys and len(labels) <= MAX_LABELS else None
    classes = None if named is None else _as_classes(named, label_keys, is_stars)
    counts = dict(left_out.most_common())
    counted = CountInfo(texts=texts, text_bytes=text_bytes, left_out=counts, labels=named, classes=classes)
    return rows, counted, example


def _in_order(labels: Counter[str], label_keys: list[str]) -> dict[str, int]:
    """Return counts in the order of classes: of several labels that of their columns, and last the texts of none."""
    if len(label_keys) > 1:
        return {key: labels[key] for key in label_keys} | {name: labels[name] for name in labels if name == NO_LABEL}
    return {name: labels[name] for name in sort_classes(labels)}


def _as_classes(labels: dict[str, int], label_keys: list[str], is_stars: bool | None) -> dict[str, int]:
    """Return the counts of what `transfer` makes of the labels; `is_stars` None: they look like stars or do not."""
    if len(label_keys) > 1 or not (look_like_stars(labels) if is_stars is None else is_stars):
        return labels
    classes: Counter[str] = Counter()
    for name, count in labels.items():
        turned = binarized(name)
        classes.update({turned: count} if turned is not None else {})
    return {name: classes[name] for name in sort_classes(classes)}
