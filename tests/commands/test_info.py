"""`info` shows one screen on stdout, and the same as JSON; whatever a file says of itself steers nothing."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from sentneuron.cli import main
from sentneuron.commands.info_words import MAX_NAMES
from sentneuron.core.model.checkpoint import load_model, save_model
from sentneuron.core.printable import BIDI_CONTROLS

HOSTILE = "\x1b[31m\x1b]0;t\x07 [/b]\u202e\n\nx" + "y" * 500
STEERS = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{''.join(BIDI_CONTROLS)}]")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch, built_once):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def screen(capsys):
    """Run `info`; return the lines of its screen."""

    def run(*words: object) -> list[str]:
        assert main(["info", *map(str, words)]) == 0
        lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        assert all(len(line) <= 80 for line in lines[1:])  # the first is the path
        return lines

    return run


def value(lines: list[str], name: str) -> str:
    """The value beside a name, its folded lines joined."""
    (start,) = [number for number, line in enumerate(lines) if line.startswith(f"{name}  ")]
    rest = lines[start + 1 :]
    folded = rest[: next((number for number, line in enumerate(rest) if not line.startswith("    ")), len(rest))]
    return " ".join([lines[start].removeprefix(name).strip(), *(line.strip() for line in folded)])


def test_a_classifier_is_one_screen(screen, make_model_file):
    path = make_model_file(("awful", "fine"))
    saved = load_model(path)
    versions, settings = {"torch": "2.13"}, {"lr": 0.006, "nhid": 12, "max_steps": None}
    record = {"steps": 1708, "bytes": 13_991_936, "seconds": 7117, "bits_per_byte": 1.75793, "note": "by hand"}
    saved.training = {**record, "data_fingerprint": "8e67cc31ceb34d95", "settings": settings, "versions": versions}
    saved.training["finetuned"] = [{"data": "sst", "epochs": 3}, {"data": "mine.csv", "lr": 1e-4}]
    save_model(path, saved)
    lines = screen(path)
    assert lines[0] == str(path)
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("fine-tuned")] == [
        "data sst, epochs 3",
        "data mine.csv, lr 0.0001",
    ]
    assert len(lines) <= 26
    assert re.fullmatch(r"classifier, \d+\.\d kB, weights in fp32", value(lines, "kind"))
    assert value(lines, "architecture") == "mLSTM, 12 units, 1 layer, embedding of 8, weight norm"
    assert value(lines, "text rule") == "sentneuron, version 1"
    assert value(lines, "trained") == "1,708 steps, 14.0 MB of text, 1:58:37"
    assert value(lines, "bits per byte") == "train 1.7579"
    assert value(lines, "data") == "8e67cc31ceb3"
    assert value(lines, "settings") == "lr 0.006"
    assert value(lines, "made with") == "torch 2.13"
    assert value(lines, "note") == "by hand"
    assert value(lines, "sentiment neuron") == "4"
    assert value(lines, "classes") == "awful, fine"
    assert value(lines, "2 by weight").startswith("C 0.25, 2 used: ")


def test_the_same_as_json_is_all_there_is_on_stdout(capsys, make_model_file):
    path = make_model_file(("a", "b", "c"))
    assert main(["info", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    values = json.loads(out)
    assert (values["what"], values["path"], values["bytes"]) == ("model", str(path), path.stat().st_size)
    assert values["classifier"]["classes"] == ["a", "b", "c"]
    assert [len(one["weight"]) for one in values["classifier"]["few_neurons"]["heaviest"]] == [3, 3]
    assert err == ""


def test_a_shard_folder_is_one_screen_and_a_missing_shard_a_warning(screen, capsys, shards, tmp_path):
    lines = screen(shards)
    assert value(lines, "documents").startswith("400, ")
    assert re.match(r"\d+ documents, [\d.]+ kB, \d+ shards, \d+ row groups$", value(lines, "train"))
    assert value(lines, "files") == "names and sizes are right"
    assert "shards 80, split [78, 1, 1]" in value(lines, "settings")
    Path("cut.shards").mkdir()
    Path("cut.shards/manifest.json").write_bytes((shards / "manifest.json").read_bytes())
    assert main(["info", "cut.shards", "--json"]) == 0
    assert "is missing" in json.loads(capsys.readouterr().out)["problem"]
    assert main(["info", "cut.shards"]) == 0
    out, err = capsys.readouterr()
    assert "not as the manifest says" in out
    assert err.startswith("warning: shard cut.shards/train/")


def test_data_is_one_screen(screen):
    rows = "".join(f"{number},{number % 5 + 1},text {number},0\n" for number in range(10))
    Path("x.csv").write_text(f"id,stars,review,score\n{rows}")
    lines = screen("x.csv")
    assert value(lines, "kind") == "data, csv, 152 B"
    assert value(lines, "columns") == "id, stars, review, score"
    assert (value(lines, "text from"), value(lines, "label from")) == ("review", "stars")
    assert value(lines, "there are also") == "score"
    assert value(lines, "rows") == "10"
    assert value(lines, "texts") == "10 with text and label, 60 B clean"
    assert value(lines, "labels, counted").startswith("1: 2 (20.0%), 2: 2 (20.0%)")
    assert value(lines, "as transfer takes") == "0: 4 (40.0%), 1: 4 (40.0%); 2 left out (stars between)"
    assert value(lines, "first text") == "text 0"


def test_without_counting_nothing_is_said_to_be_counted(screen):
    Path("x.csv").write_text("text,label\na,1\n")
    lines = screen("x.csv", "--no-count")
    assert value(lines, "rows") == "not counted"
    assert not any(line.startswith(("labels", "texts")) for line in lines)


def test_parts_are_a_table_of_files_and_one_of_classes(screen):
    for name, count in (("train", 3), ("val", 1), ("test", 2)):
        Path(f"{name}.csv").write_text("text,label\n" + "a,yes\nb,no\n" * count + "\n")
    lines = [re.split(r"\s\s+", line) for line in screen(".")]
    assert lines[:5] == [
        ["."],
        ["part", "file", "format", "rows", "text from", "label from"],
        ["train", "train.csv", "csv", "6", "text", "label"],
        ["valid", "val.csv", "csv", "2", "text", "label"],
        ["test", "test.csv", "csv", "4", "text", "label"],
    ]
    assert lines[6:9] == [["class", "train", "valid", "test"], ["no", "3", "1", "2"], ["yes", "3", "1", "2"]]
    assert ["left out", "3: blank"] in lines


def test_many_files_are_shown_by_the_first_of_them(screen):
    Path("in").mkdir()
    for number in range(MAX_NAMES + 5):
        Path("in", f"{number:02}.txt").write_text("text\n")
    lines = screen("in")
    assert len(lines) < MAX_NAMES + 8
    assert "… 25 files in all" in " ".join(lines)


def test_stdin_is_described(screen, monkeypatch):
    content = io.BytesIO(b"text,label\na,1\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    assert value(screen("-"), "rows") == "1"


def test_quiet_shows_the_screen_and_nothing_else(capsys):
    Path("x.csv").write_text("text,label\na,1\n")
    assert main(["info", "x.csv", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("x.csv\n")
    assert err == ""


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["none.csv"], 66, "none.csv does not exist"),
        (["x.csv", "--label-key", "nowhere"], 65, "x.csv has no column 'nowhere'; its columns are text, label"),
        (["x.zip"], 65, "x.zip is an archive; unpack it"),
        ([], 2, "Missing argument 'PATH|-'"),
    ],
)
def test_what_cannot_be_described_is_one_line(capsys, words, code, part):
    Path("x.csv").write_text("text,label\na,1\n")
    Path("x.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    assert main(["info", *words]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert part in err


def test_what_a_model_says_of_itself_steers_no_terminal_and_fills_no_screen(capsys, make_model_file):
    path = make_model_file((HOSTILE, "b"))
    saved = load_model(path)
    deep: list = []
    for _ in range(20):
        deep = [deep, HOSTILE]
    saved.training = {HOSTILE: HOSTILE, "steps": HOSTILE, "bytes": float("nan"), "seconds": 1e300, "settings": deep}
    saved.training |= {f"{number}": number for number in range(5000)}
    saved.training |= {"versions": {HOSTILE: HOSTILE}, "data_fingerprint": deep, "bits_per_byte": [1]}
    save_model(path, saved)
    assert main(["info", str(path)]) == 0
    out, err = capsys.readouterr()
    assert STEERS.search(out + err) is None
    assert out.count("\n") < 80
    assert main(["info", str(path), "--json"]) == 0
    out = capsys.readouterr().out
    assert STEERS.search(out) is None
    assert json.loads(out)["classifier"]["classes"] == [HOSTILE, "b"]


def test_what_data_holds_steers_no_terminal(capsys):
    column = json.dumps(HOSTILE)
    Path("x\x1b[31m.json").write_text(f'{{"text": {column}, {column}: {column}, "label": {column}}}\n' * 2)
    assert main(["info", "x\x1b[31m.json"]) == 0
    Path("y.csv").write_text("\x1b[31mtext,b\u202e\n1,2\n")
    assert main(["info", "y.csv"]) == 0
    out, err = capsys.readouterr()
    assert STEERS.search(out + err) is None
