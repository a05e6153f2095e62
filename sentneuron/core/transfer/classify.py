"""The engine of `classify`: rows in, the same rows out with prediction, probability and the sentiment neuron's value.

Works through a few thousand rows a rank at a time; memory does not grow with the input. The ranks compute features
together (see feature_pool.py); rank 0 does all the rest. Every record gives a row: one without text gets empty results,
a blank line of a text file is such a record, and a record that cannot be read ends the run, since there is no row to
write for it. Blank lines between the records of other formats are no records.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch

from sentneuron.core.atomic import atomic_open
from sentneuron.core.config import ClassifyConfig
from sentneuron.core.data.choice import choose_columns
from sentneuron.core.data.readers import BadRow
from sentneuron.core.errors import DataError
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.device import pick_device
from sentneuron.core.model.locate import find_model
from sentneuron.core.transfer.classifier import Classifier, Scored
from sentneuron.core.transfer.feature_pool import FeaturePool
from sentneuron.core.transfer.features import Progress, no_progress, part_of
from sentneuron.core.transfer.label_scores import LabelScores, LabelSetCounts, make_counts
from sentneuron.core.transfer.outputs import NpyWriter, RowWriter, open_rows
from sentneuron.core.transfer.result_columns import ResultColumns
from sentneuron.core.transfer.targets import RowSource, Target, find_target, open_inputs

CHUNK_ROWS = 4096
CHUNK_CHARACTERS = 4 << 20
"""How much is read at a time, for each rank."""

Announce = Callable[[str], None]
Fields = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class ClassifyReport:
    """What was classified."""

    model: str
    """The classifier file."""
    data: str
    """What was read, for people."""
    rows: int
    """Records in and rows out."""
    without_text: int
    """Rows with empty results."""
    num_bytes: int
    """Bytes of input."""
    seconds: float
    """From the first row read to the last one written; loading the model is not in it."""
    rows_per_second: float
    bytes_per_second: float
    predictions: dict[str, int]
    """Rows of each prediction."""
    scores: dict[str, Any] | None
    """Against the input's labels, where they are classes: as `metrics.Scores.to_dict`, with `classes`."""
    outputs: list[Path]
    """Files written; none where the rows went to stdout."""
    result: Fields | None = field(repr=False)
    """The row, where one text was given."""


def classify(
    config: ClassifyConfig,
    *,
    ranks: Ranks | None = None,
    device: torch.device | None = None,
    stdout: IO[bytes] | None = None,
    progress: Progress = no_progress,
    announce: Announce = lambda line: None,
) -> ClassifyReport | None:
    """Classify `config.data` or `config.text`; `progress` counts bytes of input, `announce` gets the choices made.

    The rows of stdin and of a text go to `stdout` where no output is named, and nowhere without it. Scores are those
    of the likelier class, whatever `config.neutral` calls it.

    All `ranks` call this together; None stands alone. Rank 0 alone reads, writes and returns a report. `device` is this
    rank's; None: `config.device`.

    Raises:
        UsageError: options that do not go with this classifier or this data.
        DataError: a language model without a classifier, one whose features are not finite, or an input with a record
            that cannot be read.
        InputNotFoundError: no such model or data.
        OutputError, StorageError: an output cannot be written.
        LostRankError: another rank is gone, or hangs.
    """
    ranks = ranks or Ranks()
    device = device or pick_device(config.device)
    with FeaturePool(ranks) as pool:
        if ranks.is_first:
            return _classify(config, pool, ranks.size, device, stdout, progress, announce)
        _load(config, find_model(config.model)[0], device, pool).serve()
        return None


def _classify(
    config: ClassifyConfig,
    pool: FeaturePool,
    num_ranks: int,
    device: torch.device,
    stdout: IO[bytes] | None,
    progress: Progress,
    announce: Announce,
) -> ClassifyReport:
    """Do what `classify` does on rank 0."""
    model, model_name = find_model(config.model)
    data_name, sources = open_inputs(config)
    with ExitStack() as stack:
        for source in sources:
            stack.callback(source.close)
        announce(f"classifying {data_name} with {model_name}")
        target = find_target(config, sources)
        keys = [_choose_keys(source, config, announce) for source in sources]
        classifier = _load(config, model, device, pool)
        taken = [name for source in sources for name in source.columns or []]
        classes, multi_label = classifier.classes, classifier.multi_label
        added = ResultColumns(classes, multi_label=multi_label, taken=taken, neutral=config.neutral)
        results = _Results(stack, target, stdout, sources[0], added, excel_safe=config.excel_safe)
        label_scores = make_counts(classes, multi_label=multi_label)
        done, total, started = 0, _total_bytes(sources), time.monotonic()
        for source, (text_key, named) in zip(sources, keys, strict=True):
            label_keys = label_scores.keys(source.columns or [], named)
            if len(label_keys) > 1 and not named:
                announce(f"{source.name}: the classifier's labels are columns, too: {', '.join(label_keys)}")
            before = done
            for rows in chunks(source, text_key, num_ranks=num_ranks):
                texts = [text if isinstance(text := row.get(text_key), str) else "" for row in rows]
                after = done + source.bytes_read
                scored = classifier.score(texts, progress=part_of(progress, before, after, total))
                before = after
                results.write(rows, scored)
                if label_keys:
                    label_scores.add_rows(rows, label_keys, scored.probabilities)
            done += source.bytes_read
        results.finish()
        seconds = max(time.monotonic() - started, 1e-6)
    return ClassifyReport(
        model=str(model),
        data=data_name,
        rows=results.num_rows,
        without_text=added.num_without_text,
        num_bytes=done,
        seconds=seconds,
        rows_per_second=results.num_rows / seconds,
        bytes_per_second=done / seconds,
        predictions=dict(added.counts),
        scores=_scores(label_scores, announce),
        outputs=[path for path in (target.rows, target.probabilities) if path is not None],
        result=results.last if config.text is not None else None,
    )


