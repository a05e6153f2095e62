import numpy as np
import pytest

from sentneuron.core.data.examples import Example
from sentneuron.core.data.text import TextRule
from sentneuron.core.generation.neurons import ShownNeuron
from sentneuron.core.transfer.extremes import extreme_texts

RULE = TextRule()


def examples(*texts):
    return [Example(row, text, RULE.clean(text), "?") for row, text in enumerate(texts, 1)]


def choose(runner, texts, classes, truth, values, probabilities, *, multi_label=False, **neuron):
    has_class = np.array(truth, bool) if multi_label else np.array(truth)[:, None] == np.arange(len(classes))
    return extreme_texts(
        runner,
        RULE,
        examples(*texts),
        has_class,
        np.array(values),
        np.array(probabilities),
        classes,
        neuron=ShownNeuron(index=1, **neuron),
        multi_label=multi_label,
    )


def test_of_two_classes_both_ends_are_shown_by_the_neuron_and_by_the_classifier(sum_runner):
    texts = [f"text {letter}" for letter in "abcdefgh"]
    positive = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    values = np.array([3, -4, 1, 0, 2, 8, 7, 6])
    groups = choose(
        sum_runner, texts, ["0", "1"], [0, 0, 0, 0, 1, 1, 1, 0], values, np.stack([1 - positive, positive], axis=1),
        sign=-1, negative="class 0", positive="class 1",
    )  # fmt: skip
    assert [group.title for group in groups] == [
        "By neuron 1: towards class 1",
        "By neuron 1: towards class 0",
        "By the classifier: surest of class 1",
        "By the classifier: surest of class 0",
    ]
    shown = [[text.sample.text[-1] for text in group.texts] for group in groups]
    assert shown == [list("bdc"), list("fgh"), list("hgf"), list("abc")]
    surest = groups[2].texts[0]
    assert (surest.label, surest.prediction, surest.value, surest.is_right) == ("class 0", "class 1 at 90.0%", 6, False)
    assert groups[2].texts[1].is_right


def test_of_many_classes_the_commonest_have_their_surest_text(sum_runner):
    classes = [f"c{number}" for number in range(9)]
    truth = [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(9), len(truth))
    groups = choose(sum_runner, [str(i) for i in range(len(truth))], classes, truth, np.arange(13), probabilities)
    assert [group.title for group in groups] == ["By neuron 1: highest", "By neuron 1: lowest"] + [
        f"By the classifier: surest of c{number}" for number in range(1, 7)
    ]
    assert [group.texts[0].sample.text for group in groups[2:]] == [
        str(i) for i in probabilities[:, 1:7].argmax(axis=0)
    ]


def test_several_labels_are_named_together(sum_runner):
    groups = choose(
        sum_runner, ["one", "two"], ["joy", "love"], [[1, 1], [0, 0]], [1, 0], [[0.9, 0.8], [0.7, 0.2]],
        multi_label=True,
    )  # fmt: skip
    first, second = groups[0].texts
    assert (first.label, first.prediction, first.is_right) == ("joy, love", "joy, love", True)
    assert (second.label, second.prediction, second.is_right) == ("none", "joy", False)


def test_equal_texts_are_shown_once(sum_runner):
    groups = choose(sum_runner, ["a", "a", "b"], ["x", "y"], [0, 0, 1], [1, 1, 0], np.full((3, 2), 0.5))
    assert [text.sample.text for text in groups[0].texts] == ["a", "b"]


def test_a_character_has_the_cell_value_after_its_last_byte(sum_runner):
    text = "é&amp;ab"
    (group, *_) = choose(sum_runner, [text], ["x", "y"], [0], [1], [[0.5, 0.5]])
    clean, offsets = RULE.clean_with_offsets(text)
    sample = group.texts[0].sample
    assert sample.neuron == 1
    assert len(sample.values) == len(text)
    sums = np.cumsum(np.frombuffer(clean, np.uint8)) * 2e-3
    assert sample.values == pytest.approx([sums[offset] for offset in offsets], rel=1e-5)
