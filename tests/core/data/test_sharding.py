import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentneuron.core.config import ReadConfig, ShardConfig
from sentneuron.core.data import shard_file, spills
from sentneuron.core.data.building import atomic_folder
from sentneuron.core.data.sharding import write_shards
from sentneuron.core.errors import (
    DataError,
    InputNotFoundError,
    OutputError,
    StorageError,
    UsageError,
)

REVIEWS = [
    {"text": f"review {i} of {'long ' * (i % 7)}words", "label": ["neg", "pos", None][i % 3]} for i in range(120)
]


def write_lines(path, records):
    """Write one line a record; strings as they are."""
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(path)


def run(output, *sources, **options):
    options = {"shards": 6, "split": (4, 1, 1), **options}
    return write_shards(ShardConfig(inputs=tuple(sources), output=output, **options))


def read_all(folder):
    """Return (path, text, label) of every document, in the order on disk."""
    found = []
    for path in sorted(folder.rglob("*.parquet")):
        table = pq.read_table(path)
        name = str(path.relative_to(folder))
        pairs = zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True)
        found += [(name, text, label) for text, label in pairs]
    return found


def contents(folder, *, without=()):
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in without}


def test_each_document_lies_where_its_hash_says_and_shards_are_sorted_by_it(tmp_path):
    run(tmp_path / "out", write_lines(tmp_path / "in.json", REVIEWS), seed=7)

    expected = []
    for review in REVIEWS:
        text = b"\n " + review["text"].strip().encode() + b" "
        key = int.from_bytes(hashlib.sha256(b"7\n" + text).digest()[:8], "big")
        path = [f"train/0000{i}.parquet" for i in range(4)] + ["valid/00000.parquet", "test/00000.parquet"]
        expected.append((path[key % 6], key, text, review["label"]))
    assert read_all(tmp_path / "out") == [
        (path, text, label) for path, key, text, label in sorted(expected, key=lambda row: row[:3])
    ]


def test_neither_the_order_of_lines_nor_of_files_nor_their_number_shows_in_the_shards(tmp_path):
    half = [write_lines(tmp_path / "a.json", REVIEWS[60:]), write_lines(tmp_path / "b.json", REVIEWS[59::-1])]
    run(tmp_path / "one", write_lines(tmp_path / "in.json", REVIEWS))
    run(tmp_path / "two", *half)
    run(tmp_path / "three", *reversed(half))

    assert contents(tmp_path / "two") == contents(tmp_path / "three")
    assert contents(tmp_path / "one", without=["manifest.json"]) == contents(
        tmp_path / "two", without=["manifest.json"]
    )


@pytest.mark.parametrize("num_shards", [1, 3, 1001])
def test_what_is_spilled_to_disk_gives_the_same_bytes_as_what_stays_in_memory(tmp_path, monkeypatch, num_shards):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    run(tmp_path / "memory", source, shards=num_shards, split=(1,))
    monkeypatch.setattr(spills, "BUFFER_BYTES", 500)
    run(tmp_path / "disk", source, shards=num_shards, split=(1,))

    assert contents(tmp_path / "memory") == contents(tmp_path / "disk")


def test_equal_texts_share_a_shard_and_are_ordered_by_label(tmp_path):
    labels = ["pos", None, "neg", "neg"]
    report = run(
        tmp_path / "out", write_lines(tmp_path / "in.json", [{"text": "same", "label": label} for label in labels])
    )

    assert [label for _, _, label in read_all(tmp_path / "out")] == ["neg", "neg", "pos", None]
    assert len({path for path, _, _ in read_all(tmp_path / "out")}) == 1
    assert (report.num_kept, report.num_duplicates) == (4, 0)


def test_dedup_keeps_one_of_equal_clean_texts_with_the_smallest_label(tmp_path):
    records = [{"text": text, "label": label} for text in ("same", "  same ") for label in ("pos", None, "neg")]
    report = run(tmp_path / "out", write_lines(tmp_path / "in.json", records), dedup=True)

    assert [row[1:] for row in read_all(tmp_path / "out")] == [(b"\n same ", "neg")]
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
def test_every_record_is_kept_or_a_duplicate_or_skipped_with_its_place(tmp_path_factory, records, dedup):
    folder = tmp_path_factory.mktemp("conservation")
    records = [{"text": "text first", "label": 1}, *records]
    source = write_lines(folder / "in.json", records)
    report = run(folder / "out", source, dedup=dedup, max_bad=1.0, read=ReadConfig(format="ndjson"))

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


