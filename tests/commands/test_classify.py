import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sentneuron.cli import main
from sentneuron.core.config import ClassifyConfig, LaunchConfig, ReadConfig
from sentneuron.core.transfer import classify as engine_module
from sentneuron.core.transfer.classify import ClassifyReport

REPORT = ClassifyReport(
    model="classifier.pt",
    data="reviews.csv",
    rows=10,
    without_text=1,
    num_bytes=4_000,
    seconds=2.0,
    rows_per_second=5.0,
    bytes_per_second=2_000.0,
    predictions={"1": 6, "0": 3},
    scores={
        "rows": 9,
        "accuracy": 0.75,
        "f1": 0.8,
        "auc": 0.9,
        "majority_share": 0.6,
        "confusion": [[3, 1], [2, 3]],
        "classes": ["0", "[/b]"],
    },
    outputs=[Path("reviews.classified.csv")],
    result=None,
)
ROW = {"text": "good", "prediction": "1"}


@pytest.fixture
def engine(monkeypatch):
    """Replace the engine; holds the configurations it was given and its report."""
    state = SimpleNamespace(configs=[], report=REPORT)

    def classify(config, *, ranks, device, stdout, progress, announce):
        state.configs.append(config)
        announce("classifying reviews.csv with classifier.pt")
        progress(1, 2)
        if stdout is not None and config.text is not None:
            stdout.write(b"text,prediction\n")
        return state.report

    monkeypatch.setattr(engine_module, "classify", classify)
    return state


def test_every_default_is_that_of_the_configuration(engine):
    assert main(["classify"]) == 0
    assert engine.configs == [ClassifyConfig()]


def test_every_option_reaches_the_configuration(engine):
    words = "in.csv --model m.pt --neurons 5 --neutral 0.4,0.6 -o out.jsonl --format jsonl --text-key body "
    words += "--label-key stars --encoding latin-1 --precision bf16 --device cpu --excel-safe --seed 3"
    assert main(["classify", *words.split()]) == 0
    assert main(["classify", "--text", "so good", "--load_model", "n.pt"]) == 0
    assert engine.configs == [
        ClassifyConfig(
            data="in.csv",
            model="m.pt",
            neurons=5,
            neutral=(0.4, 0.6),
            output=Path("out.jsonl"),
            output_format="jsonl",
            read=ReadConfig(encoding="latin-1", text_key="body", label_key="stars"),
            excel_safe=True,
            precision="bf16",
            seed=3,
            device="cpu",
        ),
        ClassifyConfig(text="so good", model="n.pt"),
    ]


def test_the_number_of_processes_reaches_the_configuration(settings_of):
    assert settings_of(["classify", "in.csv", "--gpus", "6,7"]).launch == LaunchConfig(gpus="6,7")


def test_a_process_that_only_helps_says_nothing(engine, capsys):
    engine.report = None
    assert main(["classify", "reviews.csv", "--quiet", "--json"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_an_unknown_precision_is_wrong_usage(engine):
    assert main(["classify", "in.csv", "--precision", "fp8"]) == 2
    assert engine.configs == []


def test_the_first_line_says_which_model_and_data(engine, capsys):
    main(["classify", "reviews.csv"])
    assert capsys.readouterr().err.splitlines()[0] == "classifying reviews.csv with classifier.pt"


def test_counts_scores_and_the_confusion_are_shown_on_stderr(engine, capsys):
    main(["classify", "reviews.csv"])
    shown = capsys.readouterr()
    rows = [line.split() for line in shown.err.splitlines()]
    assert ["1", "6", "60.0%"] in rows
    assert ["(no", "text)", "1", "10.0%"] in rows
    assert ["accuracy", "75.00%"] in rows
    assert ["[/b]", "2", "3"] in rows
    assert ["wrote", "reviews.classified.csv"] in rows
    assert "4.0 kB in 2.0 s: 5.0 rows/s, 2.0 kB/s" in shown.err.splitlines()
    assert shown.out == ""


def test_several_labels_are_shown_each_with_its_scores(engine, capsys):
    label = {"accuracy": 0.75, "f1": 0.25, "auc": None, "majority_share": 0.75, "confusion": [[2, 1], [0, 1]]}
    scores = {"rows": 4, "accuracy": 0.75, "f1": 0.25, "f1_micro": 0.375, "jaccard": 0.5, "auc": 0.625}
    scores |= {"majority_share": 0.875, "labels": {"[/b]": label}, "classes": ["[/b]"]}
    engine.report = replace(REPORT, scores=scores)
    main(["classify", "reviews.csv"])
    rows = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert ["Jaccard", "index", "0.5000"] in rows
    assert ["[/b]", "25.0%", "75.00%", "0.2500", "-"] in rows


def test_one_text_gives_its_row_on_stdout_and_no_table(engine, capsysbinary):
    engine.report = replace(REPORT, rows=1, without_text=0, scores=None, outputs=[], result=ROW)
    assert main(["classify", "--text", "good"]) == 0
    shown = capsysbinary.readouterr()
    assert shown.out == b"text,prediction\n"
    assert len(shown.err.splitlines()) == 1
    assert main(["classify", "--text", "good", "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["result"] == ROW


def test_json_and_rows_do_not_share_stdout(engine, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["classify", "-", "--json"]) == 2
    assert main(["classify", "a.csv", "-o", "-", "--json"]) == 2
    assert main(["classify", "-", "-o", "out.csv", "--json"]) == 0
    assert [config.output for config in engine.configs] == [Path("out.csv")]


@pytest.mark.parametrize(
    "words",
    [
        ["--neutral", "0.4"],
        ["--neutral", "a,b"],
        ["--neutral", "0.6,0.4"],
        ["--neutral", "-0.1,0.4"],
        ["--neutral", "nan,0.4"],
        ["--format", "docx"],
        ["--text", "and data"],
    ],
)
def test_wrong_values_are_wrong_usage(engine, words):
    assert main(["classify", "a.csv", *words]) == 2
    assert engine.configs == []
