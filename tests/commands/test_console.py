import io
import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from sentneuron.commands import console as console_module
from sentneuron.commands.console import Console, printable


class Terminal(io.StringIO):
    def isatty(self):
        return True


def open_terminal(monkeypatch):
    """Make stderr a colour terminal from here on; in a fixture, pytest's capturing would come after it."""
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_lines_go_to_stderr_whole(capsys):
    text = "model_transfer/" + "long/" * 60
    Console().say(text)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", text + "\n")


def test_what_looks_like_markup_is_printed_as_it_is(capsys):
    Console().say("[bold]I <3 this[/b] :smile: [/nothing]")
    assert capsys.readouterr().err == "[bold]I <3 this[/b] :smile: [/nothing]\n"


def test_control_characters_are_replaced_but_newline_and_tab():
    assert printable("a\tb\nc\x1b[2Jd\r\x00\x7f\x9b") == "a\tb\nc�[2Jd����"
    assert printable("naïve 😍 ½") == "naïve 😍 ½"


def test_a_muted_console_shows_errors_only(capsys):
    console = Console(verbose=True, json=True)
    console.mute()
    console.say("said")
    console.result({"a": 1})
    logging.getLogger("sentneuron.core").warning("careful")
    assert capsys.readouterr() == ("", "")
    console.error("broken")
    assert capsys.readouterr() == ("", "error: broken\n")


def test_quiet_silences_all_but_warnings_and_errors(capsys):
    console = Console(quiet=True)
    console.say("said")
    console.table("title", [["a", 1]])
    with console.progress("work") as update:
        update(1, 2)
    console.warn("careful")
    console.error("broken", hint="mend it")
    assert capsys.readouterr().err == "warning: careful\nerror: broken; mend it\n"


def test_an_error_is_always_one_line(capsys):
    Console().error("first\nsecond\r\n third", hint="do\nthis")
    assert capsys.readouterr().err == "error: first second third; do this\n"


def test_a_table_shows_every_cell_whatever_it_holds(capsys):
    Console().table("Read [/b]", [["kept", 12], ["[red]x[/red]", "\x1b[2J"]], columns=("what", "count"))
    lines = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert lines == [["Read", "[/b]"], ["what", "count"], ["kept", "12"], ["[red]x[/red]", "�[2J"]]


def test_a_table_without_columns_or_rows_is_its_title(capsys):
    Console().table("Nothing", [])
    assert capsys.readouterr().err.strip() == "Nothing"


def test_a_result_is_one_json_object_on_stdout(capsys):
    counts = (np.int64(3), np.float32(0.5))
    values = {"loss": float("nan"), "path": Path("model.pt"), "counts": counts, "text": "é\ud800"}
    Console(json=True).result(values)
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    assert json.loads(captured.out) == {"loss": None, "path": "model.pt", "counts": [3, 0.5], "text": "é\ud800"}
    assert captured.err == ""


def test_a_result_is_not_printed_unless_json_was_asked_for(capsys):
    Console().result({"a": 1})
    assert capsys.readouterr().out == ""


def test_off_a_terminal_progress_is_a_line_every_few_seconds(capsys, monkeypatch):
    monkeypatch.setattr(console_module, "LINE_SECONDS", 0.0)
    with Console().progress("train") as update:
        update(0, 1000)
        update(500, 1000, "2.0 bits per byte")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("train 50%, 500 B of 1.0 kB")
    assert lines[1].endswith("2.0 bits per byte")


def test_off_a_terminal_short_work_prints_no_progress(capsys):
    with Console().progress("train") as update:
        update(1000, 1000)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_progress_is_a_bar_that_ends_where_the_work_ended(monkeypatch):
    terminal = open_terminal(monkeypatch)
    with Console().progress("train", unit="texts") as update:
        update(50, 100)
        update(100, 100, "[/b] done")
    shown = terminal.getvalue()
    assert "train 100%, 100 texts of 100 texts" in shown
    assert "[/b] done" in shown
    assert "\x1b[" in shown


def test_no_color_leaves_the_colours_out(monkeypatch):
    terminal = open_terminal(monkeypatch)
    Console().warn("careful")
    assert "\x1b[33m" in terminal.getvalue()
    terminal.truncate(0)
    monkeypatch.setenv("NO_COLOR", "1")
    Console().warn("careful")
    assert "\x1b[33m" not in terminal.getvalue()


@pytest.mark.parametrize(("verbose", "shown"), [(False, "warning: bad\n"), (True, "chosen\nwarning: bad\n")])
def test_what_core_logs_is_shown(capsys, verbose, shown):
    Console(verbose=verbose)
    logger = logging.getLogger("sentneuron.core.anything")
    logger.info("chosen")
    logger.warning("bad")
    assert capsys.readouterr().err == shown
