import json

import pytest

from sentneuron.core.data.fields import label_of, text_of


@pytest.mark.parametrize("value", [5, 1.5, True, ["a"], {"a": 1}, b"bytes"])
def test_only_a_string_is_a_text(value):
    assert text_of({"text": value}, "text") == ("", "text is not a string")


@pytest.mark.parametrize("fields", [{}, {"text": None}])
def test_a_missing_text_and_null_are_the_same(fields):
    assert text_of(fields, "text") == ("", "no text")


def test_a_text_of_digits_stays_text():
    assert text_of({"text": "007"}, "text") == ("007", None)


@pytest.mark.parametrize(
    ("value", "label"), [(5, "5"), ("5.0", "5"), ("pos", "pos"), (None, None), ("", None), (float("nan"), None)]
)
def test_a_label_has_one_spelling_in_every_format(value, label):
    assert label_of({"label": value}, ["label"]) == label


def test_several_labels_are_one_json_object_and_none_where_all_are_missing():
    assert json.loads(label_of({"joy": 1}, ["joy", "fear"])) == {"joy": "1", "fear": None}
    assert label_of({}, ["joy", "fear"]) is None


def test_half_a_surrogate_pair_in_a_label_can_be_written():
    assert label_of({"label": "a\ud800"}, ["label"]) == "a?"
