"""`export` hands over what it was asked for, and says what became of it."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from sentneuron.cli import main
from sentneuron.core.config import ExportConfig
from sentneuron.core.model import exporters
from sentneuron.core.model.exporters import ExportReport
from sentneuron.core.model.locate import PRETRAINED


@pytest.fixture
def engine(monkeypatch):
    """Replace the engine; holds the configurations that it was given, and what it says was left out."""
    state = SimpleNamespace(configs=[], left_out=[])

    def export(config):
        state.configs.append(config)
        return ExportReport(
            model=config.model,
            output=config.target,
            layout=config.layout,
            num_bytes=4_210_000,
            left_out=state.left_out,
        )

    monkeypatch.setattr(exporters, "export", export)
    return state


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("safetensors", "model.safetensors"),
        ("nvidia", "model.nvidia.pt"),
        ("openai", "model.openai"),
        ("sentneuron", "model.sentneuron.pt"),
    ],
)
def test_the_output_is_named_after_the_model_and_lies_here(layout, name, engine, capsys):
    assert main(["export", "some/where/model.pt", "--format", layout]) == 0
    assert engine.configs == [ExportConfig(model=Path("some/where/model.pt"), layout=layout)]
    assert capsys.readouterr().err == f"exported some/where/model.pt to {name} (4.2 MB)\n"


def test_a_folder_gives_its_name_and_so_does_this_one(engine, tmp_path, monkeypatch, capsys):
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path / "weights")
    assert main(["export", "../weights", "--format", "safetensors"]) == 0
    assert main(["export", ".", "--format", "safetensors"]) == 0
    assert capsys.readouterr().err.count("to weights.safetensors") == 2


def test_what_was_left_out_is_said_and_all_of_it_is_json(engine, capsys):
    engine.left_out += ["the classifier", "the training record"]
    assert main(["export", "m.pt", "--format", "openai", "-o", "out", "--json"]) == 0
    said = capsys.readouterr()
    assert "left out, as the layout has no place for it: the classifier, the training record\n" in said.err
    assert json.loads(said.out) == {
        "model": "m.pt",
        "output": "out",
        "layout": "openai",
        "num_bytes": 4_210_000,
        "left_out": ["the classifier", "the training record"],
    }


def test_quiet_says_nothing(engine, capsys):
    assert main(["export", "m.pt", "--format", "openai", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["m.pt"], 2, "Missing option '--format'"),
        (["m.pt", "--format", "onnx"], 2, "'onnx' is not one of"),
        (["--format", "openai"], 2, "Missing argument 'MODEL'"),
        (["m.pt", "--format", "openai", "-o", "."], 2, "--output . names no file"),
        (["no.pt", "--format", "nvidia"], 66, "model no.pt does not exist"),
    ],
)
def test_wrong_usage_is_one_line(words, code, line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", *words]) == code
    error = capsys.readouterr().err
    assert line in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_pretrained_model_goes_out_and_comes_back(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(PRETRAINED), "--format", "safetensors", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["num_bytes"] == (tmp_path / "classifier.safetensors").stat().st_size
    assert main(["export", "classifier.safetensors", "--format", "sentneuron"]) == 0
    assert main(["export", str(PRETRAINED), "--format", "nvidia"]) == 65
    line = "a classifier on mean or hidden states, and the layout one on final cell states; give --format safetensors"
    assert line in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"classifier.safetensors", "classifier.sentneuron.pt"}
