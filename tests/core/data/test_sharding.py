import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from sentneuron.core.config import ReadConfig, ShardConfig
from sentneuron.core.data import blocks, merging, shard_file
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.errors import (
    DataError,
    InputNotFoundError,
    UsageError,
)

REVIEWS = [
    {"text": f"review {i} of {'long ' * (i % 7)}words", "label": ["neg", "pos", None][i % 3]} for i in range(120)
]


def test_each_document_lies_where_its_hash_says_and_shards_are_sorted_by_it(tmp_path, write_lines, shard, documents):
    shard(tmp_path / "out", write_lines(tmp_path / "in.json", REVIEWS), seed=7)

    expected = []
    for review in REVIEWS:
        text = b"\n " + review["text"].strip().encode() + b" "
        key = xxhash.xxh3_64_intdigest(text, seed=7)
        path = [f"train/0000{i}.parquet" for i in range(4)] + ["valid/00000.parquet", "test/00000.parquet"]
        expected.append((path[key * 6 >> 64], key, text, review["label"]))
    assert documents(tmp_path / "out") == [
        (path, text, label) for path, key, text, label in sorted(expected, key=lambda row: row[:3])
    ]


def test_neither_the_order_of_lines_nor_of_files_nor_their_number_shows_in_the_shards(
    tmp_path, write_lines, shard, contents
):
    half = [write_lines(tmp_path / "a.json", REVIEWS[60:]), write_lines(tmp_path / "b.json", REVIEWS[59::-1])]
    shard(tmp_path / "one", write_lines(tmp_path / "in.json", REVIEWS))
    shard(tmp_path / "two", *half)
    shard(tmp_path / "three", *reversed(half))

    assert contents(tmp_path / "two") == contents(tmp_path / "three")
    assert contents(tmp_path / "one", without=["manifest.json"]) == contents(
        tmp_path / "two", without=["manifest.json"]
    )


@pytest.mark.parametrize("num_shards", [1, 3, 1001])
def test_neither_blocks_nor_the_parts_sorted_at_a_time_show_in_the_result(
    tmp_path, monkeypatch, num_shards, write_lines, shard, contents
):
    source = write_lines(tmp_path / "in.json", [*REVIEWS, "{", *REVIEWS[:9], {"text": ""}, REVIEWS[2] | {"label": "x"}])
    options = {"shards": num_shards, "split": (1,), "max_bad": 1}
    shard(tmp_path / "whole", source, **options)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 300)
    monkeypatch.setattr(merging, "PART_BYTES", 700)
    shard(tmp_path / "pieces", source, **options)

    assert contents(tmp_path / "whole") == contents(tmp_path / "pieces")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lines", "records"])
def test_the_number_of_workers_does_not_show_in_the_result(tmp_path, kind, write_lines, shard, contents):
    reviews = [{"text": f"{i} " + "many words " * 10_000, "label": i % 3} for i in range(400)]
    reviews = [*reviews, *reviews[:5]]
    source = write_lines(tmp_path / "in.json", [*reviews, "{", {"text": None}])
    if kind == "records":
        (tmp_path / "in.json").write_text(json.dumps(reviews))
    for workers in (1, 2, 4):
        shard(tmp_path / str(workers), source, workers=workers, dedup=True)

    assert os.path.getsize(source) > 2 * blocks.BLOCK_BYTES
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "4")


def test_equal_texts_share_a_shard_and_are_ordered_by_label(tmp_path, write_lines, shard, documents):
    labels = ["pos", None, "neg", "neg"]
    report = shard(
        tmp_path / "out", write_lines(tmp_path / "in.json", [{"text": "same", "label": label} for label in labels])
    )

    assert [label for _, _, label in documents(tmp_path / "out")] == ["neg", "neg", "pos", None]
    assert len({path for path, _, _ in documents(tmp_path / "out")}) == 1
    assert (report.num_kept, report.num_duplicates) == (4, 0)


def test_dedup_keeps_one_of_equal_clean_texts_with_the_smallest_label(tmp_path, write_lines, shard, documents):
    records = [{"text": text, "label": label} for text in ("same", "  same ") for label in ("pos", None, "neg")]
    report = shard(tmp_path / "out", write_lines(tmp_path / "in.json", records), dedup=True)

    assert [row[1:] for row in documents(tmp_path / "out")] == [(b"\n same ", "neg")]
    assert (report.num_read, report.num_kept, report.num_duplicates) == (6, 1, 5)


