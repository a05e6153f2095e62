from typing import Annotated

import pytest
import typer

from sentneuron.cli import app, main
from sentneuron.commands.options import Config, Json, Quiet


@pytest.fixture
def seen():
    """Register the command `probe` for one test and hold what it was called with."""
    values = {}
    before = list(app.registered_commands)

    @app.command("probe")
    def probe(
        inputs: Annotated[list[str] | None, typer.Argument()] = None,
        config: Config = None,
        lr: float = 1.0,
        batch_size: int = 1,
        split: str = "1000,1,1",
        json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        values.update(inputs=inputs, lr=lr, batch_size=batch_size, split=split, json=json, quiet=quiet)

    yield values
    app.registered_commands[:] = before


@pytest.fixture
def settings(tmp_path):
    def write(text):
        path = tmp_path / "settings.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_a_file_beats_the_default(seen, settings):
    assert main(["probe", "--config", settings("[probe]\nlr = 2.0")]) == 0
    assert seen["lr"] == 2.0


def test_the_environment_beats_a_file(seen, settings, monkeypatch):
    monkeypatch.setenv("SENTNEURON_PROBE_LR", "3.0")
    assert main(["probe", "--config", settings("[probe]\nlr = 2.0")]) == 0
    assert seen["lr"] == 3.0


def test_the_command_line_beats_the_environment_and_a_file(seen, settings, monkeypatch):
    monkeypatch.setenv("SENTNEURON_PROBE_LR", "3.0")
    assert main(["probe", "--lr", "4.0", "--config", settings("[probe]\nlr = 2.0")]) == 0
    assert seen["lr"] == 4.0


def test_the_environment_can_name_the_file(seen, settings, monkeypatch):
    monkeypatch.setenv("SENTNEURON_PROBE_CONFIG", settings("[probe]\nlr = 2.0"))
    assert main(["probe"]) == 0
    assert seen["lr"] == 2.0


def test_keys_may_have_hyphens_or_underscores(seen, settings):
    main(["probe", "--config", settings("[probe]\nbatch-size = 5")])
    assert seen["batch_size"] == 5
    main(["probe", "--config", settings("[probe]\nbatch_size = 6")])
    assert seen["batch_size"] == 6


def test_lists_flags_and_arguments_come_from_the_file(seen, settings):
    text = '[probe]\nsplit = [8, 1, 1]\nquiet = true\njson = false\ninputs = ["a b", "c"]'
    assert main(["probe", "--config", settings(text)]) == 0
    assert seen["split"] == "8,1,1"
    assert (seen["quiet"], seen["json"]) == (True, False)
    assert list(seen["inputs"]) == ["a b", "c"]


def test_tables_of_other_commands_are_left_alone(seen, settings):
    assert main(["probe", "--config", settings("[train]\nlr = 9.0\n[probe]\nlr = 2.0")]) == 0
    assert seen["lr"] == 2.0


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("[probe]\nlearning = 1", 2, "[probe] learning is no option; see 'sentneuron probe --help'"),
        ("[probe]\nconfig = 'x'", 2, "[probe] config is no option"),
        ("[prob]\nlr = 1.0", 2, "[prob] is no command; use one of "),
        ("lr = 1.0", 2, "[lr] is no command"),
        ("train = 1.0", 2, "train is not a table; write [train] and its options below"),
        ("[probe\nlr", 65, "mend the TOML"),
        ("[probe]\nlr = 'fast'", 2, "Invalid value for '--lr'"),
    ],
)
def test_a_settings_file_that_cannot_be_meant_is_refused(seen, settings, capsys, text, code, part):
    assert main(["probe", "--config", settings(text)]) == code
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert part in line
    assert not seen


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_missing_settings_file_is_66(seen, capsys, tmp_path, name):
    assert main(["probe", "--config", str(tmp_path / name)]) == 66
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "precision"),
    [
        ("", "fp32"),
        ("--fp16", "fp16"),
        ("--bf16", "bf16"),
        ("--precision int8", "int8"),
        ("--bf16 --precision bf16", "bf16"),
    ],
)
@pytest.mark.parametrize("command", ["transfer m.pt", "classify a.csv", "generate"])
def test_each_way_to_name_a_precision_reaches_the_command(settings_of, command, words, precision):
    if command.startswith("transfer") and "--precision" in words:
        assert main([*command.split(), *words.split()]) == 2
    else:
        assert settings_of([*command.split(), *words.split()]).precision == precision


@pytest.mark.parametrize("command", ["transfer m.pt", "classify a.csv", "generate"])
@pytest.mark.parametrize("words", ["--fp16 --bf16", "--precision int8 --fp16", "--precision fp32 --bf16"])
def test_ways_that_contradict_each_other_are_wrong_usage(built_once, capsys, command, words):
    assert main([*command.split(), *words.split()]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "contradict each other" in line or command.startswith("transfer")
