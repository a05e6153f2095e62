"""`sentneuron generate`: the options reach the engine, samples stdout, everything else stderr, heatmaps their files."""

import inspect
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from sentneuron.cli import main
from sentneuron.commands.generate import generate
from sentneuron.core.config import GenerateConfig, ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.generation import generate as engine
from sentneuron.core.generation.heatmap import CharacterValues
from sentneuron.core.model.checkpoint import SavedModel, save_model
from sentneuron.core.model.language_model import LanguageModel


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `lm.pt` and `classifier.pt`."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(1)
    model = LanguageModel(ModelConfig(nhid=8, emsize=4))
    with torch.no_grad():
        model.decoder.weight.mul_(20)
        model.decoder.bias[128:] = -1e4  # ASCII only
    save_model(folder / "lm.pt", SavedModel(kind="language-model", model=model, rule=TextRule()))
    regressions: dict[str, Any] = {
        "classes": ["negative", "positive"],
        "multi_label": False,
        "pooling": "last",
        "all_layers": False,
        "all": {"weight": torch.ones(1, 8), "bias": torch.zeros(1), "C": 1.0},
        "neurons": {"indices": [3], "weight": torch.ones(1, 1), "bias": torch.zeros(1), "C": 1.0},
        "sentiment_neuron": 3,
        "scale": torch.full((8,), 0.25),
    }
    saved = SavedModel(kind="classifier", model=model, rule=TextRule(), classifier=regressions)
    save_model(folder / "classifier.pt", saved)
    return folder


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def engine_call(monkeypatch: pytest.MonkeyPatch) -> list[GenerateConfig]:
    """Replace the engine; holds the configurations that it was called with."""
    calls: list[GenerateConfig] = []

    def replaced(saved: SavedModel, config: GenerateConfig, **callbacks: Any) -> engine.Generated:
        calls.append(config)
        return engine.Generated(samples=[CharacterValues(text="made", values=[], neuron=None)], scale=None)

    monkeypatch.setattr(engine, "generate", replaced)
    return calls


def test_every_option_default_is_the_dataclass_default():
    defaults = {name: parameter.default for name, parameter in inspect.signature(generate).parameters.items()}
    assert defaults.pop("precision") is None  # none named: the dataclass's
    for field in fields(GenerateConfig):
        assert defaults.pop(field.name, field.default) == field.default
    assert (defaults.pop("fp16"), defaults.pop("bf16")) == (False, False)
    assert set(defaults) == {"config", "quiet", "verbose", "json", "debug"}


def test_every_option_reaches_the_engine(models: Path, engine_call: list[GenerateConfig]):
    options = [
        "--text",
        "a b",
        "--gen-length",
        "7",
        "--temperature",
        "0.5",
        "--top-k",
        "9",
        "--top-p",
        "0.8",
        "-n",
        "2",
    ]
    options += ["--seed", "4", "--heatmap", "--neuron", "5", "--overwrite", "-1", "--negate", "--save", "x.txt"]
    options += ["--precision", "int8"]
    assert main(["generate", "--model", str(models / "lm.pt"), "--device", "cpu", *options]) == 0
    assert engine_call == [
        GenerateConfig(
            text="a b",
            gen_length=7,
            temperature=0.5,
            top_k=9,
            top_p=0.8,
            num_samples=2,
            model=str(models / "lm.pt"),
            heatmap=True,
            neuron=5,
            overwrite="-1",
            negate=True,
            save=Path("x.txt"),
            seed=4,
            precision="int8",
            device="cpu",
        )
    ]


def test_an_unknown_precision_is_wrong_usage(models: Path, engine_call: list[GenerateConfig]):
    assert main(["generate", "--model", str(models / "lm.pt"), "--precision", "fp8"]) == 2
    assert engine_call == []


def test_a_precision_generates_and_changes_the_neurons_values(models: Path, capsys: pytest.CaptureFixture[str]):
    values = {}
    for precision in ("fp32", "fp16", "bf16", "int8"):
        options = ["--text", "I loved this film", "--heatmap", "--json", "--precision", precision]
        assert main(["generate", "--model", str(models / "classifier.pt"), *options]) == 0
        values[precision] = json.loads(capsys.readouterr().out)["samples"][0]["values"]
    for precision in ("fp16", "bf16", "int8"):
        assert values[precision] != values["fp32"]
        assert values[precision] == pytest.approx(values["fp32"], abs=0.05)


