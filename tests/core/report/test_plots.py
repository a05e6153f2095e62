import matplotlib.image
import numpy as np
import pytest

from sentneuron.core.report.figure import DPI, WIDTH, commonest, escaped
from sentneuron.core.report.plots import plot_neuron, plot_weights


def read(path):
    return matplotlib.image.imread(path)[:, :, :3]


def has_colour(image, colour):
    return bool((np.abs(image - np.array(colour) / 255).max(axis=2) < 0.02).any())


def one_hot(truth, num_classes):
    return np.asarray(truth)[:, None] == np.arange(num_classes)


RED, BLUE, GREEN = (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2), (0x00, 0x9E, 0x73)


@pytest.mark.slow
def test_the_sentiment_neuron_stands_out_from_the_other_weights(tmp_path):
    weight = np.random.default_rng(0).normal(size=(1, 64))
    path = tmp_path / "weights.png"
    plot_weights(path, weight, [5], ["a", "b"])
    image = read(path)
    assert image.shape[1] == WIDTH * DPI
    assert has_colour(image, RED)
    assert not has_colour(image, BLUE)
    plot_weights(path, weight, [5, 9], ["a", "b"])
    assert has_colour(read(path), BLUE)


def test_weights_of_several_classes_are_summed_without_their_signs(tmp_path, drawn):
    plot_weights(tmp_path / "w.png", np.array([[1.0, 0, -2], [-1.0, 0, 3]]), [2], ["a", "b"])
    (axes,) = drawn
    assert axes.get_ylabel() == "sum of absolute weights"
    assert "2 of 3" in axes.get_xlabel()
    points = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 2 and line.get_marker() == "o"]
    assert points[0].tolist() == [2, 5]


def test_each_of_three_classes_has_its_own_colour(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    path = tmp_path / "neuron_3.png"
    plot_neuron(path, rng.normal(size=300) + truth, one_hot(truth, 3), ["x", "y", "z"], 3, pooling="last")
    image = read(path)
    assert all(has_colour(image, colour) for colour in (RED, BLUE, GREEN))


def test_each_of_many_classes_has_its_own_row_one_without_texts_too(tmp_path, drawn):
    truth = np.arange(40) % 10
    names = [f"class {number}" for number in range(11)]
    plot_neuron(tmp_path / "n.png", truth / 10, one_hot(truth, 11), names, 3, pooling="mean")
    (axes,) = drawn
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"class {i} (4)" for i in range(10)] + [
        "class 10 (0)"
    ]


def test_a_text_with_several_labels_counts_for_each(tmp_path, drawn):
    has_class = np.array([[True, True], [True, False], [False, False]])
    plot_neuron(tmp_path / "n.png", np.arange(3.0), has_class, ["joy", "love"], 3, pooling="mean")
    assert [text.get_text() for text in drawn[0].get_legend().get_texts()] == ["joy (2)", "love (1)"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("names", [["$a", "中文👍"], [r"\frac{", "_b"]])
def test_any_class_name_can_be_drawn(tmp_path, names):
    plot_neuron(tmp_path / "n.png", np.zeros(3), one_hot([0, 1, 0], 2), names, 0, pooling="mean")
    assert has_colour(read(tmp_path / "n.png"), RED)


def test_a_class_whose_name_starts_with_an_underscore_is_in_the_legend(tmp_path, drawn):
    plot_neuron(tmp_path / "n.png", np.zeros(3), one_hot([0, 1, 0], 2), ["_a", ""], 0, pooling="mean")
    assert [text.get_text().strip() for text in drawn[0].get_legend().get_texts()] == ["_a (2)", "(1)"]


def test_a_name_is_shortened_and_never_mathematics():
    assert escaped("a $x$\n b") == r"a \$x\$ b"
    assert len(escaped("y" * 100)) == 24
    assert escaped("\x1b[31m\u202eab") == "[31m ab"
    assert escaped("ab中") == "ab□"


def test_of_many_classes_the_commonest_are_drawn_in_their_order():
    truth = np.repeat(np.arange(20), np.arange(20) + 1)
    assert commonest(one_hot(truth, 20)) == list(range(8, 20))