GOOD = st.builds(lambda n: {"text": f"text {n}", "label": n}, st.integers(0, 20))
BAD = st.sampled_from(
    [
        '{"text": "cut',
        "[1]",
        "null",
        '{"text": 3}',
        '{"text": {}}',
        '{"label": 1}',
        '{"text": null}',
        '{"text": " "}',
        "",
    ]
)


@settings(max_examples=25, deadline=None)
@given(records=st.lists(st.one_of(GOOD, BAD), max_size=30), dedup=st.booleans())
def test_every_record_is_kept_or_a_duplicate_or_skipped_with_its_place(
    tmp_path_factory, records, dedup, write_lines, shard
):
    folder = tmp_path_factory.mktemp("conservation")
    records = [{"text": "text first", "label": 1}, *records]
    source = write_lines(folder / "in.json", records)
    report = shard(folder / "out", source, dedup=dedup, max_bad=1.0, read=ReadConfig(format="ndjson"))

    good = [record for record in records if isinstance(record, dict)]
    skipped = [json.loads(line) for line in (folder / "out/rejects.ndjson").read_text().splitlines()]
    manifest = json.loads((folder / "out/manifest.json").read_text())
    assert report.num_read == len(records)
    assert report.num_kept + report.num_duplicates == len(good)
    assert report.num_kept == (len({record["text"] for record in good}) if dedup else len(good))
    assert [reject["line"] for reject in skipped] == [
        i for i, record in enumerate(records, 1) if isinstance(record, str)
    ]
    assert sum(report.skipped.values()) == len(skipped)
    assert {reason: entry["count"] for reason, entry in manifest["records"]["skipped"].items()} == report.skipped


def test_a_rejects_byte_offset_leads_to_the_record(tmp_path, write_lines, shard):
    source = write_lines(tmp_path / "in.json", [{"text": "é good"}, '{"text": 5}', {"text": "good"}])
    shard(tmp_path / "out", source, max_bad=1.0)

    (reject,) = [json.loads(line) for line in (tmp_path / "out/rejects.ndjson").read_text().splitlines()]
    with open(source, "rb") as file:
        file.seek(reject["byte_offset"])
        assert file.readline() == b'{"text": 5}\n'
    assert (reject["source"], reject["line"], reject["reason"]) == (source, 2, "text is not a string")


def test_more_malformed_records_than_allowed_end_the_run_and_leave_nothing(tmp_path, write_lines, shard):
    source = write_lines(tmp_path / "in.json", [*REVIEWS[:98], "{", "["])
    with pytest.raises(DataError, match=r"2 of 100 records are malformed .* not JSON, first at .*in\.json, line 99"):
        shard(tmp_path / "out", source, max_bad=0.0199)
    assert sorted(os.listdir(tmp_path)) == ["in.json"]

    assert shard(tmp_path / "out", source, max_bad=0.02).skipped == {"not JSON": 2}


def test_records_without_text_are_skipped_but_are_not_malformed(tmp_path, write_lines, shard):
    records = [{"text": "good"}, {"text": ""}, {"text": "<br>"}, {"text": None}, {"label": 1}]
    report = shard(tmp_path / "out", write_lines(tmp_path / "in.json", records), max_bad=0.0)

    assert report.skipped == {"empty": 2, "no text": 2}


def test_on_error_fail_names_the_first_malformed_record(tmp_path, write_lines, shard):
    source = write_lines(tmp_path / "in.json", [{"text": "good"}, {"text": ""}, "{", "["])
    with pytest.raises(DataError, match=r"in\.json, line 3: not JSON"):
        shard(tmp_path / "out", source, on_error="fail")
    assert sorted(os.listdir(tmp_path)) == ["in.json"]


@pytest.mark.parametrize("records", [[{"text": " "}], [{"text": None}, {"text": "<p>"}]])
def test_input_without_any_text_is_an_error(tmp_path, records, write_lines, shard):
    with pytest.raises(DataError, match=r"no documents in .* records were read"):
        shard(tmp_path / "out", write_lines(tmp_path / "in.json", records))
    assert sorted(os.listdir(tmp_path)) == ["in.json"]


def test_a_missing_input_or_column_leaves_nothing(tmp_path, write_lines, shard):
    with pytest.raises(InputNotFoundError):
        shard(tmp_path / "out", str(tmp_path / "none.json"))
    source = write_lines(tmp_path / "in.json", REVIEWS)
    with pytest.raises(DataError, match="text, label"):
        shard(tmp_path / "out", source, read=ReadConfig(text_key="comment"))
    assert sorted(os.listdir(tmp_path)) == ["in.json"]