def test_a_sample_streams_to_stdout_and_the_model_is_named_on_stderr(models: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--model", str(models / "lm.pt"), "--text", "I loved", "--gen-length", "20"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("I loved")
    assert len(out) == len("I loved") + 20 + 1
    assert err.splitlines()[0] == f"model: {models / 'lm.pt'}"


def test_the_seed_makes_the_output_reproducible(models: Path, capsys: pytest.CaptureFixture[str]):
    made = []
    for seed in ("1", "1", "2"):
        assert main(["generate", "--model", str(models / "lm.pt"), "--gen-length", "50", "--seed", seed]) == 0
        made.append(capsys.readouterr().out)
    assert made[0] == made[1] != made[2]


def test_several_samples_all_go_to_stdout_and_the_first_is_the_one_made_alone(
    models: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["generate", "--model", str(models / "lm.pt"), "--text", "Oh", "--gen-length", "20"]
    assert main(command) == 0
    alone = capsys.readouterr().out
    assert main([*command, "-n", "3"]) == 0
    assert capsys.readouterr().out.startswith(alone + "\nOh")


@pytest.mark.parametrize("more", [[], ["-n", "2"]])
def test_what_is_overwritten_is_said_on_stderr(models: Path, more: list[str], capsys: pytest.CaptureFixture[str]):
    command = ["generate", "--model", str(models / "classifier.pt"), "--gen-length", "3", "--overwrite", "-1", *more]
    assert main(command) == 0
    assert capsys.readouterr().err.splitlines()[1] == "neuron 3 is held at -1, the side of negative"


def test_what_is_generated_is_coloured_with_and_without_a_text(models: Path, capsys: pytest.CaptureFixture[str]):
    for text in ("", "I loved"):
        words = ["--heatmap", "--gen-length", "20", "--text", text, "--json"]
        assert main(["generate", "--model", str(models / "classifier.pt"), *words]) == 0
        (sample,) = json.loads(capsys.readouterr().out)["samples"]
        assert sample["text"].startswith(text)
        assert len(sample["values"]) == len(sample["characters"]) == len(text) + 20


def test_a_language_models_heatmap_has_a_scale_of_its_own(models: Path, capsys: pytest.CaptureFixture[str]):
    words = ["--heatmap", "--text", "fine", "--neuron", "2", "--json"]
    assert main(["generate", "--model", str(models / "lm.pt"), *words]) == 0
    out, _ = capsys.readouterr()
    assert 0 < json.loads(out)["scale"] != 1.0
    assert main(["generate", "--model", str(models / "lm.pt"), *words[:-1]]) == 0
    assert f"scale: red -{json.loads(out)['scale']:.2g} … green +" in capsys.readouterr().err


def test_the_heatmap_is_printed_and_written_with_its_scale(models: Path, capsys: pytest.CaptureFixture[str]):
    text = "25 August 2003: $5 [/b] <i>great</i> café"
    assert main(["generate", "--model", str(models / "classifier.pt"), "--heatmap", "--text", text]) == 0
    out, err = capsys.readouterr()
    letters, signs = out.splitlines()
    assert letters == text
    assert len(signs) == len(text)
    assert "scale: red -0.25 (negative) … green +0.25 (positive), neuron 3" in err
    assert "generated.png" in err
    assert sorted(path.name for path in Path().iterdir()) == ["generated.html", "generated.png"]


def test_the_heatmap_is_named_after_the_saved_samples(models: Path):
    command = ["generate", "--model", str(models / "classifier.pt"), "--heatmap", "--text", "né", "--save", "x.jsonl"]
    assert main(command) == 0
    assert sorted(path.name for path in Path().iterdir()) == ["x.html", "x.jsonl", "x.png"]
    saved = json.loads(Path("x.jsonl").read_text("utf-8"))
    assert (saved["text"], saved["characters"], len(saved["values"]), saved["neuron"]) == ("né", ["n", "é"], 2, 3)


@pytest.mark.parametrize("options", [["--save", "none/x.txt"], ["--heatmap", "--gen-length", "5"]])
def test_a_file_that_cannot_be_made_is_said_before_anything_is_generated(
    models: Path, options: list[str], capsys: pytest.CaptureFixture[str]
):
    Path("generated.html").mkdir()
    assert main(["generate", "--model", str(models / "classifier.pt"), *options]) == 73
    assert capsys.readouterr().out == ""
    assert [path.name for path in Path().iterdir()] == ["generated.html"]


def test_ndjson_has_an_object_a_sample_too(models: Path):
    assert main(["generate", "--model", str(models / "classifier.pt"), "--gen-length", "3", "--save", "x.ndjson"]) == 0
    assert json.loads(Path("x.ndjson").read_text("utf-8")).keys() >= {"text", "values", "neuron"}


def test_json_prints_one_object_and_no_text(models: Path, capsys: pytest.CaptureFixture[str]):
    command = ["generate", "--model", str(models / "classifier.pt"), "--text", "né", "--heatmap", "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["samples"][0]["characters"] == ["n", "é"]
    assert result["scale"] == 0.25
    assert result["files"] == ["generated.png", "generated.html"]


def test_a_terminal_gets_no_control_characters_and_a_pipe_the_text_as_it_is(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    command = ["generate", "--model", str(models / "lm.pt"), "--text", "a\x1b[31mb", "--gen-length", "0"]
    assert main(command) == 0
    assert capsys.readouterr().out == "a\x1b[31mb\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(command) == 0
    assert capsys.readouterr().out == "a\ufffd[31mb\n"


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("lm.pt", ["--heatmap", "--text", "a"], "--neuron"),
        ("lm.pt", ["--overwrite", "+1"], "--neuron"),
        ("lm.pt", ["--neuron", "8"], "0 to 7"),
        ("lm.pt", ["--neuron", "-1"], "0 to 7"),
        ("lm.pt", ["--temperature", "-1"], "--temperature"),
        ("lm.pt", ["--temperature", "inf"], "--temperature"),
        ("lm.pt", ["--gen-length", "-1"], "--gen-length"),
        ("lm.pt", ["-n", "0"], "--num-samples"),
        ("classifier.pt", ["--heatmap"], "--text"),
        ("classifier.pt", ["--heatmap", "--text", "a", "--overwrite", "+1"], "--gen-length"),
        ("classifier.pt", ["--overwrite", "much"], "--overwrite"),
        ("classifier.pt", ["--heatmap", "--text", "a", "--save", "x.png"], "--save"),
        ("classifier.pt", ["--save", "x.json"], ".jsonl"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(
    models: Path, model: str, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["generate", "--model", str(models / model), *options]) == 2
    out, err = capsys.readouterr()
    (line,) = (line for line in err.splitlines() if line.startswith("error: "))
    assert said in line
    assert out == ""
    assert list(Path().iterdir()) == []


def test_a_missing_model_is_input_not_found(capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--model", "none.pt"]) == 66
    assert "none.pt" in capsys.readouterr().err
