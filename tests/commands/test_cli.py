import json
import os
import resource
import subprocess
import sys
from typing import Annotated

import pytest
import typer

from sentneuron import __version__
from sentneuron.cli import app, main
from sentneuron.commands.options import Config, Debug, Json
from sentneuron.core.errors import (
    DataError,
    InputNotFoundError,
    InterruptedRunError,
    OutputError,
    StoppedError,
    StorageError,
    UsageError,
)

COMMANDS = ["shard", "train", "transfer", "classify", "generate", "info", "export"]
HEAVY = {"torch", "pandas", "sklearn", "matplotlib", "pyarrow"}


@pytest.fixture
def command():
    """Register a function as the command `probe` for one test."""

    def register(function):
        app.command("probe")(function)
        return function

    before = list(app.registered_commands)
    yield register
    app.registered_commands[:] = before


@pytest.fixture
def failing(command):
    """Register a `probe` that raises what it is given."""

    def register(error):
        @command
        def probe(config: Config = None, json: Json = False, debug: Debug = False) -> None:
            raise error

    return register


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def test_help_names_the_commands_in_their_order(capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed if line[2:3].strip()] == COMMANDS


def test_no_arguments_show_the_help(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("Usage: sentneuron")


def test_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sentneuron {__version__}\n"


def test_help_of_every_command_imports_nothing_heavy():
    lines = [f"main([{name!r}, '--help'])" for name in COMMANDS]
    done = run_python("\n".join(
        ["import sys", "from sentneuron.cli import main", "main(['-h'])", *lines,
         f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"]
    ))  # fmt: skip
    assert done.stderr == "[]\n"
    assert done.stdout.count("Usage: sentneuron") == 1 + len(COMMANDS)


def test_help_takes_less_than_half_a_second_of_work():
    def seconds():  # of processor time: on a busy machine the clock on the wall measures the others
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "sentneuron", "--help"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert 0 < min(seconds() for _ in range(3)) < 0.5


def test_completion_offers_commands_and_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "sentneuron"],
        env={**os.environ, "_SENTNEURON_COMPLETE": "complete_bash", "COMP_WORDS": "sentneuron tra", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["train", "transfer"]
    assert not HEAVY & {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_parameter_is_named_like_its_option(name):
    # the environment variable and the settings file's key are made of the parameter's name
    options = [param for param in typer.main.get_command(app).commands[name].params if param.opts[0].startswith("-")]
    assert options
    for param in options:
        assert f"--{param.name.replace('_', '-')}" in param.opts


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_common_options(name):
    options = {param.name for param in typer.main.get_command(app).commands[name].params}
    assert {"config", "quiet", "verbose", "json", "debug"} <= options


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("what", hint="do"), 2),
        (DataError("what", hint="do"), 65),
        (InputNotFoundError("what", hint="do"), 66),
        (OutputError("what", hint="do"), 73),
        (StorageError("what", hint="do"), 74),
        (StoppedError("what", hint="do"), 75),
        (InterruptedRunError("what", hint="do"), 130),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(failing, capsys, error, code):
    failing(error)
    assert main(["probe"]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "error: what; do\n")


def test_an_error_without_a_hint_is_its_message(failing, capsys):
    failing(DataError("what"))
    main(["probe"])
    assert capsys.readouterr().err == "error: what\n"


def test_a_bug_is_one_line_and_exit_code_1(failing, capsys):
    failing(ValueError("first\nsecond"))
    assert main(["probe"]) == 1
    expected = "error: internal: ValueError: first second; run again with --debug and report it\n"
    assert capsys.readouterr().err == expected


def test_an_operating_system_error_names_the_file(failing, capsys):
    failing(PermissionError(13, "Permission denied", "x.csv"))
    assert main(["probe"]) == 74
    expected = "error: x.csv: Permission denied; check the file and the disk and run again\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_ctrl_c_ends_with_130(failing, capsys, error):
    failing(error)
    assert main(["probe"]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_debug_shows_the_traceback_above_the_line(failing, capsys):
    failing(DataError("what", hint="do"))
    assert main(["probe", "--debug"]) == 65
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "error: what; do"


def test_debug_from_the_environment_shows_the_traceback(failing, capsys, monkeypatch):
    monkeypatch.setenv("SENTNEURON_PROBE_DEBUG", "1")
    failing(DataError("what"))
    main(["probe"])
    assert capsys.readouterr().err.startswith("Traceback")


def test_json_puts_the_error_on_stdout_as_well(failing, capsys):
    failing(DataError("what", hint="do"))
    assert main(["probe", "--json"]) == 65
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"error": "what", "hint": "do"}
    assert captured.err == "error: what; do\n"


def test_json_from_a_settings_file_puts_the_error_on_stdout(failing, capsys, tmp_path):
    (tmp_path / "s.toml").write_text("[probe]\njson = true\n")
    failing(DataError("what"))
    main(["probe", "--config", str(tmp_path / "s.toml")])
    assert json.loads(capsys.readouterr().out) == {"error": "what", "hint": ""}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nothing"], "error: No such command 'nothing'; see 'sentneuron --help'\n"),
        (["--nothing"], "error: No such option: --nothing; see 'sentneuron --help'\n"),
        (["probe", "--nothing"], "error: No such option: --nothing; see 'sentneuron probe --help'\n"),
        (["probe", "--config"], "error: Option '--config' requires an argument; see 'sentneuron probe --help'\n"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(failing, capsys, words, line):
    failing(AssertionError("the command ran"))
    assert main(words) == 2
    assert capsys.readouterr().err == line


def test_wrong_usage_with_json_is_an_object_too(failing, capsys):
    failing(AssertionError("the command ran"))
    assert main(["probe", "--json", "--nothing"]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "No such option: --nothing"


def test_control_characters_in_an_error_are_replaced(failing, capsys):
    failing(DataError("a \x1b[31mred\x9b [/b] column"))
    main(["probe"])
    assert capsys.readouterr().err == "error: a \N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER} [/b] column\n"


def test_predecessor_names_are_accepted_and_their_values_left_alone(command):
    seen = {}

    @command
    def probe(
        texts: list[str], model: str = "", shards: int = 0, gen_length: int = 0, heatmap: bool = False, text: str = ""
    ) -> None:
        seen.update(texts=texts, model=model, shards=shards, gen_length=gen_length, heatmap=heatmap, text=text)

    words = ["probe", "--load_model", "a_b", "--num_shards=3", "--gen_length", "9", "--visualize"]
    assert main([*words, "--text", "--load_model", "--", "--seq_length"]) == 0
    expected = {"model": "a_b", "shards": 3, "gen_length": 9, "heatmap": True, "text": "--load_model"}
    assert seen == {"texts": ["--seq_length"], **expected}


def test_predecessor_names_are_not_in_the_help(command, capsys):
    @command
    def probe(model: Annotated[str, typer.Option(help="Model.")] = "") -> None: ...

    main(["probe", "--help"])
    out = capsys.readouterr().out
    assert "--model" in out
    assert "load" not in out


def test_a_reader_that_goes_away_ends_the_command_quietly():
    code = """if True:
        import sys
        from sentneuron.cli import app, main

        @app.command()
        def chatter():
            while True:
                print("x" * 1000)

        sys.exit(main(["chatter"]))
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_a_reader_that_goes_away_before_the_last_flush_ends_it_quietly():
    code = """if True:
        import sys, time
        from sentneuron.cli import app, main

        @app.command()
        def whisper():
            print("x")
            sys.stdin.read()

        sys.exit(main(["whisper"]))
    """
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
