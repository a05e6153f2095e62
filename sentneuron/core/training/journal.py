"""The log of a run: one JSON object a line, appended as it happens, cut back to the step that a run resumes from."""

import json
from pathlib import Path
from typing import Any

from sentneuron.core.atomic import atomic_open, storage_error


def log_path(save: Path) -> Path:
    """Return where the log of a run lies: `model.log.jsonl` beside `model.pt`."""
    return save.with_suffix(".log.jsonl")


class Journal:
    """Appends to `path`; opening it drops every line after `step`, and a line that was cut off."""

    def __init__(self, path: Path, *, step: int) -> None:
        """Open the log of a run that stands at `step`.

        Raises:
            OutputError, StorageError: it cannot be written.
        """
        self.path = path
        kept = [line for line in read_lines(path) if line["step"] <= step] if step else []
        with atomic_open(path) as file:
            file.writelines(json.dumps(line) + "\n" for line in kept)

    def write(self, **values: Any) -> None:
        """Append one line.

        Raises:
            OutputError, StorageError: it cannot be written.
        """
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")
        except OSError as error:
            raise storage_error(error, self.path) from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a log; a last line that was cut off by a kill is left out."""
    lines: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return lines
