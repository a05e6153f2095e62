"""The heatmap on a terminal: colours where there are some, signs where there are none, and no steering by the text."""

import io

import pytest
from rich.console import Console as RichConsole

from sentneuron.commands.heatmap_text import print_heatmap
from sentneuron.core.generation.heatmap import CharacterValues, ColourScale

SCALE = ColourScale(neuron=388, limit=1.0, direction=1)


def printed(*samples: CharacterValues, colours: str | None, width: int = 80, no_color: bool = False) -> str:
    file = io.StringIO()
    console = RichConsole(
        file=file, force_terminal=True, color_system=colours, width=width, no_color=no_color, highlight=False
    )
    print_heatmap(console, samples, SCALE)
    return file.getvalue()


def sample(text: str, *values: float) -> CharacterValues:
    return CharacterValues(text=text, values=list(values) or [0.0] * len(text), neuron=388)


def test_true_colour_shows_black_on_the_colour_of_the_value():
    assert printed(sample("ab", -1, 1), colours="truecolor") == (
        "\x1b[38;2;0;0;0;48;2;232;92;80ma\x1b[0m\x1b[38;2;0;0;0;48;2;66;172;100mb\x1b[0m\n"
    )


def test_neighbours_of_one_colour_are_one_piece():
    assert printed(sample("aaaa", 1, 1, 1, 1), colours="truecolor").count("\x1b[38") == 1


def test_sixteen_colours_show_red_white_and_green():
    assert printed(sample("abcd", -1, 0.1, 0.6, 1), colours="standard") == (
        "\x1b[30;41ma\x1b[0m\x1b[30;47mb\x1b[0m\x1b[30;42mcd\x1b[0m\n"
    )


@pytest.mark.parametrize(("colours", "no_color"), [(None, False), ("truecolor", True)])
def test_without_colours_a_line_of_signs_stands_below_each_line(colours: str | None, no_color: bool):
    text = sample("ab 中d\ne", -1, -0.2, 0, 0.2, 0.9, 0, 1)
    assert printed(text, colours=colours, no_color=no_color) == "ab 中d\n=-.++#\ne\n#\n"


def test_markup_and_escape_sequences_print_as_characters():
    assert printed(sample("[/b]\x1b[31m\x07"), colours=None) == "[/b]\ufffd[31m\ufffd\n..........\n"


def test_lines_fit_a_narrow_terminal():
    assert printed(sample("one two three"), colours=None, width=8) == "one two \n........\nthree\n.....\n"


def test_samples_are_parted_by_a_blank_line():
    assert printed(sample("a"), sample("b"), colours=None) == "a\n.\n\nb\n.\n"


@pytest.mark.parametrize("text", ["👍🏽", "👨‍👩‍👧", "❤️"])
def test_what_terminals_differ_on_leaves_the_cursor_where_two_columns_end(text: str):
    shown = printed(sample(f"a{text}b"), colours=None, no_color=True)
    assert shown == f"a  \x1b[2G{text}\x1b[4G\x1b[0Kb\n....\n"


def test_a_file_and_a_dumb_terminal_get_emoji_as_they_are_and_nothing_that_moves_a_cursor():
    for settings in ({}, {"force_terminal": True, "_environ": {"TERM": "dumb"}}):
        file = io.StringIO()
        console = RichConsole(file=file, color_system=None, width=80, **settings)  # type: ignore[arg-type]
        print_heatmap(console, [sample("a👍🏽b")], SCALE)
        assert file.getvalue() == "a👍🏽b\n....\n"
