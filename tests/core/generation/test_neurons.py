"""Which neuron is meant, and which way is positive."""

from typing import Any

import pytest
import torch

from sentneuron.core.errors import UsageError
from sentneuron.core.generation.neurons import ShownNeuron, choose_neuron, parse_overwrite


def classifier(weight: float = -2.0, classes: tuple[str, ...] = ("negative", "positive")) -> dict[str, Any]:
    rows = 1 if len(classes) == 2 else len(classes)
    full = torch.zeros(rows, 8)
    full[-1, 6] = -0.3
    full[0 if rows == 1 else 1, [3, 5]] = torch.tensor([weight, 1.0])
    second = torch.zeros(rows, 2)  # the regression on a few may leave the heaviest of all unused
    return {
        "classes": list(classes),
        "multi_label": False,
        "pooling": "last",
        "all_layers": False,
        "all": {"weight": full, "bias": torch.zeros(rows), "C": 1.0},
        "neurons": {"indices": [3, 5], "weight": second, "bias": torch.zeros(rows), "C": 1.0},
        "sentiment_neuron": 3,
        "scale": torch.tensor([1.0, 2.0, 3.0, 0.5, 5.0, 0.75, 7.0, 8.0]),
    }


def test_the_heaviest_neuron_is_the_default_with_its_own_scale_and_sign():
    assert choose_neuron(classifier(), 8, requested=None) == ShownNeuron(
        index=3, scale=0.5, sign=-1, negative="negative", positive="positive"
    )


def test_another_of_the_classifiers_neurons_has_its_own_scale_and_sign():
    shown = choose_neuron(classifier(), 8, requested=5)
    assert shown is not None
    assert (shown.index, shown.scale, shown.sign) == (5, 0.75, 1)


def test_any_other_neuron_has_its_own_scale_and_its_sign_from_the_regression_on_all():
    shown = choose_neuron(classifier(), 8, requested=6)
    assert shown is not None
    assert (shown.scale, shown.sign) == (7.0, -1)


def test_a_neuron_without_weight_speaks_for_no_class():
    assert choose_neuron(classifier(), 8, requested=0) == ShownNeuron(index=0, scale=1.0)


def test_of_three_classes_a_neuron_speaks_for_or_against_the_one_it_weighs_on_most():
    classes = classifier(classes=("bad", "good", "odd"))
    assert choose_neuron(classes, 8, requested=None) == ShownNeuron(
        index=3, scale=0.5, sign=-1, negative="not good", positive="good"
    )
    shown = choose_neuron(classes, 8, requested=6)
    assert shown is not None
    assert (shown.negative, shown.positive, shown.sign) == ("not odd", "odd", -1)


@pytest.mark.parametrize("labels", [("joy",), ("anger", "joy")])
def test_of_two_labels_that_may_both_hold_none_is_the_others_opposite(labels: tuple[str, ...]):
    rows = torch.zeros(len(labels), 8)
    rows[-1, 3] = 0.5
    values = classifier() | {"classes": list(labels), "multi_label": True, "all": {"weight": rows}}
    shown = choose_neuron(values, 8, requested=3)
    assert shown is not None
    assert (shown.negative, shown.positive, shown.sign) == ("not joy", "joy", 1)


def test_classes_that_are_digits_are_named_as_classes():
    shown = choose_neuron(classifier(classes=("0", "1")), 8, requested=None)
    assert shown is not None
    assert (shown.negative, shown.positive) == ("class 0", "class 1")


def test_a_language_model_has_no_neuron_until_one_is_named():
    assert choose_neuron(None, 8, requested=None) is None
    assert choose_neuron(None, 8, requested=7) == ShownNeuron(index=7)


def test_the_known_neuron_of_a_published_model_is_the_default_and_positive_upwards():
    shown = choose_neuron(None, 8, requested=None, known=5)
    assert shown == ShownNeuron(index=5, scale=None, sign=1, negative="negative", positive="positive")
    assert choose_neuron(None, 8, requested=5, known=5) == shown
    assert choose_neuron(None, 8, requested=4, known=5) == ShownNeuron(index=4)
    assert parse_overwrite("+1", 8, neuron=shown) == {5: 1}


def test_a_classifier_without_scales_leaves_them_open():
    shown = choose_neuron(classifier() | {"scale": None}, 8, requested=None)
    assert shown is not None
    assert (shown.index, shown.scale, shown.sign) == (3, None, -1)


@pytest.mark.parametrize("requested", [-1, 8, 10**9])
def test_a_neuron_out_of_range_is_wrong_usage_that_names_the_range(requested: int):
    with pytest.raises(UsageError, match=r"--neuron.*0 to 7"):
        choose_neuron(classifier(), 8, requested=requested)


@pytest.mark.parametrize(("text", "value"), [("+1", -1.0), ("1", -1.0), ("-1", 1.0), ("2.5", -2.5), ("0", 0.0)])
def test_a_plain_value_points_where_the_classifier_says_positive(text: str, value: float):
    assert parse_overwrite(text, 8, neuron=choose_neuron(classifier(), 8, requested=None)) == {3: value}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (-1.0, "neuron 3 is held at -1, the side of positive"),
        (2.5, "neuron 3 is held at +2.5, the side of negative"),
        (0.0, "neuron 3 is held at +0"),
    ],
)
def test_what_a_pin_speaks_for_is_said(value: float, said: str):
    neuron = choose_neuron(classifier(), 8, requested=None)
    assert neuron is not None
    assert neuron.describe_pin(value) == said
    assert ShownNeuron(index=7).describe_pin(1.0) == "neuron 7 is held at +1"


def test_named_neurons_are_pinned_as_given_whatever_their_sign():
    neuron = choose_neuron(classifier(), 8, requested=None)
    assert parse_overwrite("3=1, 7=-0.5", 8, neuron=neuron) == {3: 1.0, 7: -0.5}
    assert parse_overwrite("3=1", 8, neuron=None) == {3: 1.0}


def test_a_pair_without_its_neuron_is_named():
    with pytest.raises(UsageError, match="'5' is not NEURON=VALUE"):
        parse_overwrite("3=1,5", 8, neuron=None)


def test_a_plain_value_needs_a_neuron():
    with pytest.raises(UsageError, match="--neuron"):
        parse_overwrite("+1", 8, neuron=None)


@pytest.mark.parametrize(
    "text", ["", "x", "nan", "inf", "3=", "3=nan", "=1", "a=1", "-1=1", "8=1", "3=1,", "3=1,5", "1,2"]
)
def test_an_overwrite_that_means_nothing_is_wrong_usage(text: str):
    with pytest.raises(UsageError, match="--overwrite"):
        parse_overwrite(text, 8, neuron=ShownNeuron(index=3))