def test_a_rejects_byte_offset_leads_to_the_record(tmp_path):
    source = write_lines(tmp_path / "in.json", [{"text": "é good"}, '{"text": 5}', {"text": "good"}])
    run(tmp_path / "out", source, max_bad=1.0)

    (reject,) = [json.loads(line) for line in (tmp_path / "out/rejects.ndjson").read_text().splitlines()]
    with open(source, "rb") as file:
        file.seek(reject["byte_offset"])
        assert file.readline() == b'{"text": 5}\n'
    assert (reject["source"], reject["line"], reject["reason"]) == (source, 2, "text is not a string")


def test_more_malformed_records_than_allowed_end_the_run_and_leave_nothing(tmp_path):
    source = write_lines(tmp_path / "in.json", [*REVIEWS[:98], "{", "["])
    with pytest.raises(DataError, match=r"2 of 100 records are malformed .* not JSON, first at .*in\.json, line 99"):
        run(tmp_path / "out", source, max_bad=0.0199)
    assert sorted(os.listdir(tmp_path)) == ["in.json"]

    assert run(tmp_path / "out", source, max_bad=0.02).skipped == {"not JSON": 2}


def test_records_without_text_are_skipped_but_are_not_malformed(tmp_path):
    records = [{"text": "good"}, {"text": ""}, {"text": "<br>"}, {"text": None}, {"label": 1}]
    report = run(tmp_path / "out", write_lines(tmp_path / "in.json", records), max_bad=0.0)

    assert report.skipped == {"empty": 2, "no text": 2}


def test_on_error_fail_names_the_first_malformed_record(tmp_path):
    source = write_lines(tmp_path / "in.json", [{"text": "good"}, {"text": ""}, "{", "["])
    with pytest.raises(DataError, match=r"in\.json, line 3: not JSON"):
        run(tmp_path / "out", source, on_error="fail")
    assert sorted(os.listdir(tmp_path)) == ["in.json"]


@pytest.mark.parametrize("records", [[{"text": " "}], [{"text": None}, {"text": "<p>"}]])
def test_input_without_any_text_is_an_error(tmp_path, records):
    with pytest.raises(DataError, match=r"no documents in .* records were read"):
        run(tmp_path / "out", write_lines(tmp_path / "in.json", records))
    assert sorted(os.listdir(tmp_path)) == ["in.json"]


def test_a_missing_input_or_column_leaves_nothing(tmp_path):
    with pytest.raises(InputNotFoundError):
        run(tmp_path / "out", str(tmp_path / "none.json"))
    source = write_lines(tmp_path / "in.json", REVIEWS)
    with pytest.raises(DataError, match="text, label"):
        run(tmp_path / "out", source, read=ReadConfig(text_key="comment"))
    assert sorted(os.listdir(tmp_path)) == ["in.json"]


def test_labels_are_stored_as_class_names_and_several_as_json(tmp_path):
    records = [{"text": "t", "stars": 5.0, "joy": 1, "fear": "no"}]
    source = write_lines(tmp_path / "in.json", records)
    run(tmp_path / "one", source)
    run(tmp_path / "two", source, read=ReadConfig(label_key="joy,fear"))

    assert read_all(tmp_path / "one")[0][2] == "5"
    assert json.loads(read_all(tmp_path / "two")[0][2]) == {"joy": "1", "fear": "no"}


def test_row_groups_hold_at_most_256_kb_or_4096_rows_but_for_one_longer_text(tmp_path):
    sizes = [300_000, *[100_000] * 7, *[30] * 9000]
    records = [{"text": f"{i:08d}" + "x" * (size - 11)} for i, size in enumerate(sizes)]
    run(tmp_path / "out", write_lines(tmp_path / "in.json", records), shards=1, split=(1,))

    entry = json.loads((tmp_path / "out/manifest.json").read_text())["files"][0]
    metadata = pq.ParquetFile(tmp_path / "out/train/00000.parquet").metadata
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert max(groups) <= shard_file.ROW_GROUP_ROWS
    assert sum(groups) == entry["documents"] == len(sizes)
    assert sum(entry["row_group_bytes"]) == entry["bytes"] == sum(sizes)
    assert [size for size in entry["row_group_bytes"] if size > 256 << 10] == [300_000]
    assert len(groups) == len(entry["row_group_bytes"]) <= 9


def test_a_part_that_got_no_document_is_warned_about_with_the_numbers(tmp_path):
    report = run(tmp_path / "out", write_lines(tmp_path / "in.json", REVIEWS[:1]))

    empty = [name for name, part in report.splits.items() if part["documents"] == 0]
    assert [warning.split()[0] for warning in report.warnings] == empty
    assert len(empty) == 2
    assert all("1 documents were dealt to 6 shards" in warning for warning in report.warnings)


def test_parts_that_do_not_fit_into_the_shards_are_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="2 shards cannot hold a split into 3 parts"):
        run(tmp_path / "out", write_lines(tmp_path / "in.json", REVIEWS), shards=2)


