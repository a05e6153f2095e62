"""Malformed inputs at the commands that read data: one line and an exit code, or read for what is there.

`shard` has tables of its own, with every line and file (tests/core/data/test_malformed_*.py). Here the same inputs
meet the other readers: `train`, which shards its text first, `transfer`, which counts and leaves out what it cannot
use, and `classify`, which gives a row for each record or stops.
"""

import gzip
import io
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sentneuron.cli import main
from sentneuron.core.config import ModelConfig
from sentneuron.core.data.lines import MAX_LINE_BYTES
from sentneuron.core.data.text import TextRule
from sentneuron.core.model.checkpoint import SavedModel, save_model
from sentneuron.core.model.language_model import LanguageModel

DATA, USAGE, NOT_FOUND, STORAGE = 65, 2, 66, 74
TRAIN = ["--nhid", "4", "--emsize", "2", "--batch-size", "2", "--seq-length", "8", "--max-steps", "1", "--split", "1"]


def commands(source: str) -> dict[str, list[str]]:
    """The words of each command for a source."""
    return {
        "train": ["train", source, "--device", "cpu", *TRAIN],
        "transfer": ["transfer", "lm.pt", "--data", source, "--device", "cpu"],
        "classify": ["classify", source, "--model", "clf.pt", "--device", "cpu", "-o", "out.csv"],
    }


def table(**columns: object) -> bytes:
    """A Parquet file of reviews; `columns` replace or add to text and label."""
    rows = {"text": [f"review {number}" for number in range(40)], "label": [number % 2 for number in range(40)]}
    sink = io.BytesIO()
    pq.write_table(pa.table({**rows, **columns}), sink, write_page_checksum=True, compression="none")
    return sink.getvalue()


def archive(kind: str) -> bytes:
    sink = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(sink, "w") as file:
            file.writestr("in.json", LINES)
    else:
        with tarfile.open(fileobj=sink, mode="w") as file:
            member = tarfile.TarInfo("in.json")
            member.size = len(LINES)
            file.addfile(member, io.BytesIO(LINES))
    return sink.getvalue()


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :]


LINES = b"".join(
    b'{"text": "review %d: %x", "label": %d}\n' % (n, random.Random(n).getrandbits(400), n % 2) for n in range(60)
)
GOOD = b"".join(b'{"text": "good %d", "label": %d}\n' % (n, n % 2) for n in range(60))
CSV = b"text,label\n" + b"".join(b"good %d,%d\n" % (n, n % 2) for n in range(60))
LONG_CELLS = b"text,label,notes\n" + b"".join(
    b'good %d,%d,"%s"\n' % (n, n % 2, b"x" * 140_000 * (n == 7)) for n in range(60)
)
GZIP = gzip.compress(LINES, mtime=0)
MANY = [f"review {number}, long enough to be apart" for number in range(40)]
PARQUET = table()


class Case(NamedTuple):
    """An input and what each command makes of it: an exit code, and what its line holds."""

    name: str
    content: bytes
    code: int
    said: str
    unlike: Mapping[str, tuple[int, str]] = MappingProxyType({})
    """What other commands make of it."""


READ = (0, "")
BAD_SHARE = (DATA, "records are malformed")

