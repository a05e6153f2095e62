"""Where a heatmap's text wraps, and how wide its characters are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentneuron.core.report.heatmap_layout import Cell, cells, runs, width, wrap


def lines(text: str, columns: int = 10) -> list[str]:
    return ["".join(cell.glyph for cell in line) for line in wrap(text, [0.0] * len(text), columns=columns)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("one two three", ["one two ", "three"]),
        ("0123456789", ["0123456789"]),
        ("0123456789 next", ["0123456789", "next"]),
        ("one 0123456789abc", ["one ", "0123456789", "abc"]),
        ("a\nb\n\nc\n", ["a", "b", "", "c", ""]),
        ("a\r\nb\rc", ["a", "b", "c"]),
        ("tab\tbed", ["tab bed"]),
        ("中文字符测试很好", ["中文字符测", "试很好"]),
        ("abcdefghi中", ["abcdefghi", "中"]),
        ("cafe\u0301", ["cafe\u0301"]),
        ("a\x1b[31mb", ["a\ufffd[31mb"]),
        ("left\u202eright", ["left\ufffdright"]),
        ("\u0301x", ["x"]),
    ],
)
def test_text_wraps_as_a_reader_expects(text: str, expected: list[str]):
    assert lines(text) == expected


def test_wide_characters_count_two_columns_and_accents_none():
    assert [cell.columns for cell in cells("a中e\u0301👍", [0.0] * 5)] == [1, 2, 1, 2]


def test_a_cell_has_the_level_after_all_of_it():
    levels = [0.1, 0.2, 0.3, 0.4]
    assert list(cells("a\u0301b\n", levels)) == [Cell("a\u0301", 1, 0.2), Cell("b", 1, 0.3), Cell("\n", 0, 0.4)]


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("👨‍👩‍👧!", [("👨‍👩‍👧", 2), ("!", 1)]),
        ("🏴‍☠️", [("🏴‍☠️", 2)]),
        ("👍🏽👍", [("👍🏽", 2), ("👍", 2)]),
        ("🧑🏻‍🚀", [("🧑🏻‍🚀", 2)]),
        ("🇩🇪🇫🇷", [("🇩🇪", 2), ("🇫🇷", 2)]),
        ("🇩🇪🇫", [("🇩🇪", 2), ("🇫", 1)]),
        ("❤️❤", [("❤️", 2), ("❤", 1)]),
        ("1️⃣2", [("1️⃣", 2), ("2", 1)]),
        ("a\ufe0fb", [("a\ufe0f", 1), ("b", 1)]),
        ("a\u200db", [("a", 1), ("b", 1)]),
        ("👍\u200d", [("👍", 2)]),
        ("👍\u200db", [("👍", 2), ("b", 1)]),
        ("👍\u200d\u0301", [("👍\u200d\u0301", 2)]),
        ("한글", [("한", 2), ("글", 2)]),
        ("\u1112\u1161\u11ab", [("\u1112\u1161\u11ab", 2)]),
        ("می\u200cخوا", [("م", 1), ("ی\u200c", 1), ("خ", 1), ("و", 1), ("ا", 1)]),
        ("x🏽", [("x", 1), ("🏽", 2)]),
    ],
)
def test_what_a_reader_sees_as_one_character_is_one_cell(text: str, drawn: list[tuple[str, int]]):
    assert [(cell.glyph, cell.columns) for cell in cells(text, [0.0] * len(text))] == drawn


def test_neighbours_of_one_colour_become_one_run():
    line = [Cell("a", 1, 0.5), Cell("中", 2, 0.5), Cell("b", 1, 0.0), Cell("c", 1, 0.5)]
    assert list(runs(line)) == [Cell("a中", 3, 0.5), Cell("b", 1, 0.0), Cell("c", 1, 0.5)]


@settings(deadline=None, derandomize=True)
@given(st.text(max_size=200), st.integers(2, 30))
def test_no_line_is_too_wide_and_nothing_but_white_space_is_lost(text: str, columns: int):
    levels = [0.0] * len(text)
    drawn = wrap(text, levels, columns=columns)
    assert all(width(line) <= columns for line in drawn)
    kept = "".join(cell.glyph for line in drawn for cell in line if not cell.glyph.isspace())
    assert kept == "".join(cell.glyph for cell in cells(text, levels) if not cell.glyph.isspace())
