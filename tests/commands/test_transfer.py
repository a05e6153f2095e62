import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sentneuron.cli import main
from sentneuron.core.config import FinetuneConfig, LaunchConfig, ReadConfig, TransferConfig
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
        "multi_label": False,
        "folds": None,
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
    words = (
        "m.pt --data imdb --train a.csv --valid b.csv --test c.csv --folds 4 --neurons 5 --drop-neurons --all-layers "
    )
    words += "--pooling mean --no-binarize "
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
            folds=4,
            neurons=5,
            drop_neurons=True,
            all_layers=True,
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


def test_fine_tuning_and_its_options_reach_the_configuration(engine):
    assert main(["transfer", "m.pt", "--finetune"]) == 0
    assert main(["transfer", "m.pt", "--finetune", "--epochs", "7", "--lr", "0.5"]) == 0
    assert [config.finetune for config in engine.configs] == [FinetuneConfig(), FinetuneConfig(epochs=7, lr=0.5)]


@pytest.mark.parametrize("words", ["--epochs 7", "--lr 0.5", "--finetune --folds 3", "--finetune --lr nan"])
def test_options_of_fine_tuning_that_say_nothing_or_contradict_are_wrong_usage(engine, capsys, words):
    assert main(["transfer", "m.pt", *words.split()]) == 2
    assert engine.configs == []
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert words.split()[-2] in line


def test_frozen_scores_stand_beside_the_fine_tuned_ones(engine, capsys):
    names = ("all_neurons", "neurons")
    frozen = {name: REPORT.results[name] | {"train": scores(0.25), "C": 0.125} for name in names}
    engine.report = replace(REPORT, results=REPORT.results | {"frozen": frozen})
    main(["transfer", "model.pt", "--finetune"])
    err = capsys.readouterr().err
    rows = {line.split("  ")[0]: line.split()[-4:] for line in err.splitlines()}
    assert re.search(r"all neurons +1 by weight +frozen: all neurons +frozen: 1 by weight", err)
    assert rows["train: accuracy, 8,000 texts"] == ["75.00%", "62.50%", "25.00%", "25.00%"]
    assert rows["C"] == ["0.25", "1", "0.125", "0.125"]


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
    assert main(["transfer"]) == 0
    assert capsys.readouterr().err.splitlines()[0] == "transferring the pretrained model to sst"


def test_the_table_has_each_part_for_all_neurons_and_for_the_heaviest(engine, capsys):
    main(["transfer", "model.pt"])
    err = capsys.readouterr().err
    rows = {line.split("  ")[0]: line.split()[-2:] for line in err.splitlines()}
    assert rows["train: accuracy, 8,000 texts"] == ["75.00%", "62.50%"]
    assert rows["valid: commonest class"] == ["60.00%", "60.00%"]
    assert rows["neurons used"] == ["2", "1"]
    assert "left out: 3 rows, no text" in err


def test_a_regression_without_neurons_is_warned_about_and_one_row_is_one_row(engine, capsys):
    main(["transfer", "model.pt"])
    assert "warning: " not in capsys.readouterr().err
    results = REPORT.results | {
        "skipped": {"no text": 1},
        "all_neurons": REPORT.results["all_neurons"] | {"weights": []},
    }
    engine.report = replace(REPORT, results=results)
    main(["transfer", "model.pt"])
    err = capsys.readouterr().err
    assert "warning: no neuron helps" in err
    assert "left out: 1 row, no text" in err


def test_what_the_second_regression_stands_on_is_said(engine, capsys):
    main(["transfer", "model.pt", "--neurons", "3"])
    assert "3 by weight" in capsys.readouterr().err
    main(["transfer", "model.pt", "--neurons", "3", "--drop-neurons"])
    assert "all but 3" in capsys.readouterr().err


def test_the_table_of_folds_has_the_mean_and_the_spread(engine, capsys):
    folds = [{"mean": 0.8125, "std": 0.0125, "accuracies": []}, {"mean": 0.5, "std": 0, "accuracies": []}]
    results = engine.report.results | {
        "folds": 10,
        "rows": {"train": 8000},
        "all_neurons": {"C": 1.0, "weights": [], "folds": scores(0.8) | folds[0], "train": scores(0.75)},
        "neurons": {"C": 1.0, "weights": [], "folds": scores(0.5) | folds[1], "train": scores(0.625)},
    }
    engine.report = replace(engine.report, results=results)
    main(["transfer", "model.pt"])
    err = capsys.readouterr().err
    assert re.search(r"10 folds: accuracy +81\.25% ± 1\.25% +50\.00% ± 0\.00%", err)
    assert re.search(r"train: accuracy, 8,000 texts +75\.00% +62\.50%", err)
    assert "folds: F1" in err


def test_several_labels_have_a_table_of_their_own(engine, capsys):
    label = {"accuracy": 0.75, "f1": 0.25, "auc": None, "majority_share": 0.75, "confusion": [[2, 1], [0, 1]]}
    part = {"rows": 4, "accuracy": 0.75, "f1": 0.25, "f1_micro": 0.375, "jaccard": 0.5, "auc": 0.625}
    part |= {"majority_share": 0.875, "labels": {"joy": label, "[b]": label}}
    probe = {"C": 1.0, "weights": [], "train": part, "valid": part}
    results = {"multi_label": True, "rows": {"train": 4, "valid": 4}, "all_neurons": probe, "neurons": probe}
    engine.report = replace(engine.report, results=engine.report.results | results)
    main(["transfer", "model.pt"])
    err = capsys.readouterr().err
    rows = {line.split("  ")[0]: line.split()[-2:] for line in err.splitlines()}
    assert rows["valid: F1, mean of labels"] == ["0.2500", "0.2500"]
    assert rows["valid: F1, all decisions"] == ["0.3750", "0.3750"]
    assert rows["valid: Jaccard index"] == ["0.5000", "0.5000"]
    assert rows["valid: AUC, mean of labels"] == ["0.6250", "0.6250"]
    assert rows["valid: commonest values"] == ["87.50%", "87.50%"]
    for name in ("joy", r"\[b\]"):
        assert re.search(rf"^{name} +25\.0% +75\.00% +0\.2500 +-", err, re.MULTILINE)


def test_json_gives_the_results_on_stdout(engine, capsys):
    main(["transfer", "model.pt", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["output"] == "model_transfer"
    assert result["all_neurons"]["train"]["accuracy"] == 0.75


@pytest.mark.parametrize(
    "words",
    [
        ["--neurons", "0"],
        ["--neurons", "-1"],
        ["--folds", "1"],
        ["--pooling", "max"],
        ["--format", "docx"],
        ["--neurons", "x"],
    ],
)
def test_values_out_of_range_are_wrong_usage(engine, words):
    assert main(["transfer", "model.pt", *words]) == 2
    assert engine.configs == []
