import pytest

from sentneuron.core.data.labels import (
    binarized,
    class_name,
    holding,
    joined_labels,
    label_value,
    look_like_stars,
    sort_classes,
)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1.0", "1"),
        (" 1 ", "1"),
        ("+1", "1"),
        (-1.0, "-1"),
        (0.5, "0.5"),
        ("2.50", "2.5"),
        (True, "true"),
        ("joy", "joy"),
        (" two words ", "two words"),
        ("1_0", "1_0"),
        ("nan", "nan"),
    ],
)
def test_a_label_has_one_name_however_it_is_written(value, name):
    assert class_name(value) == name


@pytest.mark.parametrize("value", [None, "", "  ", float("nan"), float("inf"), "1e400"])
def test_nothing_and_what_is_no_number_is_no_label(value):
    assert class_name(value) is None


def test_numbers_sort_as_numbers_and_anything_else_as_strings():
    assert sort_classes(["10", "9", "-1", "9"]) == ["-1", "9", "10"]
    assert sort_classes(["10", "9", "a"]) == ["10", "9", "a"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["1", "2", "3", "4", "5"], True),
        (["1", "5", "4.5"], True),
        (["1", "5"], False),
        (["0", "1", "5"], False),
        (["1", "5", "10"], False),
        (["1", "2", "3"], False),
        (["1", "5", "good"], False),
    ],
)
def test_stars_are_three_numbers_or_more_from_one_to_five_on_both_sides(names, expected):
    assert look_like_stars(names) is expected


def test_two_stars_are_negative_four_are_positive_and_three_are_neither():
    assert [binarized(name) for name in ("1", "2", "3", "4", "5", "good")] == ["0", "0", None, "1", "1", None]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, True), ("0", False), ("1.0", True), (0.5, True), ("0.49", False), (True, True), ("FALSE", False), (3, True)],
)
def test_one_of_several_labels_holds_from_a_half_on(value, expected):
    assert holding(label_value(value)) is expected


def test_one_of_several_labels_may_be_missing_or_no_answer():
    assert [label_value(value) for value in ("", None, -1, "-1.0")] == [None] * 4
    assert [holding(value) for value in ("yes", "-2", "nan")] == [None] * 3


def test_labels_that_hold_are_joined_and_none_is_a_word():
    assert joined_labels(["joy", "love"]) == "joy,love"
    assert joined_labels([]) == "none"
