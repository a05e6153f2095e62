"""Write one shard: a Parquet file of clean texts with labels, in row groups small enough to seek by.

A row group is the unit that training decodes, one a stream, so it is cut at 256 KB: groups of 4,096 long reviews would
be 5.5 MB, and seeking 256 streams would take 3.4 s and 1.4 GB. Only a longer text makes a longer group, by itself. The
checksum of each row group lets a reader be sure of what it decodes without reading the rest of the file.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

ROW_GROUP_BYTES = 256 << 10
ROW_GROUP_ROWS = 4096
SCHEMA = pa.schema([pa.field("text", pa.binary(), nullable=False), pa.field("label", pa.string())])


def write_shard(path: Path, parts: Iterable[pa.Table]) -> dict[str, Any] | None:
    """Write the documents of `parts` (of SCHEMA) in their order; return the manifest's entry without its path.

    None, and no file, where there is no document.
    """
    groups = cut_row_groups(parts)
    first = next(groups, None)
    if first is None:
        return None
    documents, sizes, checksums = [], [], []
    # Level 1 of zstd: 220 MB a CPU-second on review records, 150 at level 3, whose files are 3 % smaller.
    # An open file: a path costs the writer a search among file systems.
    with (
        pa.OSFile(str(path), "wb") as sink,
        pq.ParquetWriter(
            sink,
            SCHEMA,
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
            write_statistics=False,
            write_page_checksum=True,
            store_schema=False,
        ) as writer,
    ):
        group: pa.Table | None = first
        while group is not None:
            text, starts = concatenated(group.column("text"))
            documents.append(group.num_rows)
            sizes.append(len(text))
            checksums.append(row_group_checksum(text, starts))
            writer.write_table(group, row_group_size=group.num_rows)
            group = next(groups, None)
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "documents": sum(documents),
        "bytes": sum(sizes),
        "row_group_documents": documents,
        "row_group_bytes": sizes,
        "row_group_checksums": checksums,
        "file_bytes": path.stat().st_size,
        "sha256": sha256,
    }


def row_group_checksum(text: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> str:
    """Return 16 hex digits: an XXH3 over where each document starts (little-endian int64), then all text."""
    digest = xxhash.xxh3_64(starts.astype("<i8").data)
    digest.update(text.data)
    return digest.hexdigest()


def cut_row_groups(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cut documents into tables of at most ROW_GROUP_BYTES of text and ROW_GROUP_ROWS rows.

    Where the parts begin and end does not show.
    """
    rest = pa.Table.from_batches([], SCHEMA)
    for part in parts:
        table = pa.concat_tables([rest, part]).combine_chunks()
        text, starts = concatenated(table.column("text"))
        bounds = np.append(starts, len(text))
        start = 0
        while (end := row_group_end(bounds, start)) < table.num_rows:
            yield table.slice(start, end - start)
            start = end
        rest = table.slice(start)
    if rest.num_rows:
        yield rest


def row_group_end(bounds: npt.NDArray[np.int64], start: int) -> int:
    """Return the row that the group beginning at row `start` ends before; `bounds` holds where each row starts."""
    last = int(np.searchsorted(bounds, bounds[start] + ROW_GROUP_BYTES, side="right")) - 1
    return min(max(last, start + 1), start + ROW_GROUP_ROWS)


def concatenated(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Join a binary column's values, and return where each starts; one chunk, the usual case, is not copied."""
    texts, starts, position = [], [], 0
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
        texts.append(np.frombuffer(data, np.uint8)[ends[0] : ends[-1]])
        starts.append(ends[:-1] - ends[0] + position)
        position += len(texts[-1])
    return (texts[0], starts[0]) if len(texts) == 1 else (np.concatenate(texts), np.concatenate(starts))
