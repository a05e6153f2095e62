import csv
import json

import numpy as np
import pytest

from sentneuron.core.config import ReadConfig, TransferConfig
from sentneuron.core.errors import DataError, InputNotFoundError, OutputError, UsageError
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer import transfer as engine
from sentneuron.core.transfer.classifier import Classifier
from sentneuron.core.transfer.features import featurize
from sentneuron.core.transfer.transfer import transfer

WORDS = {"bad": "zzz awful zzz", "good": "AAA lovely AAA", "odd": "1234 5678 90"}


def write_reviews(path, classes=("bad", "good"), num_rows=120):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        for i in range(num_rows):
            name = classes[i % len(classes)]
            writer.writerow([name, f"{WORDS[name]} {i * 7919 % 1000} {WORDS[name]}"])
    return str(path)


@pytest.fixture
def _undrawn(monkeypatch):
    """Spare the seconds that figures cost."""
    for name in ("plot_weights", "plot_neuron"):
        monkeypatch.setattr(engine, name, lambda path, *arguments, **options: path.write_bytes(b""))


@pytest.fixture
def run(tmp_path, model_file):
    """Return a function that transfers to a small data set and gives the report."""
    data = write_reviews(tmp_path / "reviews.csv")

    def call(**options):
        return transfer(
            TransferConfig(
                **{"model": str(model_file), "data": data, "output": tmp_path / "out", "pooling": "mean"} | options
            )
        )

    return call


def test_everything_promised_is_written_whole(run, tmp_path):
    report = run(neurons=2)
    neurons = load_model(tmp_path / "out" / "classifier.pt").classifier["neurons"]["indices"]
    names = {"classifier.pt", "results.json", "predictions.csv", "weights.png"}
    names |= {f"features_{part}.npz" for part in ("train", "valid", "test")} | {f"neuron_{i}.png" for i in neurons}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert set(report.files) <= set((tmp_path / "out").iterdir())
    assert all(path.stat().st_size > 0 for path in report.files)


@pytest.mark.usefixtures("_undrawn")
def test_results_say_how_well_each_part_is_told_apart_by_all_neurons_and_by_few(run, tmp_path):
    report = run(neurons=2)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results == report.results
    assert results["classes"] == ["bad", "good"]
    assert results["pooling"] == "mean"
    for probe, most in (("all_neurons", 12), ("neurons", 2)):
        assert results[probe]["train"]["accuracy"] > 0.9
        assert results[probe]["test"]["auc"] > 0.9
        assert results[probe]["test"]["rows"] == results["rows"]["test"]
        assert 0.4 < results[probe]["test"]["majority_share"] < 0.75
        assert 1 <= results[probe]["nonzero_weights"] == len(results[probe]["weights"]) <= most
    assert results["sentiment_neuron"] == results["all_neurons"]["weights"][0]["neuron"]