def test_labels_are_stored_as_class_names_and_several_as_json(tmp_path, write_lines, shard, documents):
    records = [{"text": "t", "stars": 5.0, "joy": 1, "fear": "no"}]
    source = write_lines(tmp_path / "in.json", records)
    shard(tmp_path / "one", source)
    shard(tmp_path / "two", source, read=ReadConfig(label_key="joy,fear"))

    assert documents(tmp_path / "one")[0][2] == "5"
    assert json.loads(documents(tmp_path / "two")[0][2]) == {"joy": "1", "fear": "no"}


def test_row_groups_hold_at_most_256_kb_or_4096_rows_but_for_one_longer_text(tmp_path, write_lines, shard):
    sizes = [300_000, *[100_000] * 7, *[30] * 9000]
    records = [{"text": f"{i:08d}" + "x" * (size - 11)} for i, size in enumerate(sizes)]
    shard(tmp_path / "out", write_lines(tmp_path / "in.json", records), shards=1, split=(1,))

    entry = json.loads((tmp_path / "out/manifest.json").read_text())["files"][0]
    metadata = pq.ParquetFile(tmp_path / "out/train/00000.parquet").metadata
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert max(groups) <= shard_file.ROW_GROUP_ROWS
    assert sum(groups) == entry["documents"] == len(sizes)
    assert sum(entry["row_group_bytes"]) == entry["bytes"] == sum(sizes)
    assert [size for size in entry["row_group_bytes"] if size > 256 << 10] == [300_000]
    assert len(groups) == len(entry["row_group_bytes"]) <= 9


def test_a_part_that_got_no_document_is_warned_about_with_the_numbers(tmp_path, write_lines, shard):
    report = shard(tmp_path / "out", write_lines(tmp_path / "in.json", REVIEWS[:1]))

    empty = [name for name, part in report.splits.items() if part["documents"] == 0]
    assert [warning.split()[0] for warning in report.warnings] == empty
    assert len(empty) == 2
    assert all("1 documents were dealt to 6 shards" in warning for warning in report.warnings)


def test_parts_that_do_not_fit_into_the_shards_are_wrong_usage(tmp_path, write_lines, shard):
    with pytest.raises(UsageError, match="2 shards cannot hold a split into 3 parts"):
        shard(tmp_path / "out", write_lines(tmp_path / "in.json", REVIEWS), shards=2)


KILLED = """
import os, signal, sys
from sentneuron.core.config import ShardConfig
from sentneuron.core.data import blocks, merging, sharding

source, output, pass_number, call = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
blocks.BLOCK_BYTES = 500
merging.PART_BYTES = 1000
calls = []

def progress(done, total):
    if done == 0:
        calls.append(0)
    calls[-1] += 1
    if (len(calls), calls[-1]) == (pass_number, call):
        os.kill(os.getpid(), signal.SIGKILL)

config = ShardConfig(inputs=(source,), output=output, shards=6, split=(4, 1, 1), workers=1)
sharding.write_shards(config, progress=progress)
"""


@pytest.mark.parametrize(("pass_number", "call"), [(1, 4), (2, 3)])
def test_a_killed_run_shows_nothing_and_the_next_one_gives_every_byte_of_an_uninterrupted_one(
    tmp_path, pass_number, call, write_lines, shard, contents
):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    shard(tmp_path / "whole", source)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, source, str(tmp_path / "out"), str(pass_number), str(call)],
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert sorted(os.listdir(tmp_path)) == [".out.building", "in.json", "whole"]

    shard(tmp_path / "out", source)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert sorted(os.listdir(tmp_path)) == ["in.json", "out", "whole"]


def test_progress_counts_the_input_and_then_the_text_from_zero(tmp_path, write_lines):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    seen = []
    config = ShardConfig(inputs=(source,), output=tmp_path / "out", shards=6, split=(4, 1, 1))
    report = write_shards(config, progress=lambda done, total: seen.append((done, total)))

    size = os.path.getsize(source)
    assert seen[:2] == [(0, size), (size, size)]
    assert seen[2] == (0, report.bytes_out)
    assert seen[-1] == (report.bytes_out, report.bytes_out)
    assert [done for done, _ in seen[2:]] == sorted(done for done, _ in seen[2:])
