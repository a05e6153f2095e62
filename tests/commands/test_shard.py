import json
import re

import pytest

from sentneuron.cli import main
from sentneuron.core.config import ReadConfig, ShardConfig
from sentneuron.core.data import sharding
from sentneuron.core.data.blocks import SourceColumns
from sentneuron.core.data.sharding import ShardReport

REPORT = ShardReport(
    folder="reviews.shards",
    num_read=10,
    num_kept=7,
    num_duplicates=1,
    skipped={"empty": 1, "not JSON": 1},
    bytes_in=2_000_000,
    bytes_out=1_000_000,
    bytes_on_disk=400_000,
    seconds=2.0,
    splits={
        "train": {"shards": 1000, "documents": 7, "bytes": 1_000_000},
        "valid": {"shards": 1, "documents": 0, "bytes": 0},
        "test": {"shards": 0, "documents": 0, "bytes": 0},
    },
    warnings=["valid is empty"],
)


@pytest.fixture
def engine(monkeypatch):
    """Replace the engine; holds the configurations that it was given."""
    configs = []

    def write_shards(config, *, progress, on_source):
        configs.append(config)
        for source, text_key, label_keys in (
            ("a.json", "reviewText", ["overall"]),
            ("b.json", "reviewText", ["overall"]),
            ("c.txt", "text", []),
        ):
            choice = f"{source}: text from {text_key}"
            on_source(SourceColumns(source=source, text_key=text_key, label_keys=label_keys, choice=choice))
        for done, total in ((0, 9), (9, 9), (0, 5), (5, 5)):
            progress(done, total)
        return REPORT

    monkeypatch.setattr(sharding, "write_shards", write_shards)
    return configs


def test_every_default_is_that_of_the_configuration(engine):
    assert main(["shard", "reviews.json"]) == 0
    assert engine == [ShardConfig(inputs=("reviews.json",))]


def test_every_option_reaches_the_configuration(engine):
    words = "a.json b.json -o out --shards 12 --split 8,2,2 --text-key body --label-key joy,fear --format csv "
    words += "--encoding latin-1 --keep-unicode --dedup --on-error fail --max-bad 2.5% --workers 3 --seed 3 --force"
    assert main(["shard", *words.split()]) == 0
    read = ReadConfig(format="csv", encoding="latin-1", text_key="body", label_key="joy,fear")
    expected = ShardConfig(
        inputs=("a.json", "b.json"),
        output="out",
        shards=12,
        split=(8, 2, 2),
        read=read,
        keep_unicode=True,
        dedup=True,
        on_error="fail",
        max_bad=0.025,
        workers=3,
        seed=3,
        force=True,
    )
    assert engine == [expected]


@pytest.mark.parametrize(("text", "share"), [("0.01", 0.01), ("0%", 0.0), ("100%", 1.0), ("1", 1.0)])
def test_a_share_is_a_percentage_or_a_number(engine, text, share):
    assert main(["shard", "a.json", "--max-bad", text]) == 0
    assert engine[0].max_bad == share


@pytest.mark.parametrize(
    "words",
    [
        ["--max-bad", "1x"],
        ["--max-bad", "%"],
        ["--max-bad", "101%"],
        ["--max-bad", "nan"],
        ["--split", "a,b"],
        ["--split", "1,1,1,1"],
        ["--split", "0,1,1"],
        ["--shards", "0"],
    ],
)
def test_values_out_of_range_are_wrong_usage(engine, capsys, words):
    assert main(["shard", "a.json", *words]) == 2
    assert words[0] in capsys.readouterr().err
    assert engine == []


def test_the_first_line_says_what_is_read_where_it_goes_and_which_columns_are_taken(engine, capsys):
    main(["shard", "reviews.json"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["a.json: text from reviewText -> reviews.shards", "c.txt: text from text"]


def test_the_table_counts_what_was_read_kept_and_skipped_and_how_fast(engine, capsys):
    main(["shard", "reviews.json"])
    err = capsys.readouterr().err
    rows = dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in err.splitlines() if "  " in line.strip())
    assert rows == {
        "documents read": "10",
        "kept": "7",
        "duplicates": "1",
        "skipped: empty": "1",
        "skipped: not JSON": "1",
        "train": "7 documents in 1,000 shards",
        "valid": "0 documents in 1 shard",
        "bytes in": "2.0 MB",
        "bytes out": "1.0 MB of text, 400.0 kB on disk",
        "MB/s": "1.0",
    }
    assert "warning: valid is empty" in err


def test_json_prints_the_report_and_nothing_else_on_stdout(engine, capsys):
    assert main(["shard", "reviews.json", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out) == REPORT.to_dict()


def test_reviews_become_shards_beside_the_user(tmp_path, monkeypatch, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/reviews.csv").write_text(
        "sentence,label\nA [/b] good film.,1\n,0\nA bad one.,0\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)

    assert main(["shard", "in/reviews.csv", "--shards", "4", "--split", "2,1,1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["num_read"], result["num_kept"], result["skipped"]) == (3, 2, {"empty": 1})
    assert (tmp_path / "reviews.shards/manifest.json").exists()


def test_bad_input_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.csv").write_text('text\n"never closed\n', encoding="utf-8")
    (tmp_path / "empty.json").touch()
    (tmp_path / "other.csv").write_text("name,age\na,1\n", encoding="utf-8")
    for name, code in (("none.json", 66), ("broken.csv", 65), ("empty.json", 65), ("other.csv", 65)):
        assert main(["shard", name]) == code
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert name in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.csv", "empty.json", "other.csv"]
