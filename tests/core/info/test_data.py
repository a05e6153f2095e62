"""What info says of data is what the commands would read."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentneuron.core.config import ReadConfig, TransferConfig
from sentneuron.core.data.examples import BLOCK_ROWS
from sentneuron.core.data.labelled import load_labelled
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError
from sentneuron.core.info import describe
from sentneuron.core.info.data import EXAMPLE_CHARACTERS, MAX_LABELS, DataInfo


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def of(path: str, *, count: bool = True, **read: str) -> DataInfo:
    found = describe(path, ReadConfig(**read), count=count)
    assert isinstance(found, DataInfo)
    return found


def one(path: str, *, count: bool = True, **read: str):
    (file,) = of(path, count=count, **read).files
    return file


def test_a_table_is_told_by_format_columns_rows_labels_and_its_first_text():
    content = "id,label,sentence,stars\n1,pos,<b>Good</b>   one,5\n2,neg,bad,1\n3,pos,,4\n4,,no label,2\n\nragged\n"
    Path("x.csv").write_text(content)
    file = one("x.csv")
    assert (file.format, file.compression, file.bytes) == ("csv", None, len(content))
    assert file.columns == ["id", "label", "sentence", "stars"]
    assert (file.text_key, file.label_keys, file.others) == ("sentence", ["label"], ["stars"])
    assert file.rows == 5
    assert file.example == "<b>Good</b> one"
    assert file.counted.texts == 2
    assert file.counted.text_bytes == len("Good one") + len("bad")
    left_out = {"no text": 1, "no label": 1, "blank": 1, "wrong number of fields": 1}
    assert file.counted.left_out == left_out
    assert file.counted.labels == file.counted.classes == {"neg": 1, "pos": 1}


def test_compressed_lines_are_named_with_both():
    Path("x.bin").write_bytes(gzip.compress(b'{"reviewText": "a", "overall": 5.0}\n' * 3))
    file = one("x.bin")
    assert (file.format, file.compression, file.rows) == ("ndjson", "gzip", 3)
    assert file.counted.labels == {"5": 3}


def test_stars_are_shown_as_they_stand_and_as_transfer_takes_them():
    rows = [{"text": f"t{number}", "rating": number % 5 + 1} for number in range(400)]
    Path("x.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    counted = one("x.json").counted
    assert counted.labels == {"1": 80, "2": 80, "3": 80, "4": 80, "5": 80}
    taken = load_labelled(TransferConfig(data="x.json"), TextRule())
    labels = Counter(example.label for part in taken.parts.values() for example in part)
    assert counted.classes == dict(sorted(labels.items())) == {"0": 160, "1": 160}


def test_several_labels_are_counted_each_and_texts_of_none():
    Path("x.csv").write_text("text,anger,joy\na,1,0\nb,0,0\nc,1,1\n")
    assert one("x.csv").label_keys == []
    file = one("x.csv", label_key="anger,joy")
    assert file.label_keys == ["anger", "joy"]
    assert file.counted.labels == {"anger": 2, "joy": 1, "none": 1}
    assert file.counted.texts == 3


def test_parts_take_the_names_and_the_classes_that_transfer_gives_them():
    for name, stars in (("train.csv", (1, 3, 5, 5)), ("dev.csv", (1, 5)), ("test.csv", (2, 4))):
        Path(name).write_text("text,stars\n" + "".join(f"t{number},{star}\n" for number, star in enumerate(stars)))
    files = of(".").files
    assert [(file.part, Path(file.name).name) for file in files] == [
        ("train", "train.csv"), ("valid", "dev.csv"), ("test", "test.csv")
    ]  # fmt: skip
    # two values are no stars by themselves, but train's are
    assert [file.counted.classes for file in files] == [{"0": 1, "1": 2}, {"0": 1, "1": 1}, {"0": 1, "1": 1}]


def test_a_folder_without_parts_is_its_files():
    Path("in").mkdir()
    for name in ("a.csv", "b.csv"):
        Path("in", name).write_text("text\nx\n")
    assert [(file.part, file.rows) for file in of("in").files] == [(None, 1), (None, 1)]


def test_a_parquet_file_knows_its_rows_without_counting_and_others_do_not():
    pq.write_table(pa.table({"text": ["a", "b"], "label": [0, 1]}), "x.parquet")
    Path("x.csv").write_text("text,label\na,1\n")
    quick = one("x.parquet", count=False)
    assert (quick.rows, quick.counted, quick.example) == (2, None, "a")
    assert one("x.csv", count=False).rows is None
    assert one("x.parquet").counted.labels == {"0": 1, "1": 1}


def test_a_file_without_a_text_column_is_described_unless_a_column_was_named():
    Path("x.csv").write_text("a,label\n1,2\n3,4\n")
    file = one("x.csv")
    assert (file.text_key, file.rows, file.counted) == (None, 2, None)
    assert "x.csv has no text column; its columns are a, label" in file.problem
    with pytest.raises(DataError, match="no column 'b'"):
        one("x.csv", text_key="b")


def test_labels_of_which_there_are_too_many_are_not_listed():
    Path("x.csv").write_text("text,label\n" + "".join(f"t,{number}\n" for number in range(MAX_LABELS + 5)))
    counted = one("x.csv").counted
    assert (counted.texts, counted.labels, counted.classes) == (MAX_LABELS + 5, None, None)


def test_a_long_text_is_shown_by_its_beginning():
    Path("x.txt").write_text("word " * 10_000 + "\n")
    assert one("x.txt").example == ("word " * 10_000)[:EXAMPLE_CHARACTERS].strip()


def test_counting_says_how_far_it_is_and_reads_more_than_one_block():
    content = "text,label\n" + "good,1\nbad,0\n" * BLOCK_ROWS
    Path("x.csv").write_text(content)
    told = []
    found = describe("x.csv", ReadConfig(), progress=lambda done, total: told.append((done, total)))
    assert found.files[0].counted.labels == {"0": BLOCK_ROWS, "1": BLOCK_ROWS}
    assert {total for _, total in told} == {len(content)}
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_data_set_is_described_by_its_name(monkeypatch):
    monkeypatch.setenv("SENTNEURON_DATA", ".")
    Path("sst").mkdir()
    for part in ("train", "val", "test"):
        Path("sst", f"{part}.csv").write_text("label,sentence\n1,good\n0,bad\n")
    assert [(file.part, file.rows) for file in of("sst").files] == [("train", 2), ("valid", 2), ("test", 2)]