@pytest.mark.usefixtures("_undrawn")
def test_the_classifier_file_scores_as_the_predictions_say(run, tmp_path):
    run(neurons=2)
    classifier = Classifier.load(tmp_path / "out" / "classifier.pt")
    with open(tmp_path / "out" / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120
    assert {row["split"] for row in rows} == {"train", "valid", "test"}
    scored = classifier.score([row["text"] for row in rows])
    np.testing.assert_allclose(scored.probabilities[:, 1], [float(row["probability"]) for row in rows], atol=1e-5)
    np.testing.assert_allclose(scored.neuron, [float(row["neuron"]) for row in rows], atol=1e-5)
    predicted = [classifier.classes[i] for i in scored.probabilities.argmax(axis=1)]
    assert predicted == [row["prediction"] for row in rows]
    source = list(csv.DictReader(open(tmp_path / "reviews.csv", newline="")))  # noqa: SIM115
    assert all(source[int(row["row"]) - 1]["text"] == row["text"] for row in rows)


@pytest.mark.usefixtures("_undrawn")
def test_the_classifier_file_holds_both_regressions_and_a_colour_scale(run, tmp_path, language_model):
    run(neurons=3)
    saved = load_model(tmp_path / "out" / "classifier.pt")
    values = saved.classifier
    assert saved.kind == "classifier"
    assert values["classes"] == ["bad", "good"]
    assert values["pooling"] == "mean"
    assert values["all"]["weight"].shape == (1, 12)
    assert values["neurons"]["weight"].shape == (1, 3)
    assert len(values["neurons"]["scale"]) == 3
    assert all(scale > 0 for scale in values["neurons"]["scale"])
    weight = np.abs(values["all"]["weight"].numpy()[0])
    assert values["neurons"]["indices"] == np.argsort(-weight, kind="stable")[:3].tolist()


@pytest.mark.usefixtures("_undrawn")
def test_features_are_the_final_state_unless_asked_otherwise(tmp_path, model_file, language_model):
    data = write_reviews(tmp_path / "reviews.csv")
    transfer(TransferConfig(model=str(model_file), data=data, output=tmp_path / "out"))
    assert load_model(tmp_path / "out" / "classifier.pt").classifier["pooling"] == "last"
    with np.load(tmp_path / "out" / "features_train.npz") as stored, open(tmp_path / "out" / "predictions.csv") as file:
        first = next(csv.DictReader(file))
        expected = featurize(Runner(language_model.model), [language_model.rule.clean(first["text"])])
        np.testing.assert_allclose(stored["features"][0], expected[0], atol=1e-5)


@pytest.mark.usefixtures("_undrawn")
def test_kept_features_are_used_where_they_fit_and_only_when_asked(run, monkeypatch):
    calls = []

    def counted(pool, *arguments, **options):
        calls.append(1)
        return featurize(*arguments, **options)

    monkeypatch.setattr(engine.FeaturePool, "featurize", counted)
    first = run()
    assert len(calls) == 3
    again = run(use_cached=True, neurons=2)
    assert len(calls) == 3
    assert again.results["all_neurons"] == first.results["all_neurons"]
    run(use_cached=True, pooling="last")
    assert len(calls) == 6
    run()
    assert len(calls) == 9


@pytest.mark.usefixtures("_undrawn")
def test_three_classes_are_one_against_the_rest(run, tmp_path):
    data = write_reviews(tmp_path / "three.csv", ("bad", "good", "odd"), 150)
    report = run(data=data)
    assert report.results["classes"] == ["bad", "good", "odd"]
    assert report.results["all_neurons"]["train"]["accuracy"] > 0.8
    assert all(len(item["weight"]) == 3 for item in report.results["all_neurons"]["weights"])
    with open(tmp_path / "out" / "predictions.csv", newline="") as file:
        row = next(csv.DictReader(file))
    assert sum(float(row[f"probability_{name}"]) for name in report.results["classes"]) == pytest.approx(1, abs=1e-4)


@pytest.mark.usefixtures("_undrawn")
def test_without_test_labels_there_is_no_test_score(run, tmp_path):
    train, valid = write_reviews(tmp_path / "a.csv"), write_reviews(tmp_path / "b.csv", num_rows=20)
    (tmp_path / "c.csv").write_text("text\nno label here\n")
    report = run(train=train, valid=valid, test=str(tmp_path / "c.csv"))
    assert report.results["rows"] == {"train": 120, "valid": 20}
    assert "test" not in report.results["all_neurons"]


@pytest.mark.usefixtures("_undrawn")
def test_the_same_run_gives_the_same_results(run):
    first, second = run(), run()
    for name in ("all_neurons", "neurons", "rows"):
        assert first.results[name] == second.results[name]


@pytest.mark.usefixtures("_undrawn")
def test_the_folder_is_named_after_the_model_and_results_go_where_asked_as_well(tmp_path, model_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = write_reviews(tmp_path / "reviews.csv")
    extra = tmp_path / "extra.json"
    report = transfer(TransferConfig(model="model.pt", data=data, write_results=extra))
    assert str(report.output) == "model_transfer"
    assert json.loads(extra.read_text()) == report.results


@pytest.mark.usefixtures("_undrawn")
def test_progress_covers_all_text_once(tmp_path, model_file):
    seen = []
    data = write_reviews(tmp_path / "reviews.csv")
    config = TransferConfig(model=str(model_file), data=data, output=tmp_path / "out")
    transfer(config, progress=lambda *now: seen.append(now))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]
    assert len({total for _, total in seen}) == 1


@pytest.mark.usefixtures("_undrawn")
def test_what_cannot_be_done_ends_before_anything_is_written(run, tmp_path):
    with pytest.raises(UsageError, match="--neurons 13: the model has 12"):
        run(neurons=13)
    with pytest.raises(InputNotFoundError):
        run(data=str(tmp_path / "nothing.csv"))
    with pytest.raises(InputNotFoundError):
        run(model=str(tmp_path / "nothing.pt"))
    with pytest.raises(DataError, match="no column"):
        run(read=ReadConfig(label_key="stars"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError):
        run(output=tmp_path / "reviews.csv" / "out")
