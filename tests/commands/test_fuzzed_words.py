"""Any words at all: one line and an exit code that is not that of a bug, or success; never a traceback.

Words are real options, options nearly right, and values that are no numbers, no paths, or both. Nothing is worked on:
the engines are stand-ins.
"""

import os
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentneuron.cli import app, main
from sentneuron.core.errors import SentneuronError

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
OPTIONS = {
    name: sorted({option for param in command.params for option in param.opts if option.startswith("-")})
    for name, command in COMMANDS.items()
}
WORDS = [
    *(
        "",
        "-",
        "--",
        ".",
        "..",
        "/",
        "~",
        "*",
        "[",
        "\\",
        "%",
        "=",
        "/dev/null",
        "in.csv",
        "none.csv",
        "in.toml",
        "bad.toml",
    ),
    *("0", "-1", "nan", "inf", "1e400", "9" * 4301, "1,1,1", "0,0", "1:0", "+1", "3=nan", "10%", "²", "a=b"),
    *("cpu", "auto", "all", "utf-16", "idna", "file://x", "s3:/", "\x1b[31m", "\u202e", "[/b]", "\udcff", "a" * 300),
]
VALUES = st.one_of(
    st.sampled_from(WORDS),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
    st.integers().map(str),
    st.floats().map(str),
)


@st.composite
def word_lists(draw: st.DrawFn) -> list[str]:
    """The words after `sentneuron`: mostly a command and its options, some of them misspelt or without a value."""
    name = draw(st.sampled_from([*OPTIONS, "trian", ""]))
    words = [name] if name else []
    options = OPTIONS.get(name, ["--help"])
    for _ in range(draw(st.integers(0, 5))):
        option = draw(st.sampled_from(options))
        kind = draw(st.integers(0, 9))
        if kind < 4:
            words += [option, draw(VALUES)]
        elif kind < 6:
            words.append(f"{option}={draw(VALUES)}")
        elif kind == 6:
            words.append(option)
        elif kind == 7:
            words.append(option[: draw(st.integers(1, len(option)))] + draw(st.sampled_from(["", "x", "_", "-"])))
        elif kind == 8:
            words.append(option.replace("-", "_").replace("__", "--", 1))
        else:
            words.append(draw(VALUES))
    return words


def refuse(*arguments: Any, **options: Any) -> None:
    """Stand in for an engine that finds something wrong with what it is given, whatever that is."""
    raise SentneuronError("the engine \x1b[31m was reached", hint="do nothing")


@pytest.fixture(scope="module")
def _nothing_works(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        patch.setattr(SentneuronError, "exit_code", 3)
        patch.setattr("sentneuron.core.training.loop.train", refuse)
        patch.setattr("sentneuron.core.transfer.transfer.transfer", refuse)
        patch.setattr("sentneuron.core.transfer.classify.classify", refuse)
        patch.setattr("sentneuron.core.launch.launcher.launch", refuse)
        patch.setattr("sentneuron.core.info.describe", refuse)
        patch.setattr("sentneuron.core.model.exporters.export", refuse)
        # After the engines: a module that is first imported now would keep the stand-in.
        patch.setattr("sentneuron.core.generation.generate.generate", refuse)
        patch.setattr("sentneuron.core.model.checkpoint.load_model", refuse)
        patch.setattr("sentneuron.core.data.sharding.write_shards", refuse)
        with open("in.csv", "w") as file:
            file.write("text,label\na,1\n")
        with open("in.toml", "w") as file:
            file.write("[train]\nlr = 'x'\n")
        with open("bad.toml", "wb") as file:
            file.write(b"[tr\xff")
        yield


@pytest.mark.usefixtures("_nothing_works", "built_once")
@pytest.mark.parametrize("repeat", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_any_words_end_with_one_line_or_well(repeat: int, capfd: pytest.CaptureFixture[str]):
    @settings(
        derandomize=True,
        deadline=None,
        max_examples=(120, 800)[repeat],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(word_lists())
    def check(words: list[str]) -> None:
        code = main(words)
        out, err = capfd.readouterr()
        assert code in (0, 2, 3, 65, 66, 73, 74), err
        errors = [line for line in err.split("\n") if line.startswith("error: ")]
        assert len(errors) == (code != 0)
        if "--debug" not in words and not any(word.startswith("--debug") for word in words):
            assert "Traceback" not in err
        shown = (out + err).replace("\n", "").replace("\t", "")
        assert "\x1b" not in shown
        assert "\u202e" not in err

    check()
    assert set(os.listdir()) == {"in.csv", "in.toml", "bad.toml"}
