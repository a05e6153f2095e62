"""What readers yield: a record with its fields, or a bad one with its reason, and the place of either."""

from dataclasses import dataclass

BLANK = "blank"
NOT_UTF8 = "invalid UTF-8"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands."""

    source: str
    """File as given, or `stdin`."""
    line: int
    """Its first line, counted from 1; in Parquet the row."""
    byte_offset: int | None
    """Offset of its first byte in the decompressed file; None in Parquet, and in an encoding other than UTF-8."""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Row:
    """A record that was read; whether its text can be used is for the caller to say."""

    fields: dict[str, object]
    place: Place


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that could not be read."""

    reason: str
    """One of few phrases, fit for counting: `not JSON`, `invalid UTF-8`, `blank`, …"""
    place: Place
