import csv
import json

import numpy as np
import pytest
import torch

from sentneuron.core.config import ModelConfig, ReadConfig, TransferConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, InputNotFoundError, OutputError, UsageError
from sentneuron.core.model.checkpoint import SavedModel, load_model, save_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer import fitting
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
    """Spare the seconds that figures cost, and what is computed for them."""
    monkeypatch.setattr(engine, "draw_report", lambda *arguments, **options: [])
    monkeypatch.setattr(fitting, "label_efficiency", lambda *arguments, **options: [])


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
    names = {"classifier.pt", "results.json", "predictions.csv", "weights.png", "report.html"}
    names |= {"label_efficiency.png", "confusion.png", "roc.png"}
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
    rows = check_predictions(tmp_path / "out")
    assert len(rows) == 120
    assert {row["split"] for row in rows} == {"train", "valid", "test"}
    assert all(row["prediction"] == ("good" if float(row["probability"]) > 0.5 else "bad") for row in rows)
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
    assert values["scale"].shape == (12,)
    assert (values["scale"] > 0).all()
    assert values["multi_label"] is values["all_layers"] is False
    assert values["sentiment_neuron"] == values["neurons"]["indices"][0]
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
    report = run(data=TransferConfig.data, train=train, valid=valid, test=str(tmp_path / "c.csv"))
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
    unnamed = transfer(TransferConfig(data=data))
    assert (str(unnamed.output), unnamed.results["model"]) == ("model_transfer", "model.pt")


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
    with pytest.raises(UsageError, match="--neurons 12: --drop-neurons leaves none"):
        run(neurons=12, drop_neurons=True)
    with pytest.raises(InputNotFoundError):
        run(data=str(tmp_path / "nothing.csv"))
    with pytest.raises(InputNotFoundError):
        run(model=str(tmp_path / "nothing.pt"))
    with pytest.raises(DataError, match="no column"):
        run(read=ReadConfig(label_key="stars"))
    with pytest.raises(OutputError, match="does not exist"):
        run(write_results=tmp_path / "nowhere" / "results.json")
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError):
        run(output=tmp_path / "reviews.csv" / "out")


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_features_that_are_not_finite_are_an_error_in_any_part(run, tmp_path, part):
    torch.manual_seed(3)
    model = LanguageModel(ModelConfig(model="RNNReLU", nhid=12, emsize=8)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 50
    save_model(tmp_path / "growing.pt", SavedModel(kind="language-model", model=model, rule=TextRule()))
    files = {name: str(tmp_path / f"{name}.csv") for name in ("train", "valid", "test")}
    for path in files.values():
        with open(path, "w") as file:
            file.write("label,text\n0,b\n1,a\n0,d\n1,c\n")
    with open(files[part], "a") as file:
        file.write(f"0,{'e' * 200}\n")
    with pytest.raises(DataError, match="features are not finite"):
        run(model=str(tmp_path / "growing.pt"), data=TransferConfig.data, **files)


@pytest.mark.usefixtures("_undrawn")
def test_a_class_with_half_a_surrogate_pair_in_its_name_is_a_class(run, tmp_path):
    names = ("sad \ud83d", "joy")
    rows = [{"text": f"{WORDS[('bad', 'good')[i % 2]]} {i}", "label": names[i % 2]} for i in range(120)]
    (tmp_path / "halves.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(data=str(tmp_path / "halves.jsonl"))
    assert json.loads((tmp_path / "out" / "results.json").read_text())["classes"] == ["joy", "sad \ud83d"]
    assert load_model(tmp_path / "out" / "classifier.pt").classifier["classes"] == ["joy", "sad \ud83d"]


@pytest.mark.usefixtures("_undrawn")
def test_dropped_neurons_are_left_out_of_the_second_regression(run, tmp_path):
    report = run(neurons=3, drop_neurons=True)
    heaviest = report.results["heaviest_neurons"]
    values = load_model(tmp_path / "out" / "classifier.pt").classifier
    assert values["neurons"]["indices"] == [unit for unit in range(12) if unit not in heaviest]
    assert values["sentiment_neuron"] == heaviest[0]
    used = {item["neuron"] for item in report.results["neurons"]["weights"]}
    assert used
    assert not used & set(heaviest)
    kept = run(neurons=3)
    assert kept.results["heaviest_neurons"] == heaviest
    assert {item["neuron"] for item in kept.results["neurons"]["weights"]} <= set(heaviest)


@pytest.mark.usefixtures("_undrawn")
def test_the_classifier_without_some_neurons_goes_by_their_number_too(run, tmp_path):
    run(neurons=3, drop_neurons=True)
    classifier = Classifier.load(tmp_path / "out" / "classifier.pt", neurons=3)
    assert len(classifier.indices) == 9
    with pytest.raises(UsageError, match=r"--neurons 9: .* with --neurons 3"):
        Classifier.load(tmp_path / "out" / "classifier.pt", neurons=9)


@pytest.fixture
def two_layers(tmp_path):
    torch.manual_seed(3)
    model = LanguageModel(ModelConfig(nhid=12, emsize=8, nlayers=2)).eval()
    save_model(tmp_path / "two.pt", SavedModel(kind="language-model", model=model, rule=TextRule()))
    return str(tmp_path / "two.pt")


@pytest.mark.usefixtures("_undrawn")
def test_features_of_all_layers_are_those_of_each_side_by_side(run, two_layers, tmp_path):
    report = run(model=two_layers, all_layers=True, neurons=20)
    saved = load_model(tmp_path / "out" / "classifier.pt")
    assert saved.all_layers
    assert saved.classifier["all"]["weight"].shape == (1, 24)
    assert saved.classifier["scale"].shape == (24,)
    assert report.results["all_layers"] is True
    with np.load(tmp_path / "out" / "features_train.npz") as stored:
        both = stored["features"]
    run(model=two_layers)
    with np.load(tmp_path / "out" / "features_train.npz") as stored:
        np.testing.assert_allclose(both[:, 12:], stored["features"], atol=1e-6)
    assert np.abs(both[:, :12] - both[:, 12:]).max() > 1e-3


@pytest.mark.usefixtures("_undrawn")
def test_a_classifier_on_all_layers_scores_as_the_predictions_say(run, two_layers, tmp_path):
    run(model=two_layers, all_layers=True, use_cached=True)
    check_predictions(tmp_path / "out")


@pytest.mark.usefixtures("_undrawn")
def test_kept_features_of_one_layer_are_not_taken_for_those_of_all(run, two_layers, tmp_path):
    run(model=two_layers)
    run(model=two_layers, all_layers=True, use_cached=True)
    with np.load(tmp_path / "out" / "features_train.npz") as stored:
        assert stored["features"].shape[1] == 24


def check_predictions(folder):
    """Hold predictions.csv against what the classifier file says of the same texts; return its rows."""
    classifier = Classifier.load(folder / "classifier.pt")
    with open(folder / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    scored = classifier.score([row["text"] for row in rows])
    for number, name in enumerate(classifier.classes):
        column = f"probability_{name}" if f"probability_{name}" in rows[0] else "probability"
        if column != "probability" or number == 1:
            said = [float(row[column]) for row in rows]
            np.testing.assert_allclose(scored.probabilities[:, number], said, atol=1e-5)
    np.testing.assert_allclose(scored.neuron, [float(row["neuron"]) for row in rows], atol=1e-5)
    return rows


def write_labels(path, num_rows=160):
    """Texts that hold one, both or none of two labels, which words tell."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["joy", "anger", "text"])
        for i in range(num_rows):
            joy, anger = i % 2, i // 2 % 2
            text = " ".join([WORDS["good"]] * joy + [WORDS["bad"]] * anger + [str(i * 7919 % 1000)])
            writer.writerow([joy, anger, text])
    return str(path)


@pytest.mark.usefixtures("_undrawn")
def test_several_labels_are_told_apart_each_on_its_own(run, tmp_path):
    report = run(data=write_labels(tmp_path / "labels.csv"), read=ReadConfig(label_key="joy,anger"), neurons=4)
    results = report.results
    assert results["classes"] == ["joy", "anger"]
    assert results["multi_label"] is True
    assert all(len(item["weight"]) == 2 for item in results["all_neurons"]["weights"])
    scores = results["all_neurons"]["test"]
    assert scores.keys() == {"rows", "accuracy", "f1", "f1_micro", "jaccard", "auc", "majority_share", "labels"}
    assert scores["accuracy"] > 0.8
    assert set(scores["labels"]) == {"joy", "anger"}
    values = load_model(tmp_path / "out" / "classifier.pt").classifier
    assert values["multi_label"] is True
    assert values["all"]["weight"].shape == (2, 12)
    rows = check_predictions(tmp_path / "out")
    assert {row["label"] for row in rows} == {"joy", "anger", "joy,anger", "none"}
    for row in rows:
        holds = [name for name in ("joy", "anger") if float(row[f"probability_{name}"]) > 0.5]
        assert row["prediction"] == (",".join(holds) or "none")


@pytest.mark.usefixtures("_undrawn")
def test_one_file_is_cross_validated_and_the_classifier_fitted_on_all_of_it(run, tmp_path):
    report = run(folds=5, neurons=2)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results == report.results
    assert results["folds"] == 5
    assert results["rows"] == {"train": 120}
    for probe in ("all_neurons", "neurons"):
        folds = results[probe]["folds"]
        assert len(folds["accuracies"]) == 5
        assert folds["mean"] == pytest.approx(np.mean(folds["accuracies"]))
        assert folds["std"] == pytest.approx(np.std(folds["accuracies"]))
        assert folds["mean"] > 0.9
        assert folds["rows"] == 120
        assert folds["auc"] > 0.9
        assert results[probe]["train"]["rows"] == 120
    assert len(check_predictions(tmp_path / "out")) == 120
    assert run().results["folds"] is None


@pytest.mark.usefixtures("_undrawn")
def test_features_are_computed_in_the_precision_asked_for_which_results_name(run, tmp_path):
    found = {}
    for precision in ("fp32", "fp16", "bf16"):
        assert run(precision=precision, use_cached=True).results["precision"] == precision
        found[precision] = np.load(tmp_path / "out" / "features_test.npz")["features"]
    for precision in ("fp16", "bf16"):
        assert not np.array_equal(found[precision], found["fp32"])
        np.testing.assert_allclose(found[precision], found["fp32"], atol=0.05)
