import numpy as np

from sentneuron.core.transfer.label_scores import LabelScores

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
