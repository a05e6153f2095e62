"""The choice of text and label columns, and what stars mean."""

import pytest

from sentneuron.core.data.columns import candidate_keys, choose_label_keys, choose_text_key, stars_to_class
from sentneuron.core.errors import DataError


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["label", "sentence"], "sentence"),
        (["reviewerID", "asin", "reviewText", "summary"], "reviewText"),
        (["REVIEWTEXT", "Review"], "REVIEWTEXT"),
        (["", "ID", "Tweet"], "Tweet"),
        (["tweet", "Text "], "Text "),
        (["content", "review"], "review"),
    ],
)
def test_auto_takes_the_first_known_text_column_whatever_its_case(columns: list[str], expected: str) -> None:
    assert choose_text_key(columns, "auto", source="a.csv") == expected


def test_no_text_column_is_an_error_that_names_the_columns() -> None:
    with pytest.raises(DataError) as caught:
        choose_text_key(["id", "words", ""], "auto", source="a.csv")
    assert caught.value.message == "a.csv has no text column; its columns are id, words, (no name)"
    assert caught.value.hint == "name one with --text-key"


def test_a_column_that_is_asked_for_is_taken_exactly_before_its_case_is_ignored() -> None:
    assert choose_text_key(["Words", "words"], "words", source="a.csv") == "words"
    assert choose_text_key(["Words"], "words", source="a.csv") == "Words"


def test_a_column_that_is_asked_for_and_missing_is_an_error_that_names_the_columns() -> None:
    with pytest.raises(DataError, match=r"a\.csv has no column 'body'; its columns are text, label") as caught:
        choose_text_key(["text", "label"], "body", source="a.csv")
    assert caught.value.hint == "name one of them with --text-key"


def test_many_columns_are_named_up_to_a_point() -> None:
    with pytest.raises(DataError, match=r"c19, … \(500 in all\)"):
        choose_text_key([f"c{number}" for number in range(500)], "auto", source="a.csv")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [(["rating", "label"], ["label"]), (["text", "Stars"], ["Stars"]), (["score", "overall"], ["overall"])],
)
def test_auto_takes_the_first_known_label_column(columns: list[str], expected: list[str]) -> None:
    assert choose_label_keys(columns, "auto", source="a.csv", required=True) == expected


def test_several_labels_are_named_with_commas() -> None:
    columns = ["Tweet", "anger", "joy", "love", "a,b"]
    assert choose_label_keys(columns, "anger, JOY,love", source="a.csv", required=False) == ["anger", "joy", "love"]
    assert choose_label_keys(columns, "a,b", source="a.csv", required=False) == ["a,b"]


def test_a_missing_label_column_is_an_error_only_where_labels_are_needed_or_named() -> None:
    assert choose_label_keys(["text"], "auto", source="a.csv", required=False) == []
    with pytest.raises(DataError, match=r"a\.csv has no label column; its columns are text"):
        choose_label_keys(["text"], "auto", source="a.csv", required=True)
    with pytest.raises(DataError, match="no column 'joy'"):
        choose_label_keys(["text"], "joy", source="a.csv", required=False)


def test_other_candidates_follow_the_one_that_is_taken() -> None:
    assert candidate_keys(["stars", "x", "Label"], ("label", "rating", "stars")) == ["Label", "stars"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((1, 0), (2, 0), (3, None), (4, 1), (5, 1), (2.0, 0), (2.5, None), ("5.0", 1), (" 1 ", 0), ("4", 1)),
        *(("", None), ("five", None), (None, None), (float("nan"), None), ("nan", None), ("inf", None), ([5], None)),
        *((10**400, None), ("9" * 5000, None), (b"5", None)),
    ],
)
def test_stars_become_a_class(value: object, expected: int | None) -> None:
    assert stars_to_class(value) == expected
