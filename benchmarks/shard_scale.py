"""Project `sentneuron shard` onto the whole 2014 Amazon corpus, for docs/scale.md.

    python benchmarks/shard_scale.py

Takes rates, peaks and sizes from results/shard_throughput.json and results/shard_memory.json, and measures the one cost
that grows faster than the input: the second pass reads a stretch of every spill for every part that it sorts, so that
twice the input is four times the reads. Spills are warm here: read from memory, not from a disk.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from make_corpus import Corpus
from measuring import RESULTS, summary, write_result

from sentneuron.core.config import ShardConfig
from sentneuron.core.data.blocks import BLOCK_BYTES
from sentneuron.core.data.merging import PART_BYTES
from sentneuron.core.data.spills import KeyRange, read_spill, write_spill

RECORDS = 82.8e6
TEXT_BYTES = 38e9
BYTES_A_RECORD = 700
"""Of JSON, as in make_corpus.py; the text is 459 of them."""
ROUNDS = 9


def read_seconds() -> dict[str, float]:
    """Time what is read of one spill for one shard; returns reads a second with quartiles."""
    texts = [text.encode() for batch in range(6) for text in Corpus().texts(batch)]
    texts = texts[: BLOCK_BYTES // BYTES_A_RECORD]
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spill"
        write_spill(path, texts, ["5.0"] * len(texts), num_shards=ShardConfig.shards, seed=0)
        for _ in range(ROUNDS):
            start = time.process_time()
            for shard in range(ShardConfig.shards):
                read_spill(path, KeyRange(shard, shard + 1), num_shards=ShardConfig.shards)
            seconds.append(time.process_time() - start)
    return summary(seconds, amount=ShardConfig.shards)


def load(name: str) -> dict[str, Any]:
    """Return another benchmark's figures."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def main() -> None:
    """Project, print and write the JSON."""
    throughput, memory = load("shard_throughput"), load("shard_memory")
    reads_a_second = read_seconds()
    megabytes = RECORDS * BYTES_A_RECORD / 1e6
    num_spills = megabytes * 1e6 / BLOCK_BYTES
    num_parts = 1 + TEXT_BYTES / ShardConfig.shards // PART_BYTES
    num_reads = num_spills * ShardConfig.shards * num_parts
    largest = max(memory["runs"], key=lambda run: run["bytes_in"])
    values: dict[str, Any] = {
        "megabytes_in": megabytes,
        "spills": num_spills,
        "parts": num_parts * ShardConfig.shards,
        "reads": num_reads,
        "reads_a_second": reads_a_second,
        "reading_cpu_hours": num_reads / reads_a_second["median"] / 3600,
        "disk_gigabytes": {
            # A key, two int32 offsets and a label of some three bytes beside each text.
            "spills": (TEXT_BYTES + 19 * RECORDS) / 1e9,
            "shards": largest["megabytes_on_disk"] / (largest["bytes_in"] / 1e6) * megabytes / 1e3,
        },
        "candidates": {},
    }
    print(
        f"{megabytes / 1e3:.0f} GB of JSON: {num_spills:,.0f} spills, {num_reads / 1e6:.1f} M reads of them,", end=" "
    )
    print(f"{values['reading_cpu_hours']:.2f} CPU-hours at {reads_a_second['median']:,.0f} a second")
    print(f"disk in GB: {values['disk_gigabytes']}")
    for name, figures in throughput["candidates"].items():
        if not name.startswith("shard"):
            continue
        cpu_hours = megabytes / figures["megabytes_per_cpu_second_without_startup"]["median"] / 3600
        hours = megabytes / figures["megabytes_per_second"]["median"] / 3600
        values["candidates"][name] = {"cpu_hours": cpu_hours, "hours": hours}
        print(f"{name}: {cpu_hours:.2f} CPU-hours, {hours:.2f} hours, before the reads of the spills are added")
    print(write_result("shard_scale", values))


if __name__ == "__main__":
    main()
