"""Every command line that `sentneuron shard` cannot follow: one line that names the option, exit code 2, 65 or 73."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sentneuron.cli import main

ROOT = Path(__file__).parents[2]

WRONG_USAGE = [
    *(["--shards", value] for value in ("0", "-1", "nan", "inf", "1.5", "many", "")),
    *(["--split", value] for value in ("0,1,1", "-1,1,1", "1,1,1,1", "nan", "1,nan", ",", "", "1;1", "0")),
    *(["--max-bad", value] for value in ("nan", "inf", "-1%", "-0.01", "101%", "1.01", "x", "%", "")),
    *(["--workers", value] for value in ("0", "-1", "nan", "1.5", "")),
    *(["--seed", value] for value in ("nan", "inf", "1.5", "one")),
    ["--format", "xml"],
    ["--encoding", "klingon"],
    ["--on-error", "ignore"],
    ["--no-such-option"],
]


@pytest.fixture(autouse=True)
def reviews(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("reviews.csv").write_text("text,label\none,1\ntwo,0\n")


def error_of(capsys) -> str:
    """Return the only line of the error."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize("words", WRONG_USAGE, ids=" ".join)
def test_a_value_that_cannot_be_is_wrong_usage_and_names_the_option(capsys, words):
    assert main(["shard", "reviews.csv", *words]) == 2
    assert words[0] in error_of(capsys)
    assert os.listdir() == ["reviews.csv"]


@pytest.mark.parametrize("words", [["--seed", "-1"], ["--seed", "9" * 40], ["--shards", "9" * 20]], ids=" ".join)
def test_a_number_too_large_or_too_small_is_wrong_usage(capsys, words):
    assert main(["shard", "reviews.csv", *words]) == 2
    assert words[0] in error_of(capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing argument 'INPUT'"),
        (["reviews.csv", "more.csv"], "several inputs, or stdin, give the shard folder no name; name it with -o"),
        (["*.csv"], "several inputs, or stdin, give the shard folder no name; name it with -o"),
        (["-"], "several inputs, or stdin, give the shard folder no name; name it with -o"),
        (["reviews.csv", "--shards", "2"], "2 shards cannot hold a split into 3 parts"),
    ],
)
def test_words_that_do_not_fit_together_are_wrong_usage(capsys, words, message):
    assert main(["shard", *words]) == 2
    assert message in error_of(capsys)
    assert os.listdir() == ["reviews.csv"]


@pytest.mark.parametrize("option", ["--text-key", "--label-key"])
def test_a_column_that_is_not_there_is_65_and_names_those_that_are(capsys, option):
    assert main(["shard", "reviews.csv", option, "stars"]) == 65
    line = error_of(capsys)
    assert f"no column 'stars'; its columns are text, label; name one of them with {option}" in line
    assert os.listdir() == ["reviews.csv"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("file", "file is a file; name another folder with -o"),
        ("full", "full is not a shard folder: it holds thesis.tex; name another with -o"),
        ("missing/out", "missing does not exist; make it first"),
        ("file/out", "file"),
        (".", "is no name for a new folder; name one with -o"),
    ],
)
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_an_output_that_cannot_be_made_is_73_and_stays_as_it_is(capsys, output, message, force):
    Path("file").write_text("years of work")
    Path("full").mkdir()
    Path("full/thesis.tex").write_text("years of work")
    assert main(["shard", "reviews.csv", "-o", output, *force]) == 73
    assert message in error_of(capsys)
    assert sorted(os.listdir()) == ["file", "full", "reviews.csv"]
    assert Path("file").read_text() == Path("full/thesis.tex").read_text() == "years of work"


def test_a_folder_that_may_not_be_written_is_one_line(capsys, monkeypatch):
    def refuse(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "mkdir", refuse)
    assert main(["shard", "reviews.csv", "--shards", "1", "--split", "1"]) == 73
    assert "Permission denied" in error_of(capsys)


@pytest.mark.slow
def test_neither_the_c_locale_nor_a_closed_stdout_stops_it(tmp_path):
    Path("größe.csv").write_text("text\ncafé\n", encoding="utf-8")
    words = [sys.executable, "-m", "sentneuron", "shard", str(tmp_path / "größe.csv"), "--shards", "1", "--split", "1"]
    environment = {**os.environ, "LANG": "C", "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*words, "--json"], stdout=writing, stderr=subprocess.PIPE, env=environment, timeout=120)
    os.close(writing)
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0
    assert Path("größe.shards/manifest.json").exists()
