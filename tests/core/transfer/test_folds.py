import numpy as np
import pytest

from sentneuron.core.config import TransferConfig
from sentneuron.core.data.examples import Example
from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.transfer import folds as engine
from sentneuron.core.transfer.folds import cross_validate, text_ranks


def labelled(texts, labels):
    rows = enumerate(zip(texts, labels, strict=True), 1)
    examples = [Example(row, text, text.encode(), label) for row, (text, label) in rows]
    return LabelledTexts(name="x", parts={"train": examples}, classes=sorted(set(labels)))


def config(folds, **options):
    return TransferConfig(model="m", folds=folds, **options)


def test_equal_texts_have_one_rank_and_the_order_of_rows_does_not_matter():
    data = labelled([f"text {number % 30}" for number in range(60)], ["0", "1"] * 30)
    ranks = text_ranks(data, seed=0)
    np.testing.assert_array_equal(ranks[:30], ranks[30:])
    assert sorted(set(ranks.tolist())) == list(range(30))
    backwards = LabelledTexts(name="x", parts={"train": data.parts["train"][::-1]}, classes=data.classes)
    np.testing.assert_array_equal(text_ranks(backwards, seed=0), ranks[::-1])
    assert (text_ranks(data, seed=1) != ranks).any()


def test_no_fold_is_scored_by_a_regression_that_saw_its_texts():
    """Labels are random, features give each text away: who has seen a text knows its label, the others do not."""
    rng = np.random.default_rng(0)
    number = np.repeat(np.arange(60), 2)
    labels = rng.integers(0, 2, 60)[number]
    data = labelled([f"text {one}" for one in number], [str(label) for label in labels])
    features = np.eye(60, dtype=np.float32)[number] * 1e4
    probes, folds = cross_validate(features, data, config(4))
    assert probes.every.accuracy(features, labels) > 0.9
    assert 0.2 < folds["all_neurons"]["mean"] < 0.65


def test_every_text_is_scored_once(monkeypatch):
    seen = []
    accuracy = engine.Probe.accuracy

    def watched(probe, x, y):
        seen.append(x[:, 0].tolist() if x.shape[1] == 3 else [])
        return accuracy(probe, x, y)

    monkeypatch.setattr(engine.Probe, "accuracy", watched)
    monkeypatch.setattr(engine, "refit_probe", lambda x, y, held_out, **options: make_probe(x.shape[1]))
    features = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    data = labelled([f"text {one}" for one in range(50)], ["0", "1"] * 25)
    cross_validate(features, data, config(7))
    assert sorted(value for one in seen for value in one) == sorted(features[:, 0].tolist())
    assert {len(one) for one in seen if one} == {7, 8}


def make_probe(num_features):
    weight = np.arange(1, num_features + 1, dtype=np.float32)[None]
    return engine.Probe(weight=weight, bias=np.zeros(1, np.float32), C=0.5)


def test_the_scores_are_those_of_all_texts_by_regressions_that_have_not_seen_them():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 90)
    data = labelled([f"text {one}" for one in range(90)], [str(label) for label in labels])
    features = (rng.normal(size=(90, 4)) + labels[:, None]).astype(np.float32)
    _, folds = cross_validate(features, data, config(9))  # ten texts each
    found = folds["all_neurons"]
    assert found["rows"] == np.sum(found["confusion"]) == 90
    assert found["accuracy"] == pytest.approx(np.mean(found["accuracies"])) == pytest.approx(found["mean"])
    assert found["std"] == pytest.approx(np.std(found["accuracies"]))
    assert folds["neurons"]["accuracies"] != found["accuracies"]


def test_a_tenth_of_the_texts_is_held_out_to_choose_the_strength_in_each_fold_and_in_the_end(monkeypatch):
    fits = []

    def refit(x, y, held_out, **options):
        fits.append((np.sum(~held_out), np.sum(held_out)))
        assert not set(x[held_out][:, 0].tolist()) & set(x[~held_out][:, 0].tolist())
        return make_probe(x.shape[1])

    monkeypatch.setattr(engine, "refit_probe", refit)
    features = np.repeat(np.arange(200, dtype=np.float32), 2)[:, None] * [1, 2]
    data = labelled([f"text {one // 2}" for one in range(400)], ["0", "1"] * 200)
    probes, _ = cross_validate(features, data, config(2))
    assert fits == [(180, 20)] * 4 + [(360, 40)] * 2
    assert probes.indices == [1]


@pytest.mark.parametrize("drop", [False, True])
def test_the_second_regression_stands_on_neurons_chosen_without_the_fold(drop):
    """One feature tells every text of the training folds; which it is differs from fold to fold."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 200)
    data = labelled([f"text {one}" for one in range(200)], [str(label) for label in labels])
    features = rng.normal(size=(200, 4)).astype(np.float32)
    features[:, 2] = labels * 4 - 2
    _, folds = cross_validate(features, data, config(4, drop_neurons=drop))
    assert (folds["neurons"]["mean"] > 0.95) is not drop
    assert folds["all_neurons"]["mean"] > 0.95
