import matplotlib.image
import numpy as np
import pytest

from sentneuron.core.report.plots import escaped, plot_neuron, plot_weights


def read(path):
    return matplotlib.image.imread(path)[:, :, :3]


def has_colour(image, colour):
    return bool((np.abs(image - np.array(colour) / 255).max(axis=2) < 0.02).any())


RED, BLUE, GREEN = (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2), (0x00, 0x9E, 0x73)


@pytest.mark.parametrize("num_rows", [1, 3])
def test_the_sentiment_neuron_stands_out_from_the_other_weights(tmp_path, num_rows):
    weight = np.random.default_rng(0).normal(size=(num_rows, 64))
    path = tmp_path / "weights.png"
    plot_weights(path, weight, [5], ["a", "b", "c"][: max(2, num_rows)])
    image = read(path)
    assert image.shape[:2] == (600, 1200)
    assert has_colour(image, RED)
    assert not has_colour(image, BLUE)
    plot_weights(path, weight, [5, 9], ["a", "b", "c"][: max(2, num_rows)])
    assert has_colour(read(path), BLUE)


def test_each_class_has_its_own_colour(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    path = tmp_path / "neuron_3.png"
    plot_neuron(path, rng.normal(size=300) + truth, truth, ["x", "y", "z"], 3, pooling="last")
    image = read(path)
    assert all(has_colour(image, colour) for colour in (RED, BLUE, GREEN))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("names", [["$a", "b$"], ["\x1b[31m", "[/b]\n\n"], ["x" * 500, ""], [r"\frac{", "_"]])
def test_any_class_name_can_be_drawn(tmp_path, names):
    truth = np.array([0, 1, 0])
    plot_neuron(tmp_path / "n.png", np.zeros(3), truth, names, 0, pooling="mean")
    plot_weights(tmp_path / "w.png", np.zeros((1, 4)), [0], names)
    assert has_colour(read(tmp_path / "w.png"), RED)


def test_a_name_is_shortened_and_never_mathematics():
    assert escaped("a $x$\n b") == r"a \$x\$ b"
    assert len(escaped("y" * 100)) == 24
