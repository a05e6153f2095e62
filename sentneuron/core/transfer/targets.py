"""What `classify` reads and where it writes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from sentneuron.core.config import ClassifyConfig, InputFormat, OutputFormat
from sentneuron.core.data.datasets import dataset_files, is_dataset
from sentneuron.core.data.locations import file_name
from sentneuron.core.data.readers import BadRow, Place, Row, expand_inputs, open_source
from sentneuron.core.data.sniffing import COMPRESSED_SUFFIXES, SUFFIX_FORMATS
from sentneuron.core.errors import DataError, InputNotFoundError, UsageError

DEFAULT_DATA = "sst"
SUFFIXES: dict[str, OutputFormat] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".npy": "npy",
}


class RowSource(Protocol):
    """What is needed of an input: `core.data.readers.Source` is one."""

    name: str
    format: InputFormat
    columns: list[str] | None
    schema: pa.Schema | None
    num_bytes: int | None

    @property
    def bytes_read(self) -> int:
        """Bytes consumed so far."""

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield every record."""

    def close(self) -> None:
        """Close the input."""


class GivenText:
    """The text after `--text`, as an input with one record."""

    name = "--text"
    format: InputFormat = "text"
    schema: pa.Schema | None = None

    def __init__(self, text: str) -> None:
        self.columns: list[str] | None = ["text"]
        self.num_bytes: int | None = len(text.encode("utf-8", "replace"))
        self.bytes_read = 0
        self._text = text

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield the text."""
        self.bytes_read = self.num_bytes or 0
        yield Row({"text": self._text}, Place(self.name, 1, 0))

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where results go."""

    format: OutputFormat
    rows: Path | None
    """File for the rows; None for stdout, or where `format` is npy."""
    probabilities: Path | None
    """File for the probabilities alone."""


def open_inputs(config: ClassifyConfig) -> tuple[str, list[RowSource]]:
    """Return what the data is called, and its open inputs: the text, a data set's test file, or files.

    Raises:
        InputNotFoundError: there are none.
        DataError: one is empty, or cannot be read.
    """
    if config.text is not None:
        return "the text given", [GivenText(config.text)]
    data = config.data if config.data is not None else DEFAULT_DATA
    paths = [str(path) for path in _dataset_test(data)] if is_dataset(data) else expand_inputs([data])
    name = {"-": "stdin"}.get(data, f"{data} (its test file)" if is_dataset(data) else data)
    sources: list[RowSource] = []
    try:
        for path in paths:
            sources.append(open_source(path, config.read))
    except BaseException:
        for source in sources:
            source.close()
        raise
    return name, sources


def find_target(config: ClassifyConfig, sources: Sequence[RowSource]) -> Target:
    """Return where results go: the output named, stdout for a text or stdin, files named after the data otherwise.

    An output that is named is the only one. Its format is the one asked for, that of its name, or the input's.

    Raises:
        UsageError: several inputs without an output, a binary format on stdout, or --excel-safe without CSV.
        DataError: inputs whose columns differ, where all rows need the same.
    """
    data = config.data if config.data is not None else DEFAULT_DATA
    to_stdout = config.output == Path("-") or (config.output is None and (config.text is not None or data == "-"))
    named = SUFFIXES.get(config.output.suffix.lower()) if config.output is not None else None
    chosen = config.output_format or named or _natural_format(sources[0].format, to_stdout=to_stdout)
    if config.excel_safe and chosen != "csv":
        raise UsageError(f"--excel-safe with {chosen} output", hint="add --format csv, or leave it out")
    if chosen in ("csv", "parquet"):
        _check_same_columns(sources)
    if to_stdout:
        if chosen in ("npy", "parquet"):
            raise UsageError(f"--format {chosen} on stdout", hint="name a file with -o")
        return Target(format=chosen, rows=None, probabilities=None)
    if config.output is not None:
        is_npy = chosen == "npy"
        return Target(
            format=chosen, rows=None if is_npy else config.output, probabilities=config.output if is_npy else None
        )
    if len(sources) > 1:
        raise UsageError(f"{data} is {len(sources)} files", hint="name the output with -o")
    stem = stem_of(data)
    rows = None if chosen == "npy" else Path(f"{stem}.classified.{chosen}")
    return Target(format=chosen, rows=rows, probabilities=Path(f"{stem}.probs.npy"))


def stem_of(data: str) -> str:
    """Return the name of an input without folder and extensions: `reviews` for `x/reviews.json.gz`."""
    path = Path(file_name(data) or Path(data).resolve().name)
    while path.suffix.lower() in (*COMPRESSED_SUFFIXES, *SUFFIX_FORMATS):
        path = path.with_suffix("")
    return path.name


def _natural_format(input_format: InputFormat, *, to_stdout: bool) -> OutputFormat:
    if input_format in ("ndjson", "json", "python"):
        return "jsonl"
    return "parquet" if input_format == "parquet" and not to_stdout else "csv"


def _check_same_columns(sources: Sequence[RowSource]) -> None:
    first = sources[0]
    for source in sources[1:]:
        if source.columns != first.columns or source.schema != first.schema:
            raise DataError(
                f"{source.name} has other columns than {first.name}", hint="use --format jsonl, or one file at a time"
            )


def _dataset_test(name: str) -> list[Path]:
    files = dataset_files(name, splits=("test",))
    if "test" not in files:
        raise InputNotFoundError(f"the test file of {name} is not here", hint="name a file to classify")
    return [files["test"]]