def _load(config: ClassifyConfig, model: Path, device: torch.device, pool: FeaturePool) -> Classifier:
    """Read the classifier, with the settings that all ranks must share."""
    return Classifier.load(model, device=device, neurons=config.neurons, precision=config.precision, pool=pool)


class _Results:
    """The outputs of one run; the files appear when `stack` ends without an error."""

    def __init__(
        self,
        stack: ExitStack,
        target: Target,
        stdout: IO[bytes] | None,
        source: RowSource,
        added: ResultColumns,
        *,
        excel_safe: bool = False,
    ) -> None:
        self.num_rows = 0
        self.last: Fields | None = None
        """The row written last."""
        self._added = added
        self._rows: RowWriter | None = None
        self._probabilities: NpyWriter | None = None
        if target.probabilities is not None:
            file = stack.enter_context(atomic_open(target.probabilities, "w+b"))
            self._probabilities = NpyWriter(file, max(1, len(added.types) - 2))
        rows_file = stdout if target.rows is None else stack.enter_context(atomic_open(target.rows, "wb"))
        if rows_file is not None and target.format != "npy":
            columns = source.columns or []
            writer = open_rows(rows_file, target.format, columns, added.types, source.schema, excel_safe=excel_safe)
            self._rows = stack.enter_context(writer)

    def write(self, rows: list[Fields], scored: Scored) -> None:
        """Write rows with their results.

        Raises:
            DataError: a row does not fit the columns of the first ones.
        """
        for row in rows:
            clash = row.keys() & self._added.types.keys()
            if clash:
                raise DataError(
                    f"a record has the field {min(clash)!r}, which the first records do not have",
                    hint="rename it in the input",
                )
        whole = [row | result for row, result in zip(rows, self._added.values(scored), strict=True)]
        if self._rows is not None:
            self._rows.write(whole)
        if self._probabilities is not None:
            self._probabilities.write(self._added.shown(scored))
        self.num_rows += len(rows)
        self.last = whole[-1]

    def finish(self) -> None:
        """Complete the probabilities' header."""
        if self._probabilities is not None:
            self._probabilities.close()


def chunks(source: RowSource, text_key: str, *, num_ranks: int = 1) -> Iterator[list[Fields]]:
    """Yield the records, a few thousand or a few megabytes of text at a time for each rank.

    Raises:
        DataError: a record cannot be read; it names the place.
    """
    rows: list[Fields] = []
    num_characters = 0
    for row in source.rows():
        if isinstance(row, BadRow):
            if row.reason != "blank":
                raise DataError(f"{row.place}: {row.reason}", hint="mend that record, or take it out")
            if source.columns is None or len(source.columns) > 1 or source.format in ("ndjson", "json", "python"):
                continue
            fields: Fields = {text_key: ""}
        else:
            fields = row.fields
        rows.append(fields)
        num_characters += len(text) if isinstance(text := fields.get(text_key), str) else 0
        if len(rows) >= CHUNK_ROWS * num_ranks or num_characters >= CHUNK_CHARACTERS * num_ranks:
            yield rows
            rows, num_characters = [], 0
    if rows:
        yield rows


def _choose_keys(source: RowSource, config: ClassifyConfig, announce: Announce) -> tuple[str, list[str]]:
    """Return the column with the text, and those with labels."""
    if source.format == "text":
        return "text", []
    text_key, label_keys, line = choose_columns(source.name, source.columns or [], config.read)
    announce(line)
    return text_key, label_keys


def _total_bytes(sources: Sequence[RowSource]) -> int | None:
    """Return the size of all inputs, None where one is a pipe."""
    sizes = [source.num_bytes for source in sources if source.num_bytes is not None]
    return sum(sizes) if len(sizes) == len(sources) else None


def _scores(label_scores: LabelScores | LabelSetCounts, announce: Announce) -> dict[str, Any] | None:
    """Return the scores, and say which labels could not be scored."""
    scores = label_scores.result()
    num_scored = 0 if scores is None else scores.num_rows
    if num_scored < label_scores.num_labels:
        missed = label_scores.num_labels - num_scored
        announce(f"{missed:,} of {label_scores.num_labels:,} labels are not among the classes: not scored")
    return None if scores is None else scores.to_dict() | {"classes": scores.classes}
