import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from sentneuron.core.report.score_plots import plot_confusion, plot_label_efficiency, plot_roc, roc_curve


def point(labels, draws, every, few):
    return {
        "labels": labels,
        "draws": draws,
        "all_neurons": {"mean": every, "std": 0.05},
        "neurons": {"mean": few, "std": 0.0},
    }


def test_accuracy_is_drawn_against_the_logarithm_of_the_labels_with_a_band_and_the_commonest_answer(tmp_path, drawn):
    points = [point(10, 5, 0.6, 0.5), point(100, 5, 0.7, 0.6), point(500, 1, 0.8, 0.7)]
    plot_label_efficiency(tmp_path / "l.png", points, part="test", majority_share=0.55, second="neuron 3 alone")
    (axes,) = drawn
    assert axes.get_xscale() == "log"
    every, few, commonest = axes.lines
    assert every.get_xdata().tolist() == [10, 100, 500]
    assert every.get_ydata().tolist() == [0.6, 0.7, 0.8]
    assert few.get_label() == "neuron 3 alone"
    assert set(commonest.get_ydata()) == {0.55}
    band = np.vstack([path.vertices for path in axes.collections[0].get_paths()])
    assert band[:, 0].max() == 100  # all labels are drawn once: no spread
    assert band[:, 1].min() == pytest.approx(0.55)
    assert band[:, 1].max() == pytest.approx(0.75)
    assert "test" in axes.get_ylabel()
    assert axes.yaxis.get_major_formatter()(0.07) == "7%"
    assert axes.yaxis.get_major_formatter()(0.625) == "62.5%"


def test_a_confusion_matrix_has_shares_of_the_true_class_and_counts(tmp_path, drawn):
    plot_confusion(tmp_path / "c.png", np.array([[3, 1, 0], [2, 1998, 0], [0, 0, 0]]), ["0", "$x$", "none"])
    (axes,) = drawn
    written = [text.get_text() for text in axes.texts]
    assert written == ["75.0%\n3", "25.0%\n1", "0.0%\n0", "0.1%\n2", "99.9%\n1,998", "0.0%\n0"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["class 0 (4)", r"\$x\$ (2,000)", "none (0)"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25, 0], [0.001, 0.999, 0], [0, 0, 0]])


@pytest.mark.filterwarnings("error")
def test_a_hundred_classes_have_colours_alone(tmp_path, drawn):
    plot_confusion(tmp_path / "c.png", np.eye(100, dtype=int), ["y" * 100] * 100)
    assert not drawn[0].texts
    assert not drawn[0].get_xticklabels()


@pytest.mark.parametrize("levels", [1000, 4, 1])
def test_the_curve_has_the_area_that_scikit_learn_gives(levels):
    rng = np.random.default_rng(levels)
    is_class = rng.random(300) < 0.3
    probability = np.rint(rng.random(300) * levels) / levels + 0.2 * is_class * (levels > 1)
    wrong, right = roc_curve(is_class, probability)
    assert (wrong[0], right[0], wrong[-1], right[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(right, wrong) == pytest.approx(roc_auc_score(is_class, probability))


def test_each_class_has_a_curve_with_its_area_but_not_one_that_no_text_has(tmp_path, drawn):
    has_class = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], bool)
    probabilities = np.array([[0.9, 0.1, 0], [0.8, 0.7, 0], [0.2, 0.6, 0], [0.1, 0.9, 0]])
    plot_roc(tmp_path / "r.png", has_class, probabilities, ["$a$", "_b", "missing"])
    names = [text.get_text().strip() for text in drawn[0].get_legend().get_texts()]
    assert names == ["guessing (0.500)", r"\$a\$ (1.000)", "_b (0.750)"]
