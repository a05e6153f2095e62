"""What one would write instead of `sentneuron shard`: two columns of JSON lines to one zstd-3 Parquet file, one thread.

    python benchmarks/ndjson_to_parquet.py pandas reviews.json reviews.parquet

Run as a process of its own by shard_throughput.py. Each way streams, so that memory does not grow with the input, and
reads no more than it must: no dates and no types are guessed, columns that are not asked for are skipped where the
library can skip them. No text is cleaned, hashed, sorted or checked, and one bad line ends the run.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

COLUMNS = ("reviewText", "overall")
ROWS = 50_000
"""A chunk of pandas."""
BLOCK_BYTES = 16 << 20
"""A block of pyarrow."""


def with_pandas(source: str, target: str) -> None:
    """Chunk by chunk with `read_json(lines=True)`."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    with pd.read_json(source, lines=True, chunksize=ROWS, dtype=False) as chunks:
        for chunk in chunks:
            table = pa.Table.from_pandas(chunk[list(COLUMNS)], preserve_index=False)
            if writer is None:
                writer = pq.ParquetWriter(target, table.schema, compression="zstd", compression_level=3)
            writer.write_table(table)
    if writer is not None:
        writer.close()


def with_pyarrow(source: str, target: str) -> None:
    """Block by block with `open_json` and an explicit schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import json

    pa.set_cpu_count(1)
    schema = pa.schema([(COLUMNS[0], pa.string()), (COLUMNS[1], pa.float64())])
    parse = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    read = json.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)
    with (
        json.open_json(source, read_options=read, parse_options=parse) as batches,
        pq.ParquetWriter(target, schema, compression="zstd", compression_level=3) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)


def with_polars(source: str, target: str) -> None:
    """`scan_ndjson` to `sink_parquet`; threads are set by POLARS_MAX_THREADS."""
    import polars as pl

    schema = {COLUMNS[0]: pl.String, COLUMNS[1]: pl.Float64}
    rows = pl.scan_ndjson(source, schema_overrides=schema).select(COLUMNS)
    rows.sink_parquet(target, compression="zstd", compression_level=3)


def with_duckdb(source: str, target: str) -> None:
    """`COPY (SELECT … FROM read_json(…)) TO …`, at zstd's level 3, which is duckdb's default."""
    import duckdb

    columns = f"{{{COLUMNS[0]}: 'VARCHAR', {COLUMNS[1]}: 'DOUBLE'}}"
    rows = f"SELECT {', '.join(COLUMNS)} FROM read_json(?, format = 'newline_delimited', columns = {columns})"
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)", [source])


WAYS: dict[str, Callable[[str, str], Any]] = {
    "pandas": with_pandas,
    "pyarrow": with_pyarrow,
    "polars": with_polars,
    "duckdb": with_duckdb,
}


def main() -> None:
    """Convert SOURCE to TARGET the way that is named first."""
    if len(sys.argv) != 4 or sys.argv[1] not in WAYS:
        sys.exit(f"usage: {os.path.basename(sys.argv[0])} {'|'.join(WAYS)} SOURCE TARGET")
    WAYS[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
