"""Numbers and names that no option can mean: every option of every command that takes a value, from its own list.

The engines are stand-ins: what passes here is what reaches them.
"""

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from sentneuron.cli import app, main
from sentneuron.commands.classify import classify
from sentneuron.commands.export import export
from sentneuron.commands.generate import generate
from sentneuron.commands.info import info
from sentneuron.commands.shard import shard
from sentneuron.commands.train import train
from sentneuron.commands.transfer import transfer

COMMANDS = {
    "shard": ["in.csv", "-o", "out"],
    "train": ["in.csv", "--device", "cpu"],
    "transfer": ["lm.pt", "--device", "cpu"],
    "classify": ["in.csv", "--model", "m.pt", "--device", "cpu"],
    "generate": ["--model", "m.pt", "--device", "cpu"],
    "info": ["in.csv"],
    "export": ["m.pt", "--format", "safetensors"],
}
FUNCTIONS = {
    "shard": shard,
    "train": train,
    "transfer": transfer,
    "classify": classify,
    "generate": generate,
    "info": info,
    "export": export,
}
BAD_NUMBERS = ("-1", "nan", "x")
MORE_BAD_NUMBERS = ("inf", "-inf", "1e400", "9" * 4000, "9" * 5000, "", "0x10", "1.5.5", "²", "\udcff")
ZERO_IS_FINE = {
    "shard": {"max_bad", "seed"},
    "train": {"dropout", "warmup", "max_restarts", "node_rank", "seed"},
    "transfer": {"seed"},
    "classify": {"seed"},
    "generate": {"gen_length", "temperature", "neuron", "seed"},
}
"""Options for which 0 means something; --node-rank 0 is refused for want of --gpus."""
ENDLESS = {"max_steps", "max_bytes", "epochs", "gen_length", "warmup", "log_interval", "eval_every", "keep", "workers"}
ENDLESS |= {"batch_size", "accumulate", "seq_length", "top_k", "neuron", "neurons", "max_restarts"}
"""Counts that may be as large as anybody likes: there is less text, or fewer neurons, than that, or time runs out."""


@pytest.fixture(autouse=True)
def _stand_ins(built_once: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.pt").write_bytes(b"")

    def stop(*arguments: Any, **options: Any) -> typing.NoReturn:
        raise typer.Exit(0)

    monkeypatch.setattr("sentneuron.core.training.loop.train", stop)
    monkeypatch.setattr("sentneuron.core.transfer.transfer.transfer", stop)
    monkeypatch.setattr("sentneuron.core.transfer.classify.classify", stop)
    # After the engines: a module that is first imported now would keep the stand-in.
    monkeypatch.setattr("sentneuron.core.generation.generate.generate", stop)
    monkeypatch.setattr("sentneuron.core.model.checkpoint.load_model", stop)
    monkeypatch.setattr("sentneuron.core.data.sharding.write_shards", stop)


def options_of(command: str) -> list[Any]:
    """The options of a command that take a value, as Typer has them."""
    params = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    return [param for param in params if param.opts[0].startswith("-") and not param.is_flag and param.name != "config"]


def numeric() -> Iterator[tuple[str, str, str]]:
    """(command, parameter, option) of everything that is a number, or is read as one."""
    read_as_numbers = {"split", "max_bad", "save_every", "loss_scale", "neutral", "nnodes", "gpus", "rdzv_endpoint"}
    for command, function in FUNCTIONS.items():
        hints = typing.get_type_hints(function)
        for param in options_of(command):
            is_number = bool({int, float} & {hints[param.name], *typing.get_args(hints[param.name])})
            if is_number or param.name in read_as_numbers:
                yield command, param.name, next(name for name in param.opts if name.startswith("--"))


NUMERIC = list(numeric())


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """Run a command that must refuse its words; return its line."""
    assert main(words) == 2, words
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert line.isprintable()
    return line


def test_the_list_of_numbers_is_that_of_the_commands():
    assert len(NUMERIC) > 40
    assert {command for command, _, _ in NUMERIC} == set(COMMANDS) - {"info", "export"}
    assert set(typer.main.get_command(app).commands) == set(COMMANDS)  # type: ignore[attr-defined]


@pytest.mark.parametrize("values", [BAD_NUMBERS, pytest.param(MORE_BAD_NUMBERS, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("command", "name", "option"), NUMERIC)
def test_a_number_that_makes_no_sense_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], command: str, name: str, option: str, values: tuple[str, ...]
):
    words = [command, *COMMANDS[command]]
    for value in values:
        if (name, value) == ("rdzv_endpoint", "x") or (name in ENDLESS and value == "9" * 4000):
            continue
        if (name, value) == ("save_every", "9" * 4000):
            continue
        if (command, name, value) in (("generate", "neuron", "-1"), ("classify", "neurons", "-1")):
            continue  # the model says what it has
        if name == "split" and value == "9" * 4000:
            continue
        line = refused(capsys, [*words, f"{option}={value}"])
        assert len(line) < 13_000  # what was given is quoted


@pytest.mark.parametrize(("command", "name", "option"), NUMERIC)
def test_zero_is_refused_where_it_means_nothing(
    capsys: pytest.CaptureFixture[str], command: str, name: str, option: str
):
    if name in ZERO_IS_FINE[command] or name in ("rdzv_endpoint", "neutral", "neurons"):
        return
    refused(capsys, [command, *COMMANDS[command], f"{option}=0"])


@pytest.mark.parametrize("name", ["", ".", "/", ".."])
@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("train", "--save"),
        ("classify", "--output"),
        ("generate", "--save"),
        ("transfer", "--write-results"),
        ("export", "--output"),
    ],
)
def test_an_output_without_a_name_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], command: str, option: str, name: str
):
    assert "names no file" in refused(capsys, [command, *COMMANDS[command], f"{option}={name}"])


@pytest.mark.parametrize("command", ["train", "transfer", "classify", "generate"])
@pytest.mark.parametrize("device", ["cuda", "cuda:7", "cuda:²", "cuda:x", "cpu:0", "tpu", ""])
def test_a_device_that_is_not_here_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, device: str
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    words = [command, *COMMANDS[command], "--device", device]
    assert main(words) == 2
    assert "error: --device" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["", "utf-9", "base64", "a\udcff", "-1"])
def test_an_encoding_that_does_not_exist_is_wrong_usage(capsys, monkeypatch, tmp_path, encoding):
    monkeypatch.undo()  # the reader is the one that says so
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_bytes(b"text\na\n")
    assert main(["shard", "in.csv", "-o", "out", "--encoding", encoding]) == 2
    assert "--encoding" in capsys.readouterr().err


def test_a_nul_in_a_settings_file_is_wrong_usage(capsys: pytest.CaptureFixture[str]):
    Path("s.toml").write_text('[shard]\noutput = "a\\u0000b"\n')
    assert "NUL" in refused(capsys, ["shard", "in.csv", "--config", "s.toml"])


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to allocate 20.00 GiB."),
    ],
)
def test_no_memory_is_one_line_that_says_what_to_make_smaller(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def fail(*arguments: Any, **options: Any) -> typing.NoReturn:
        raise error

    monkeypatch.setattr("sentneuron.core.training.loop.train", fail)
    assert main(["train", *COMMANDS["train"]]) == 74
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: not enough memory; make room")
