"""The screens of `info` about data: names and values, short enough for 80 columns. Nothing is printed here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from sentneuron.commands.info_words import MAX_NAMES, listed, shorten
from sentneuron.commands.meter import with_unit

if TYPE_CHECKING:
    from sentneuron.core.info.data import DataInfo, FileInfo

Rows = list[tuple[str, ...]]
Screen = tuple[str, Rows, tuple[str, ...]]
"""Title, rows, header."""


def data_screens(data: "DataInfo") -> list[Screen]:
    """Return what there is to say of data: one screen, or several tables for several files."""
    if len(data.files) == 1:
        return [(data.path, file_rows(data.files[0]), ())]
    files: Rows = [
        (file.part or "", shorten(PurePath(file.name).name, 30), kind_of(file), amount(file), *columns_of(file))
        for file in data.files[:MAX_NAMES]
    ]
    if len(data.files) > MAX_NAMES:
        files.append(("", f"… {len(data.files):,} files in all", "", "", "", ""))
    screens: list[Screen] = [(data.path, files, ("part", "file", "format", "rows", "text from", "label from"))]
    parts = list(dict.fromkeys(file.part or "all" for file in data.files))
    counts = {part: class_counts([file for file in data.files if (file.part or "all") == part]) for part in parts}
    names = list(dict.fromkeys(name for own in counts.values() for name in own))
    if names:
        rows: Rows = [(shorten(name, 40), *(f"{counts[part][name]:,}" for part in parts)) for name in names[:MAX_NAMES]]
        if len(names) > MAX_NAMES:
            rows.append((f"… {len(names):,} in all", *("" for _ in parts)))
        screens.append(("texts of each class, counted, as transfer takes them", rows, ("class", *parts)))
    example = next((file.example for file in data.files if file.example), None)
    left_out: Counter[str] = Counter()
    for file in data.files:
        left_out.update(file.counted.left_out if file.counted else {})
    rest: Rows = [("left out", f"{count:,}: {reason}") for reason, count in left_out.items()]
    rest += [("first text", shorten(example))] if example is not None else []
    return [*screens, ("", rest, ())] if rest else screens


def file_rows(file: "FileInfo") -> Rows:
    """Return what there is to say of one data file."""
    size = f", {with_unit(file.bytes, 'B')}" if file.bytes is not None else ""
    rows: Rows = [
        ("kind", f"data, {kind_of(file)}{size}"),
        ("columns", listed([name or "(no name)" for name in file.columns])),
    ]
    if file.text_key is None:
        rows.append(("text from", f"none: {shorten(file.problem)}"))
    else:
        rows.append(("text from", shorten(file.text_key)))
        rows.append(("label from", listed(file.label_keys) if file.label_keys else "none; name one with --label-key"))
    if file.others:
        rows.append(("there are also", listed(file.others)))
    rows.append(("rows", "not counted" if file.rows is None else f"{file.rows:,}"))
    if file.counted is not None:
        what = "with text and label" if file.label_keys else "with text"
        rows.append(("texts", f"{file.counted.texts:,} {what}, {with_unit(file.counted.text_bytes, 'B')} clean"))
        rows += [("left out", f"{count:,}: {reason}") for reason, count in file.counted.left_out.items()]
        rows += label_rows(file)
    if file.example is not None:
        rows.append(("first text", shorten(file.example)))
    return rows


def label_rows(file: "FileInfo") -> Rows:
    """Return the counts of the labels, and of the classes where `transfer` makes others of them."""
    if file.counted is None or not file.label_keys:
        return []
    labels, classes = file.counted.labels, file.counted.classes
    if labels is None or classes is None:
        return [("labels, counted", "too many different ones for classes")]
    rows: Rows = [("labels, counted", shares(labels, file.counted.texts))]
    if classes != labels:
        missing = file.counted.texts - sum(classes.values())
        told = f"{shares(classes, file.counted.texts)}; {missing:,} left out (stars between)"
        rows.append(("as transfer takes", told))
    return rows


def shares(counts: Mapping[str, int], total: int) -> str:
    """Return `0: 3,310 (47.8 %), 1: 3,610 (52.2 %)`."""
    shown = [f"{shorten(name, 40)}: {count:,} ({count / max(total, 1):.1%})" for name, count in counts.items()]
    return listed(shown)


def class_counts(files: Sequence["FileInfo"]) -> Counter[str]:
    """Add up the classes of some files."""
    total: Counter[str] = Counter()
    for file in files:
        total.update((file.counted.classes or {}) if file.counted else {})
    return total


def columns_of(file: "FileInfo") -> tuple[str, str]:
    """Return the columns with text and label, or dashes."""
    return shorten(file.text_key or "-", 20), shorten(", ".join(file.label_keys) or "-", 20)


def kind_of(file: "FileInfo") -> str:
    """Return `ndjson in gzip`."""
    return file.format + (f" in {file.compression}" if file.compression else "")


def amount(file: "FileInfo") -> str:
    """Return the rows of a file, or its size where they were not counted."""
    if file.rows is not None:
        return f"{file.rows:,}"
    return "-" if file.bytes is None else with_unit(file.bytes, "B")