def test_the_same_command_replaces_its_folder_and_other_settings_or_inputs_are_refused(tmp_path):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    run(tmp_path / "out", source)
    write_lines(tmp_path / "in.json", REVIEWS[:50])
    assert run(tmp_path / "out", source).num_kept == 50
    before = contents(tmp_path / "out")

    with pytest.raises(OutputError, match=r"other settings \(seed: 0 -> 1\); .*--force"):
        run(tmp_path / "out", source, seed=1)
    with pytest.raises(OutputError, match="sources"):
        run(tmp_path / "out", write_lines(tmp_path / "other.json", REVIEWS))
    assert contents(tmp_path / "out") == before

    run(tmp_path / "out", source, seed=1, force=True)
    assert contents(tmp_path / "out") != before
    assert sorted(os.listdir(tmp_path)) == ["in.json", "other.json", "out"]


def test_force_replaces_a_damaged_shard_folder_but_never_one_that_holds_anything_else(tmp_path):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    run(tmp_path / "out", source)
    (tmp_path / "out/manifest.json").write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        run(tmp_path / "out", source)
    run(tmp_path / "out", source, force=True)

    (tmp_path / "out/thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds thesis\.tex"):
        run(tmp_path / "out", source, force=True)
    assert (tmp_path / "out/thesis.tex").read_text() == "years of work"


def test_an_empty_folder_may_be_filled_and_a_file_may_not_be_replaced(tmp_path):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    (tmp_path / "empty").mkdir()
    run(tmp_path / "empty", source)
    assert (tmp_path / "empty/manifest.json").exists()
    with pytest.raises(OutputError, match="is a file"):
        run(tmp_path / "in.json", source, force=True)
    with pytest.raises(OutputError, match="does not exist"):
        run(tmp_path / "no/such/folder", source)


def test_a_full_disk_leaves_the_previous_folder_as_it_was(tmp_path, monkeypatch):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    run(tmp_path / "out", source)
    before = contents(tmp_path / "out")
    write_lines(tmp_path / "in.json", REVIEWS[:50])

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left on device \(.* MB free\)"):
        run(tmp_path / "out", source)
    assert contents(tmp_path / "out") == before
    assert sorted(os.listdir(tmp_path)) == ["in.json", "out"]


def test_two_runs_cannot_build_one_folder(tmp_path):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    with atomic_folder(tmp_path / "out"), pytest.raises(OutputError, match="another run is writing"):
        run(tmp_path / "out", source)
    assert sorted(os.listdir(tmp_path)) == ["in.json", "out"]


def test_a_folder_that_a_killed_run_had_set_aside_is_put_back(tmp_path):
    (tmp_path / ".out.previous").mkdir()
    (tmp_path / ".out.previous/train").mkdir()
    with pytest.raises(RuntimeError, match="stopped"), atomic_folder(tmp_path / "out"):
        raise RuntimeError("stopped")
    assert sorted(os.listdir(tmp_path)) == ["out"]
    assert (tmp_path / "out/train").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from sentneuron.core.config import ShardConfig
from sentneuron.core.data import sharding, spills

source, output, calls_left = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
spills.BUFFER_BYTES = 500

def progress(done, total):
    global calls_left
    calls_left -= 1
    if calls_left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

sharding.RECORDS_BETWEEN_PROGRESS = 10
sharding.write_shards(ShardConfig(inputs=(source,), output=output, shards=6, split=(4, 1, 1)), progress=progress)
"""


@pytest.mark.parametrize("calls", [5, 17])  # of the two passes' 14 and 7
def test_a_killed_run_shows_nothing_and_the_next_one_gives_every_byte_of_an_uninterrupted_one(tmp_path, calls):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    run(tmp_path / "whole", source)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, source, str(tmp_path / "out"), str(calls)],
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert sorted(os.listdir(tmp_path)) == [".out.building", "in.json", "whole"]

    run(tmp_path / "out", source)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert sorted(os.listdir(tmp_path)) == ["in.json", "out", "whole"]


def test_progress_counts_the_input_and_then_the_text_from_zero(tmp_path):
    source = write_lines(tmp_path / "in.json", REVIEWS)
    seen = []
    config = ShardConfig(inputs=(source,), output=tmp_path / "out", shards=6, split=(4, 1, 1))
    report = write_shards(config, progress=lambda done, total: seen.append((done, total)))

    size = os.path.getsize(source)
    assert seen[:2] == [(0, size), (size, size)]
    assert seen[2] == (0, report.bytes_out)
    assert seen[-1] == (report.bytes_out, report.bytes_out)
    assert [done for done, _ in seen[2:]] == sorted(done for done, _ in seen[2:])
