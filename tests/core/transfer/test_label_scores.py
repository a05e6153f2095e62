import numpy as np
import pytest

from sentneuron.core.transfer.label_scores import LabelScores, LabelSetCounts

CALLS = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.8, 0.2]])


def test_labels_that_are_classes_are_scored():
    scores = LabelScores(["0", "1"])
    scores.add(["0", "1", "0", None], CALLS)
    result = scores.result()
    assert result.num_rows == scores.num_labels == 3
    assert result.accuracy() == 2 / 3


def test_stars_are_scored_as_two_classes_even_where_they_come_late():
    scores = LabelScores(["0", "1"])
    scores.add(["1", "1", "1", "1"], CALLS)
    scores.add(["5", "3", "4", "2"], CALLS)
    result = scores.result()
    assert result.num_rows == 7
    np.testing.assert_array_equal(result.confusion, [[3, 2], [1, 1]])


def test_one_star_alone_is_the_class_called_one():
    scores = LabelScores(["0", "1"])
    scores.add(["0", "1", "1", "0"], CALLS)
    assert scores.result().accuracy() == 1.0


@pytest.mark.parametrize("classes", [["0", "1"], ["negative", "positive"]])
@pytest.mark.parametrize("labels", [["0", "1", "0"], ["negative", "positive", "negative"], ["2", "5", "1"]])
def test_the_two_classes_of_sentiment_are_the_same_by_any_of_their_names(classes, labels):
    scores = LabelScores(classes)
    scores.add(labels, CALLS[:3])
    result = scores.result()
    assert result.classes == classes
    np.testing.assert_array_equal(result.confusion, [[1, 1], [0, 1]])


def test_other_classes_have_their_own_names_alone():
    scores = LabelScores(["bad", "good"])
    scores.add(["0", "1", "5"], CALLS[:3])
    assert scores.result() is None


def test_labels_that_are_no_classes_are_counted_and_left_out():
    scores = LabelScores(["neg", "pos"])
    scores.add(["neg", "unsure", "pos", "5"], CALLS)
    assert (scores.result().num_rows, scores.num_labels) == (2, 4)


def test_nothing_to_score_gives_no_scores():
    scores = LabelScores(["0", "1"])
    scores.add([None, "high", "low", ""], CALLS)
    assert scores.result() is None


def test_rows_without_text_are_not_scored():
    scores = LabelScores(["0", "1"])
    scores.add(["0", "1"], np.array([[np.nan, np.nan], [0.3, 0.7]]))
    assert (scores.result().num_rows, scores.num_labels) == (1, 1)


def test_several_labels_are_read_from_columns_that_are_called_like_them_or_named_in_their_order():
    counts = LabelSetCounts(["anger", "joy"])
    assert counts.keys(["text", "Joy", "ANGER"], []) == ["ANGER", "Joy"]
    assert counts.keys(["text", "a", "b"], ["b", "a"]) == ["b", "a"]
    assert counts.keys(["text", "anger"], ["anger"]) == []


def test_rows_with_all_of_several_labels_are_scored_and_those_with_some_are_counted():
    counts = LabelSetCounts(["anger", "joy"])
    rows = [
        {"anger": "1", "joy": 0},
        {"anger": "", "joy": "1"},
        {"anger": "often", "joy": "0"},
        {"anger": None, "joy": -1},
        {"anger": "1", "joy": "1"},
    ]
    probabilities = np.array([[0.9, 0.2], [0.9, 0.9], [0.9, 0.9], [0.9, 0.9], [np.nan, np.nan]])
    counts.add_rows(rows, ["anger", "joy"], probabilities)
    assert counts.num_labels == 3
    assert counts.result().num_rows == 1
    assert counts.result().accuracy() == 1
    assert LabelSetCounts(["anger", "joy"]).result() is None
