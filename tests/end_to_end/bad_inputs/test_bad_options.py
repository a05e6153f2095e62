"""Paths that lead nowhere, streams, outputs, models and options that cannot be used: one line and an exit code."""

import gzip
import io
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sentneuron.cli import main

DATA, USAGE, NOT_FOUND, STORAGE = 65, 2, 66, 74
TRAIN = ["--nhid", "4", "--emsize", "2", "--batch-size", "2", "--seq-length", "8", "--max-steps", "1", "--split", "1"]
CSV = b"text,label\n" + b"".join(b"good %d,%d\n" % (n, n % 2) for n in range(60))
GZIP = gzip.compress(random.Random(0).randbytes(999), mtime=0)


PATHS: dict[str, tuple[Callable[[], object], str, tuple[int, str]]] = {
    "missing": (lambda: None, "none.csv", (NOT_FOUND, "none.csv does not exist")),
    "broken link": (lambda: Path("in.csv").symlink_to("gone"), "in.csv", (NOT_FOUND, "in.csv does not exist")),
    "a file as folder": (lambda: Path("a").write_bytes(CSV), "a/b", (NOT_FOUND, "a/b does not exist")),
    "pattern without a match": (lambda: None, "*.tsv", (NOT_FOUND, "no file matches *.tsv")),
    "name too long": (lambda: None, "a" * 5000, (NOT_FOUND, "does not exist")),
    "name that is not UTF-8": (lambda: None, "caf\udce9.csv", (NOT_FOUND, "")),
}


@pytest.mark.parametrize("command", ["train", "transfer", "classify", "info"])
@pytest.mark.parametrize(("make", "source", "expected"), PATHS.values(), ids=PATHS)
def test_a_path_that_leads_nowhere_is_one_line(check, commands, make, source, expected, command):
    make()
    code, said = expected
    check(commands(source)[command], code, said)


def test_an_empty_folder_holds_no_data(check, commands):
    Path("none").mkdir()
    check(commands("none")["train"], NOT_FOUND, "none holds no data files")
    check(commands("none")["classify"], NOT_FOUND, "none holds no data files")
    check(commands("none")["transfer"], NOT_FOUND, "none has no train file")
    check(commands("none")["info"], DATA, "none is a folder without a model or data; info knows models")


def test_train_reads_its_text_twice_and_says_so_of_a_pipe(check, commands):
    os.mkfifo("pipe")
    check(commands("pipe")["train"], USAGE, "run 'sentneuron shard pipe -o text.shards' first")
    check(commands("-")["train"], USAGE, "run 'sentneuron shard - -o text.shards' first")


@pytest.mark.parametrize("command", ["train", "transfer", "classify", "info"])
def test_a_file_that_may_not_be_read_is_74(check, commands, monkeypatch, command):
    Path("in.csv").write_bytes(CSV)
    real_open = open

    def refuse(path, *arguments, **options):
        if path == "in.csv":
            raise PermissionError(13, "Permission denied", path)
        return real_open(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", refuse)
    check(commands("in.csv")[command], STORAGE, "cannot read in.csv: Permission denied")


def test_rows_without_text_stay_in_their_order_with_empty_results(check, commands):
    Path("in.json").write_bytes(b'{"text": "a"}\n{"text": null}\n{"other": 1}\n{"text": "b"}\n')
    check([*commands("in.json")["classify"], "--format", "jsonl"], 0, "")
    rows = [json.loads(line) for line in Path("out.csv").read_text().splitlines()]
    assert [row["probability"] is None for row in rows] == [False, True, True, False]


def give_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))  # type: ignore[arg-type]


STDIN = [
    (b"", "stdin is empty"),
    (random.Random(0).randbytes(999), "stdin is not text"),
    (GZIP[:-9], "stdin: the gzip"),
]


