import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from sentneuron.cli import main
from sentneuron.core.config import LaunchConfig, ReadConfig, TransferConfig
from sentneuron.core.transfer import transfer as engine_module
from sentneuron.core.transfer.transfer import TransferReport


def scores(accuracy):
    return {
        "rows": 2,
        "accuracy": accuracy,
        "f1": 0.5,
        "auc": None,
        "majority_share": 0.6,
        "confusion": [[1, 0], [1, 0]],
    }


REPORT = TransferReport(
    output=Path("model_transfer"),
    results={
        "rows": {"train": 8000, "valid": 2},
        "skipped": {"no text": 3},
        "all_neurons": {
            "C": 0.25,
            "weights": [{"neuron": 7}, {"neuron": 2}],
            "train": scores(0.75),
            "valid": scores(0.5),
        },
        "neurons": {"C": 1.0, "weights": [{"neuron": 7}], "train": scores(0.625), "valid": scores(0.5)},
    },
    files=[Path("model_transfer/classifier.pt")],
)


@pytest.fixture
def engine(monkeypatch):
    """Replace the engine; holds the configurations that it was given and its report."""
    state = SimpleNamespace(configs=[], report=REPORT)

    def transfer(config, *, ranks, device, progress, announce):
        state.configs.append(config)
        progress(1, 2)
        announce("columns chosen")
        return state.report

    monkeypatch.setattr(engine_module, "transfer", transfer)
    return state


def test_every_default_is_that_of_the_configuration(engine):
    assert main(["transfer", "model.pt"]) == 0
    assert engine.configs == [TransferConfig(model="model.pt")]


def test_every_option_reaches_the_configuration(engine):
    words = "m.pt --data imdb --train a.csv --valid b.csv --test c.csv --neurons 5 --pooling mean --no-binarize "
    words += "--use-cached --write-results r.json -o out --text-key body --label-key stars --format csv "
    words += "--encoding latin-1 --device cpu --seed 3"
    assert main(["transfer", *words.split()]) == 0
    assert engine.configs == [
        TransferConfig(
            model="m.pt",
            data="imdb",
            train="a.csv",
            valid="b.csv",
            test="c.csv",
            neurons=5,
            pooling="mean",
            binarize=False,
            use_cached=True,
            write_results=Path("r.json"),
            output=Path("out"),
            read=ReadConfig(format="csv", encoding="latin-1", text_key="body", label_key="stars"),
            seed=3,
            device="cpu",
        )
    ]


def test_the_number_of_processes_reaches_the_configuration(settings_of):
    assert settings_of(["transfer", "m.pt", "--gpus", "2"]).launch == LaunchConfig(gpus="2")


def test_a_process_that_only_helps_says_nothing(engine, capsys):
    engine.report = None
    assert main(["transfer", "m.pt", "--quiet", "--json"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_the_first_line_says_what_is_transferred_to_what(engine, capsys):
    main(["transfer", "model.pt", "--data", "imdb"])
    assert capsys.readouterr().err.splitlines()[0] == "transferring model.pt to imdb"


def test_the_table_has_each_part_for_all_neurons_and_for_the_heaviest(engine, capsys):
    main(["transfer", "model.pt"])
    err = capsys.readouterr().err
    rows = {line.split("  ")[0]: line.split()[-2:] for line in err.splitlines()}
    assert rows["train: accuracy, 8,000 texts"] == ["75.00%", "62.50%"]
    assert rows["valid: commonest class"] == ["60.00%", "60.00%"]
    assert rows["neurons used"] == ["2", "1"]
    assert "left out: 3 rows, no text" in err


def test_json_gives_the_results_on_stdout(engine, capsys):
    main(["transfer", "model.pt", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["output"] == "model_transfer"
    assert result["all_neurons"]["train"]["accuracy"] == 0.75


@pytest.mark.parametrize(
    "words", [["--neurons", "0"], ["--neurons", "-1"], ["--pooling", "max"], ["--format", "docx"], ["--neurons", "x"]]
)
def test_values_out_of_range_are_wrong_usage(engine, words):
    assert main(["transfer", "model.pt", *words]) == 2
    assert engine.configs == []


def test_without_a_model_the_usage_is_wrong(engine):
    assert main(["transfer"]) == 2
