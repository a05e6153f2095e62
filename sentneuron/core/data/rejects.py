"""Records that were skipped: each with its place in `rejects.ndjson`, and counted by reason with the first few places.

A record is malformed when it cannot be read or its text is not text. One without text (a blank line, null, a missing
field, nothing left after cleaning) is skipped too, but is no sign of a broken file and counts towards no limit.
"""

import json
from typing import IO, Any

from sentneuron.core.data.records import BLANK, Place
from sentneuron.core.errors import DataError

NO_TEXT = "no text"
EMPTY = "empty"
WITHOUT_TEXT = (BLANK, NO_TEXT, EMPTY)
NOT_TEXT = "text is not a string"
FIRST_PLACES = 5


class Rejects:
    """Count and write skipped records; `counts` is by reason."""

    def __init__(self, file: IO[str], *, fail: bool) -> None:
        """Write to `file`; with `fail`, stop at the first malformed record."""
        self.counts: dict[str, int] = {}
        self._first: dict[str, list[dict[str, Any]]] = {}
        self._file = file
        self._fail = fail

    @property
    def num_skipped(self) -> int:
        """All skipped records."""
        return sum(self.counts.values())

    @property
    def num_malformed(self) -> int:
        """Those that count towards the limit."""
        return sum(count for reason, count in self.counts.items() if reason not in WITHOUT_TEXT)

    def add(self, reason: str, place: Place) -> None:
        """Skip the record at `place`.

        Raises:
            DataError: it is malformed, and the first such record ends the run.
        """
        if self._fail and reason not in WITHOUT_TEXT:
            raise DataError(
                f"{place.source}, line {place.line}: {reason}", hint="mend it, or let it be skipped: --on-error skip"
            )
        where = {"source": place.source, "line": place.line, "byte_offset": place.byte_offset}
        self._file.write(json.dumps({**where, "reason": reason}) + "\n")
        self.counts[reason] = self.counts.get(reason, 0) + 1
        first = self._first.setdefault(reason, [])
        if len(first) < FIRST_PLACES:
            first.append(where)

    def check(self, num_read: int, *, max_bad: float) -> None:
        """Compare the share of malformed records with the largest allowed.

        Raises:
            DataError: there are more; names the commonest reason and its first place.
        """
        bad = self.num_malformed
        if bad <= max_bad * num_read:
            return
        reason = max((r for r in self.counts if r not in WITHOUT_TEXT), key=lambda reason: self.counts[reason])
        place = self._first[reason][0]
        raise DataError(
            f"{bad:,} of {num_read:,} records are malformed ({bad / num_read:.2%}, more than {max_bad:.4g} of all), "
            f"most often: {reason}, first at {place['source']}, line {place['line']}",
            hint="check the file and --format, or allow more with --max-bad",
        )

    def summary(self) -> dict[str, Any]:
        """Return plain values for the manifest: by reason the count and the first places."""
        return {reason: {"count": count, "first": self._first[reason]} for reason, count in sorted(self.counts.items())}
