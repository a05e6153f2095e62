"""How records are found in input files, and the formats of outputs."""

from dataclasses import dataclass
from typing import Literal

InputFormat = Literal["csv", "tsv", "ndjson", "json", "python", "parquet", "text"]
OutputFormat = Literal["csv", "jsonl", "parquet", "npy"]

TEXT_KEYS = ("text", "sentence", "reviewText", "review", "content", "body", "review_body", "comment", "tweet")
LABEL_KEYS = ("label", "sentiment", "overall", "rating", "stars", "star_rating", "score")


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """How records are found in input files."""

    format: InputFormat | None = None
    """Input format; found by content when None."""
    encoding: str = "utf-8"
    """Encoding of text files."""
    text_key: str = "auto"
    """Column with the text; `auto` takes the first of TEXT_KEYS."""
    label_key: str = "auto"
    """Column with the label, or several parted by commas; `auto` takes the first of LABEL_KEYS."""
