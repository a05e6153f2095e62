import numpy as np
import pytest

from sentneuron.core.data.examples import Example
from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.transfer import label_efficiency as module
from sentneuron.core.transfer.label_efficiency import drawing_order, label_efficiency, sizes
from sentneuron.core.transfer.probe import fit_probe
from sentneuron.core.transfer.probes import Probes


def make_data(counts, *, num_classes=2, multi_label=False, seed=0):
    """Texts whose first neuron says the class, the second some of it, and the rest nothing."""
    rng = np.random.default_rng(seed)
    parts, features = {}, {}
    names = [str(number) for number in range(num_classes)]
    for part, count in counts.items():
        truth = np.arange(count) % num_classes
        holds = rng.random((count, num_classes)) < 0.4
        parts[part] = [
            Example(row, "t", b"t", names[number], tuple(held) if multi_label else ())
            for row, (number, held) in enumerate(zip(truth, holds.tolist(), strict=True), 1)
        ]
        own = rng.normal(size=(count, 6)).astype(np.float32)
        said = holds[:, :2] if multi_label else np.stack([truth, truth], axis=1)
        features[part] = own + np.pad(np.array([3, 1]) * said, ((0, 0), (0, 4))).astype(np.float32)
    return LabelledTexts(name="made", parts=parts, classes=names, multi_label=multi_label), features


def fit(data, features, indices=(0,)):
    chosen = list(indices)

    def on(columns):
        train, valid = features["train"][:, columns], features["valid"][:, columns]
        return fit_probe(train, data.truth("train"), valid, data.truth("valid"), num_classes=len(data.classes))

    return Probes(every=on(list(range(6))), heaviest=chosen, second=on(chosen), indices=chosen)


@pytest.fixture(autouse=True)
def _few_sizes(monkeypatch):
    monkeypatch.setattr(module, "SIZES", (10, 30))
    monkeypatch.setattr(module, "DRAWS", 3)


def test_accuracy_grows_with_the_labels_up_to_what_all_of_them_give():
    data, features = make_data({"train": 120, "valid": 60, "test": 80})
    probes = fit(data, features)
    points = label_efficiency(features, data, probes, seed=0)
    assert [(point["labels"], point["draws"]) for point in points] == [(10, 3), (30, 3), (120, 1)]
    assert points[0]["all_neurons"]["mean"] < points[-1]["all_neurons"]["mean"]
    assert points[0]["all_neurons"]["std"] > 0
    truth = data.truth("test")
    assert points[-1]["all_neurons"] == {"mean": probes.every.accuracy(features["test"], truth), "std": 0.0}
    assert points[-1]["neurons"] == {"mean": probes.second.accuracy(features["test"][:, [0]], truth), "std": 0.0}


@pytest.mark.slow
def test_the_same_seed_draws_the_same_and_another_one_does_not():
    data, features = make_data({"train": 60, "valid": 30})
    probes = fit(data, features)
    first = label_efficiency(features, data, probes, seed=4)
    assert first == label_efficiency(features, data, probes, seed=4)
    assert first != label_efficiency(features, data, probes, seed=5)


def test_without_a_test_part_validation_is_scored_and_without_validation_nothing():
    data, features = make_data({"train": 60, "valid": 30})
    probes = fit(data, features)
    (*_, last) = label_efficiency(features, data, probes, seed=0)
    assert last["all_neurons"]["mean"] == probes.every.accuracy(features["valid"], data.truth("valid"))
    del data.parts["valid"]
    assert label_efficiency(features, data, probes, seed=0) == []


@pytest.mark.slow
@pytest.mark.parametrize("multi_label", [True, False])
def test_many_classes_and_several_labels_have_points_too(multi_label):
    data, features = make_data({"train": 60, "valid": 30}, num_classes=3, multi_label=multi_label)
    points = label_efficiency(features, data, fit(data, features, (0, 1)), seed=0)
    assert [point["labels"] for point in points] == [10, 30, 60]
    assert all(0 < point["neurons"]["mean"] <= 1 for point in points)


def test_every_beginning_keeps_the_shares_of_the_classes_to_one_text():
    truth = np.repeat([0, 1, 2], [70, 25, 5])
    order = drawing_order(truth, seed=(0, 1))
    assert sorted(order) == list(range(100))
    assert set(truth[order[:3]]) == {0, 1, 2}
    for size in range(10, 101):
        counts = np.bincount(truth[order[:size]], minlength=3)
        assert np.abs(counts - size * np.array([0.7, 0.25, 0.05])).max() <= 1.5, size


def test_of_several_labels_each_is_there_and_not_there_among_the_first():
    rng = np.random.default_rng(1)
    truth = (rng.random((200, 4)) < np.array([0.5, 0.02, 0.98, 0])).astype(int)
    order = drawing_order(truth, seed=(0, 0))
    assert sorted(order) == list(range(200))
    first = truth[order[:8]]
    for column in range(3):
        assert set(first[:, column]) == {0, 1}


def test_other_draws_are_other_texts():
    truth = np.arange(100) % 2
    assert set(drawing_order(truth, seed=(0, 0))[:20]) != set(drawing_order(truth, seed=(0, 1))[:20])


def test_sizes_have_room_for_every_class_and_stay_well_below_all(monkeypatch):
    monkeypatch.setattr(module, "SIZES", (10, 30, 100, 300, 1000, 3000, 10_000))
    assert sizes(np.arange(6920) % 2, num_rows=1) == [10, 30, 100, 300, 1000, 3000]
    assert sizes(np.arange(3300) % 2, num_rows=1) == [10, 30, 100, 300, 1000]
    assert sizes(np.arange(6838) % 11, num_rows=11) == [30, 100, 300, 1000]
    assert sizes(np.arange(25_000) % 2, num_rows=1)[-1] == 10_000
    assert sizes(np.arange(14) % 2, num_rows=1) == []