CASES = {
    "empty": Case("in.json", b"", DATA, "in.json is empty"),
    "white space": Case("in.csv", b" \n\n", DATA, "in.csv is empty"),
    "only a header": Case(
        "in.csv", b"text,label\n", DATA, "no documents", {"classify": READ, "transfer": (DATA, "no row has both")}
    ),
    "no text column": Case("in.csv", b"a,b\n1,2\n", DATA, "in.csv has no text column; its columns are a, b"),
    "UTF-16": Case("in.csv", CSV.decode().encode("utf-16"), DATA, "in.csv is UTF-16 text; say --encoding"),
    "UTF-16 without a mark": Case("in.csv", CSV.decode().encode("utf-16-le"), DATA, "in.csv is not text in UTF-8"),
    "Latin-1": Case(
        "in.csv",
        CSV + b"caf\xe9,1\n" * 3,
        DATA,
        "invalid UTF-8",
        {"train": BAD_SHARE, "transfer": (0, "left out: 3 rows, invalid UTF-8")},
    ),
    "binary": Case("in.json", random.Random(0).randbytes(9000), DATA, "in.json is not text in UTF-8"),
    "gzip named .json": Case("in.json", GZIP, 0, ""),
    "plain named .gz": Case("in.json.gz", LINES, 0, ""),
    "several gzip members": Case("in.json.gz", GZIP + GZIP, 0, ""),
    "gzip truncated": Case("in.json.gz", GZIP[: len(GZIP) // 2], DATA, "in.json.gz: the gzip data ends too early"),
    "gzip without trailer": Case("in.json.gz", GZIP[:-8], DATA, "in.json.gz: the gzip data ends too early"),
    "gzip with a bad checksum": Case("in.json.gz", flipped(GZIP, -8), DATA, "in.json.gz: the gzip data is damaged"),
    "gzip with a flipped bit": Case("in.json.gz", flipped(GZIP, 999), DATA, "in.json.gz: the gzip data"),
    "gzip with garbage behind": Case("in.json.gz", GZIP + b"garbage" * 9, DATA, "in.json.gz: the gzip data"),
    "gzip bomb of one line": Case(
        "in.gz",
        gzip.compress(b'{"text": "' + b"x" * (4 * MAX_LINE_BYTES), 1),
        DATA,
        "in.gz has no text column",
    ),
    "zip": Case("in.json", archive("zip"), DATA, "in.json is an archive; unpack it"),
    "tar": Case("in.json", archive("tar"), DATA, "in.json is an archive; unpack it"),
    "array cut": Case("in.json", b'[{"text": "a", "label": 1},\n{"text": "b', DATA, "in.json:2: the JSON array"),
    "a line cut": Case(
        "in.json",
        GOOD + b'{"text": "cut',
        DATA,
        "in.json:61: not JSON",
        {"train": BAD_SHARE, "transfer": (0, "left out: 1 rows, not JSON")},
    ),
    "null and missing text": Case("in.json", GOOD + b'{"text": null}\n{"label": 1}\n', 0, ""),
    "deep nesting": Case(
        "in.json",
        GOOD + b'{"text": ' + b"[" * 100_000 + b"\n",
        DATA,
        "in.json:61: not JSON",
        {"train": BAD_SHARE, "transfer": (0, "left out: 1 rows, not JSON")},
    ),
    "5,000-digit integer": Case(
        "in.json",
        GOOD + b'{"label": ' + b"9" * 5000 + b', "text": "x"}\n',
        DATA,
        "in.json:61: not JSON",
        {"train": BAD_SHARE, "transfer": (0, "left out: 1 rows, not JSON")},
    ),
    "ratings that are no numbers": Case("in.json", GOOD + b'{"text": "x", "label": NaN}\n' * 3, 0, ""),
    "half a surrogate pair": Case("in.json", GOOD + b'{"text": "a \\ud83d b", "label": 1}\n', 0, ""),
    "byte order mark and CRLF": Case("in.csv", b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"), 0, ""),
    "NUL in a text": Case("in.csv", CSV + b"a\x00b,1\n", 0, ""),
    "quoted newline": Case("in.csv", CSV + b'"two\nlines",1\n', 0, ""),
    "semicolons": Case("in.csv", CSV.replace(b",", b";"), 0, ""),
    "tabs": Case("in.csv", CSV.replace(b",", b"\t"), 0, ""),
    "quote never closed": Case("in.csv", CSV + b'"open,1\nx,0\n', DATA, "in.csv:62: a quote is opened and not closed"),
    "ragged rows": Case(
        "in.csv",
        CSV + b"x\n",
        DATA,
        "in.csv:62: wrong number of fields",
        {"train": BAD_SHARE, "transfer": (0, "left out: 1 rows, wrong number of fields")},
    ),
    "a cell over 128 KB": Case("in.csv", LONG_CELLS, 0, ""),
    "duplicate header names": Case("in.csv", b"text,text\na,b\n", DATA, "in.csv has several columns called 'text'"),
    "labels that are no numbers": Case("in.csv", CSV.replace(b",1\n", b",fine\n").replace(b",0\n", b",awful\n"), 0, ""),
    "a single class": Case(
        "in.csv", b"text,label\n" + b"good,1\n" * 30, 0, "", {"transfer": (DATA, "all 30 labels are '1'")}
    ),
    "no label column": Case(
        "in.csv",
        CSV.replace(b",", b" ").replace(b"text label", b"text"),
        0,
        "",
        {"transfer": (DATA, "in.csv has no label column")},
    ),
    "Parquet truncated": Case("in.parquet", PARQUET[:-100], DATA, "in.parquet is no whole Parquet file"),
    "Parquet without footer": Case("in.parquet", PARQUET[:-8], DATA, "in.parquet is no whole Parquet file"),
    "Parquet with a flipped bit": Case(
        "in.parquet", PARQUET.replace(b"review 33", b"review 73"), DATA, "in.parquet: row group 0 cannot be read"
    ),
    "Parquet without text": Case(
        "in.parquet", table().replace(b"text", b"tixt"), DATA, "in.parquet has no text column"
    ),
    "Parquet with numbers as text": Case(
        "in.parquet",
        table(text=list(range(40))),
        DATA,
        "records are malformed",
        {"classify": READ, "transfer": (DATA, "no row has both a text and a label")},
    ),
    "Parquet with nulls": Case("in.parquet", table(text=[None, *(f"good {n}" for n in range(38)), ""]), 0, ""),
    "Parquet with a dictionary": Case("in.parquet", table(text=pa.array(MANY).dictionary_encode()), 0, ""),
    "Parquet with string views": Case("in.parquet", table(text=pa.array(MANY, pa.string_view())), 0, ""),
    "Parquet without rows": Case(
        "in.parquet",
        table(text=pa.array([], pa.string()), label=pa.array([], pa.int8())),
        DATA,
        "no documents",
        {"classify": READ, "transfer": (DATA, "no row has both")},
    ),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a language model and a classifier."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(1)
    model = LanguageModel(ModelConfig(nhid=4, emsize=2)).eval()
    save_model(folder / "lm.pt", SavedModel(kind="language-model", model=model, rule=TextRule()))
    probe = {"weight": torch.ones(1, 4), "bias": torch.zeros(1), "C": 1.0}
    few = {"indices": [3], "weight": torch.ones(1, 1), "bias": torch.zeros(1), "C": 1.0, "scale": [0.25]}
    classifier = {"classes": ["0", "1"], "pooling": "mean", "all": probe, "neurons": few}
    save_model(folder / "clf.pt", SavedModel(kind="classifier", model=model, rule=TextRule(), classifier=classifier))
    return folder


@pytest.fixture(autouse=True)
def _here(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("lm.pt", "clf.pt"):
        os.link(models / name, name)


def check(capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str) -> None:
    """Run a command: an error is one line that says so, on stderr, and leaves nothing; else there is none."""
    before = sorted(os.listdir())
    assert main(words) == code
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert said in (errors[0] if code else err)
    assert len(errors) == (code != 0)
    assert "Traceback" not in err
    if code:
        assert out == ""
        # A lock and the folder of sharded texts stay; neither is an output.
        assert sorted(set(os.listdir()) - {".sentneuron", ".model.pt.lock"}) == before
        assert not list(Path().rglob("*.tmp"))


def documented() -> str:
    """The table of docs/reliability-inputs.md."""
    commands = ("train", "transfer", "classify")
    lines = ["| input | " + " | ".join(commands) + " |", "| --- " * 4 + "|"]
    for name, case in CASES.items():
        outcomes = (case.unlike.get(command, (case.code, case.said)) for command in commands)
        cells = [f"{code}: {said}" if code else said or "read" for code, said in outcomes]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_documented_table_is_that_of_the_cases():
    page = Path(__file__).parents[2] / "docs" / "reliability-inputs.md"
    assert documented() in page.read_text("utf-8")


def each_case() -> Iterator[Any]:
    """Every case at every command; all but a few at `train` are slow."""
    for name, case in CASES.items():
        for command in ("train", "transfer", "classify"):
            code, said = case.unlike.get(command, (case.code, case.said))
            is_quick = command == "train" and name in ("empty", "gzip truncated", "a line cut", "single class")
            marks = [] if is_quick else [pytest.mark.slow]
            yield pytest.param(case, command, code, said, id=f"{name}-{command}", marks=marks)


@pytest.mark.parametrize(("case", "command", "code", "said"), list(each_case()))
def test_a_malformed_file_is_one_line_or_read(
    capsys: pytest.CaptureFixture[str], case: Case, command: str, code: int, said: str
):
    Path(case.name).write_bytes(case.content)
    check(capsys, commands(case.name)[command], code, said)


PATHS: dict[str, tuple[Callable[[], object], str, tuple[int, str]]] = {
    "missing": (lambda: None, "none.csv", (NOT_FOUND, "none.csv does not exist")),
    "broken link": (lambda: Path("in.csv").symlink_to("gone"), "in.csv", (NOT_FOUND, "in.csv does not exist")),
    "a file as folder": (lambda: Path("a").write_bytes(CSV), "a/b", (NOT_FOUND, "a/b does not exist")),
    "pattern without a match": (lambda: None, "*.tsv", (NOT_FOUND, "no file matches *.tsv")),
    "name too long": (lambda: None, "a" * 5000, (NOT_FOUND, "does not exist")),
    "name that is not UTF-8": (lambda: None, "caf\udce9.csv", (NOT_FOUND, "")),
}


@pytest.mark.parametrize("command", ["train", "transfer", "classify"])
@pytest.mark.parametrize(("make", "source", "expected"), PATHS.values(), ids=PATHS)
def test_a_path_that_leads_nowhere_is_one_line(capsys, make, source, expected, command):
    make()
    code, said = expected
    check(capsys, commands(source)[command], code, said)


def test_an_empty_folder_holds_no_data(capsys):
    Path("none").mkdir()
    check(capsys, commands("none")["train"], NOT_FOUND, "none holds no data files")
    check(capsys, commands("none")["classify"], NOT_FOUND, "none holds no data files")
    check(capsys, commands("none")["transfer"], NOT_FOUND, "none has no train file")


def test_train_reads_its_text_twice_and_says_so_of_a_pipe(capsys):
    os.mkfifo("pipe")
    check(capsys, commands("pipe")["train"], USAGE, "run 'sentneuron shard pipe -o text.shards' first")
    check(capsys, commands("-")["train"], USAGE, "run 'sentneuron shard - -o text.shards' first")


@pytest.mark.parametrize("command", ["train", "transfer", "classify"])
def test_a_file_that_may_not_be_read_is_74(capsys, monkeypatch, command):
    Path("in.csv").write_bytes(CSV)
    real_open = open

    def refuse(path, *arguments, **options):
        if path == "in.csv":
            raise PermissionError(13, "Permission denied", path)
        return real_open(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", refuse)
    check(capsys, commands("in.csv")[command], STORAGE, "cannot read in.csv: Permission denied")


def test_rows_without_text_stay_in_their_order_with_empty_results(capsys):
    Path("in.json").write_bytes(b'{"text": "a"}\n{"text": null}\n{"other": 1}\n{"text": "b"}\n')
    check(capsys, [*commands("in.json")["classify"], "--format", "jsonl"], 0, "")
    rows = [json.loads(line) for line in Path("out.csv").read_text().splitlines()]
    assert [row["probability"] is None for row in rows] == [False, True, True, False]


# Options, outputs and streams


def give_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))  # type: ignore[arg-type]


STDIN = [
    (b"", "stdin is empty"),
    (random.Random(0).randbytes(999), "stdin is not text"),
    (GZIP[:-9], "stdin: the gzip"),
]


@pytest.mark.parametrize("command", ["transfer", "classify"])
@pytest.mark.parametrize(("content", "said"), STDIN, ids=["empty", "binary", "cut"])
def test_stdin_that_cannot_be_used_is_one_line(capsys, monkeypatch, command, content, said):
    give_stdin(monkeypatch, content)
    check(capsys, commands("-")[command], DATA, said)


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
