"""Write one shard: a Parquet file of clean texts with labels, in row groups small enough to seek by.

A row group is the unit that training decodes, one a stream, so it is cut at 256 KB: groups of 4,096 long reviews would
be 5.5 MB, and seeking 256 streams would take 3.4 s and 1.4 GB. Only a longer text makes a longer group, by itself.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_BYTES = 256 << 10
ROW_GROUP_ROWS = 4096
SCHEMA = pa.schema([pa.field("text", pa.binary(), nullable=False), pa.field("label", pa.string())])

Document = tuple[bytes, str | None]


def write_shard(path: Path, documents: Iterable[Document]) -> dict[str, Any] | None:
    """Write documents in the order given; return their manifest entry without its path, or None, and no file."""
    groups = row_groups(documents)
    first = next(groups, None)
    if first is None:
        return None
    row_group_bytes, num_documents = [], 0
    with pq.ParquetWriter(
        path,
        SCHEMA,
        compression="zstd",
        compression_level=3,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        while first is not None:
            texts, labels = zip(*first, strict=True)
            columns = [pa.array(texts, pa.binary()), pa.array(labels, pa.string())]
            writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), row_group_size=len(texts))
            row_group_bytes.append(sum(map(len, texts)))
            num_documents += len(texts)
            first = next(groups, None)
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "documents": num_documents,
        "bytes": sum(row_group_bytes),
        "row_group_bytes": row_group_bytes,
        "file_bytes": path.stat().st_size,
        "sha256": sha256,
    }


def row_groups(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Cut documents into row groups of at most ROW_GROUP_BYTES of text and ROW_GROUP_ROWS rows."""
    group: list[Document] = []
    num_bytes = 0
    for document in documents:
        num_bytes += len(document[0])
        if group and (num_bytes > ROW_GROUP_BYTES or len(group) == ROW_GROUP_ROWS):
            yield group
            group, num_bytes = [], len(document[0])
        group.append(document)
    if group:
        yield group