@pytest.mark.parametrize("command", ["transfer", "classify", "info"])
@pytest.mark.parametrize(("content", "said"), STDIN, ids=["empty", "binary", "cut"])
def test_stdin_that_cannot_be_used_is_one_line(check, commands, monkeypatch, command, content, said):
    give_stdin(monkeypatch, content)
    check(commands("-")[command], DATA, said)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["classify", "in.csv", "--model", "clf.pt", "-o", "folder"], 73, "folder is a folder"),
        (["classify", "in.csv", "--model", "clf.pt", "-o", "none/out.csv"], 73, "folder none does not exist"),
        (["transfer", "lm.pt", "--data", "in.csv", "-o", "in.csv"], 73, "cannot make folder in.csv: File exists"),
        (["generate", "--model", "clf.pt", "--gen-length", "0", "-n", "2", "--save", "folder"], 73, "is a folder"),
        (["train", "in.csv", *TRAIN, "--save", "folder"], 73, "folder exists"),
        (["train", "in.csv", *TRAIN, "--seq-length", "100000"], DATA, "bytes of text are less than one batch"),
        (["train", "in.csv", *TRAIN, "--batch-size", "9" * 30], DATA, "bytes of text are less than one batch"),
        (["generate", "--model", "in.csv"], DATA, "in.csv"),
        (["generate", "--model", "folder"], DATA, "folder"),
        (["generate", "--model", "none.pt"], NOT_FOUND, "none.pt does not exist"),
        (["classify", "in.csv", "--model", "in.csv"], DATA, "in.csv"),
        (["transfer", "in.csv", "--data", "in.csv"], DATA, "in.csv"),
        (["transfer", "none.pt", "--data", "in.csv"], NOT_FOUND, "none.pt does not exist"),
        (["classify", "in.csv", "--model", "lm.pt"], DATA, "sentneuron transfer"),
        (["generate", "--model", "clf.pt", "--temperature", "inf"], USAGE, "--temperature is inf"),
        (["generate", "--model", "clf.pt", "--heatmap", "--text", ""], USAGE, "no text to colour"),
        (["generate", "--model", "clf.pt", "--overwrite", f"{'9' * 5000}=1"], USAGE, "is not NEURON=VALUE"),
    ],
)
def test_an_output_a_model_or_a_number_that_cannot_be_used_is_one_line(capsys, words, code, said):
    Path("in.csv").write_bytes(CSV)
    Path("folder").mkdir()
    assert main([*words, "--device", "cpu"]) == code
    err = capsys.readouterr().err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert said in line
    assert sorted(set(os.listdir()) - {".sentneuron"}) == ["clf.pt", "folder", "in.csv", "lm.pt"]
    assert os.listdir("folder") == []


@pytest.mark.parametrize("prompt", ["", " ", "né 中 👍", "\x00", "a" * 300])
def test_any_prompt_is_continued_at_temperature_0(capsys, prompt):
    words = ["generate", "--model", "clf.pt", "--temperature", "0", "--gen-length", "3", "--json", "--text", prompt]
    assert main(words) == 0
    (sample,) = json.loads(capsys.readouterr().out)["samples"]
    assert sample["text"].startswith(prompt)
    assert len(sample["values"]) == len(sample["text"]) > len(prompt)


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["cat", "head -c 5"])
def test_a_plain_locale_and_a_reader_that_goes_away_end_well(shell):
    Path("in.csv").write_bytes(b"text\n" + "né\n".encode() * 20_000)
    command = f"{sys.executable} -m sentneuron generate --model clf.pt --text 'né 中' --gen-length 0 | {shell}; "
    command += f"echo ${{PIPESTATUS[0]}}; {sys.executable} -m sentneuron shard in.csv --json --quiet | {shell}; "
    command += "echo ${PIPESTATUS[0]}"
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        ["bash", "-c", command],
        env=os.environ | plain,
        capture_output=True,
        encoding="latin-1",
        timeout=120,
        check=False,
    )
    assert re.findall("^[0-9]+$", done.stdout.replace("{", "\n"), re.MULTILINE) == ["0", "0"] or shell != "cat"
    assert done.stdout.rstrip().endswith("0")
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr
