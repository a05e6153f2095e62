"""Encoder and classifier trained together: where that starts, what it can do, and what is kept of it."""

import csv
import json
import random

import numpy as np
import pytest
import torch

from sentneuron.core.config import FinetuneConfig, ModelConfig, ReadConfig, TransferConfig
from sentneuron.core.data.examples import Example
from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, UsageError
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.checkpoint import SavedModel, load_model, save_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer import finetune as engine
from sentneuron.core.transfer import fitting
from sentneuron.core.transfer import transfer as transfer_module
from sentneuron.core.transfer.classifier import Classifier
from sentneuron.core.transfer.features import featurize, no_progress
from sentneuron.core.transfer.finetune import finetune, tuning_bytes
from sentneuron.core.transfer.probe import Probe, fit_probe
from sentneuron.core.transfer.transfer import transfer
from sentneuron.core.transfer.tuner import Tuner
from sentneuron.core.transfer.tuning_batches import BATCH_SIZE

NUM_UNITS = 12


def make_saved(nlayers=1, **options):
    torch.manual_seed(3)
    model = LanguageModel(ModelConfig(nhid=NUM_UNITS, emsize=8, nlayers=nlayers, **options)).eval()
    return SavedModel(kind="language-model", model=model, rule=TextRule())


def order_texts(num_rows, seed):
    """Texts of two classes that hold the same bytes equally often: only their order tells."""
    draw = random.Random(seed)
    texts = []
    for number in range(num_rows):
        pair = ("ab", "ba")[number % 2]
        around = ["".join(draw.choice("cd") for _ in range(draw.randrange(1, 4))) for _ in range(2)]
        texts.append((f"{around[0]}{pair}{around[1]}", str(number % 2)))
    return texts


def as_data(parts, classes=("0", "1")):
    rule = TextRule()
    examples = {
        part: [Example(row, text, rule.clean(text), label, ()) for row, (text, label) in enumerate(texts, 1)]
        for part, texts in parts.items()
    }
    return LabelledTexts(name="made up", parts=examples, classes=list(classes))


@pytest.fixture
def data():
    return as_data({"train": order_texts(256, 1), "valid": order_texts(100, 2)})


def config(epochs=10, lr=1e-2, **options):
    settings = {"pooling": "mean", "finetune": FinetuneConfig(epochs=epochs, lr=lr)}
    return TransferConfig(**settings | options)


def features_of(saved, data, **options):
    runner = Runner(saved.model, **options)
    return {
        part: featurize(runner, [example.clean for example in examples], pooling="mean")
        for part, examples in data.parts.items()
    }


def frozen_probe(saved, data):
    features = features_of(saved, data)
    return fit_probe(features["train"], data.truth("train"), features["valid"], data.truth("valid"))


def tune(saved, data, settings, **options):
    record = finetune(
        saved, frozen_probe(saved, data), data, settings, progress=no_progress, announce=lambda line: None, **options
    )
    return record


@pytest.mark.slow
def test_fine_tuning_learns_what_frozen_features_do_not_tell(data):
    saved = make_saved()
    probe = frozen_probe(saved, data)
    features = features_of(saved, data)
    assert probe.accuracy(features["train"], data.truth("train")) < 0.8
    tune(saved, data, config())
    features = features_of(saved, data)
    refit = fit_probe(features["train"], data.truth("train"), features["valid"], data.truth("valid"))
    assert refit.accuracy(features["valid"], data.truth("valid")) > 0.9


def test_the_same_seed_learns_the_same_and_another_one_does_not(data):
    found = []
    for seed in (0, 0, 1):
        saved = make_saved()
        record = tune(saved, data, config(epochs=1, seed=seed))
        found.append((record["curve"], saved.model.layers[0].bias.detach().clone()))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])
    assert not torch.equal(found[0][1], found[2][1])


@pytest.mark.parametrize("nlayers", [1, 2])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_before_the_first_step_the_head_scores_as_the_frozen_classifier(data, pooling, nlayers):
    saved = make_saved(nlayers)
    settings = config(pooling=pooling, all_layers=nlayers == 2)
    texts, truth = [example.clean for example in data.parts["valid"]], data.truth("valid")
    features = featurize(Runner(saved.model, all_layers=settings.all_layers), texts, pooling=pooling)
    probe = fit_probe(features, truth, features, truth)
    tuner = Tuner(saved, probe, settings)
    accuracy, loss = tuner.score(texts, truth, progress=no_progress)
    said = probe.probabilities(features)[np.arange(len(truth)), truth]
    assert accuracy == probe.accuracy(features, truth)
    assert loss == pytest.approx(-np.log(said).mean(), abs=1e-5)
    # The same numbers under autograd: a step tells the loss from before it.
    assert tuner.step(texts, truth, learning_rate=0.0)[0] == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_loss_is_that_of_the_probabilities_that_a_classifier_gives(multi_label):
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(3, NUM_UNITS)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    probe = Probe(weight=weight, bias=bias, C=1.0, multi_label=multi_label)
    texts = [b"\n one ", b"\n another ", b"\n third ", b"\n and the last "]
    truth = rng.integers(0, 2, (4, 3)) if multi_label else np.array([0, 1, 2, 1])
    saved = make_saved()
    said = probe.probabilities(featurize(Runner(saved.model), texts, pooling="mean"))
    if multi_label:
        expected = -np.log(np.where(truth == 1, said, 1 - said)).mean()
    else:
        expected = -np.log(said[np.arange(4), truth]).mean()
    tuner = Tuner(saved, probe, config())
    assert tuner.step(texts, truth, learning_rate=0.0)[0] == pytest.approx(expected, abs=1e-5)


def test_a_step_changes_every_weight_of_encoder_decoder_and_head(data):
    saved = make_saved(nlayers=2)
    before = {name: value.clone() for name, value in saved.model.state_dict().items()}
    probe = Probe(weight=np.ones((1, NUM_UNITS), np.float32), bias=np.zeros(1, np.float32), C=1.0)
    tuner = Tuner(saved, probe, config())
    tuner.step([example.clean for example in data.parts["valid"]], data.truth("valid"), learning_rate=1e-3)
    assert [name for name, value in saved.model.state_dict().items() if torch.equal(value, before[name])] == []
    assert not np.equal(tuner.head.probe().weight, probe.weight).any()
    assert tuner.head.probe().bias != 0


def test_in_bf16_a_copy_reads_and_the_fp32_weights_learn_nearly_the_same(data):
    texts, truth = [example.clean for example in data.parts["valid"]], data.truth("valid")
    learnt = {}
    for precision in ("fp32", "bf16"):
        saved = make_saved()
        probe = Probe(weight=np.ones((1, NUM_UNITS), np.float32), bias=np.zeros(1, np.float32), C=1.0)
        tuner = Tuner(saved, probe, config(precision=precision))
        losses = [tuner.step(texts, truth, learning_rate=1e-2) for _ in range(4)]
        assert {value.dtype for value in saved.model.state_dict().values()} == {torch.float32}
        assert losses[-1][0] < losses[0][0]
        learnt[precision] = np.array(losses)
    assert np.abs(learnt["bf16"] - learnt["fp32"]).max() < 0.02
    assert not np.array_equal(learnt["bf16"], learnt["fp32"])


def test_a_model_without_a_decoder_learns_from_the_classes_alone(data):
    saved = make_saved()
    saved.training = {"imported": {"decoder": False}}
    with torch.no_grad():
        saved.model.decoder.weight.zero_()
    record = tune(saved, data, config(epochs=1))
    assert all(point["bits_per_byte"] == 0 for point in record["curve"][1:])
    assert not saved.model.decoder.weight.any()


@pytest.fixture
def scripted(monkeypatch):
    """Return a function that makes the validations say given accuracies, at a loss of 1; and tells what was kept."""

    def script(accuracies, losses=None):
        said = iter(zip(accuracies, losses or [1.0] * len(accuracies), strict=True))
        seen = []

        def score(tuner, texts, truth, *, progress):
            seen.append(tuner.weights())
            return next(said)

        monkeypatch.setattr(engine.Tuner, "score", score)
        return seen

    return script


def best_of(saved, seen):
    found = saved.model.state_dict()
    return [place for place, own in enumerate(seen) if all(torch.equal(own[name], found[name]) for name in own)]


def test_the_best_weights_are_kept_and_not_the_last(data, scripted):
    saved = make_saved()
    seen = scripted([0.5, 0.6, 0.9, 0.7, 0.8])
    record = tune(saved, data, config(epochs=2))
    assert best_of(saved, seen) == [2]
    assert record["best_epoch"] == 1.0
    assert [point["valid_accuracy"] for point in record["curve"]] == [0.5, 0.6, 0.9, 0.7, 0.8]


def test_of_equal_accuracies_the_smaller_loss_wins_then_the_earlier(data, scripted):
    saved = make_saved()
    seen = scripted([0.9, 0.9, 0.9], [0.5, 0.4, 0.4])
    tune(saved, data, config(epochs=1))
    assert best_of(saved, seen) == [1]


def test_where_nothing_helps_the_encoder_stays_as_it_was_and_the_end_is_early(data, scripted):
    saved = make_saved()
    untouched = make_saved().model.state_dict()
    seen = scripted([0.9] + [0.5] * 20)
    record = tune(saved, data, config(epochs=10))
    assert len(record["curve"]) == 1 + engine.PATIENCE
    assert record["best_epoch"] == 0
    assert all(torch.equal(value, untouched[name]) for name, value in saved.model.state_dict().items())
    assert len(seen) == len(record["curve"])


def test_progress_counts_all_bytes_once_and_ends_at_the_total_also_when_it_ends_early(data, scripted):
    settings = config(epochs=3)
    for accuracies in ([0.1 * place for place in range(7)], [0.9] + [0.1] * 6):
        scripted(accuracies)
        seen = []
        saved = make_saved()
        finetune(
            saved,
            frozen_probe(saved, data),
            data,
            settings,
            progress=lambda *now, seen=seen: seen.append(now),
            announce=lambda line: None,
        )
        assert seen == sorted(seen)
        assert seen[-1][0] == tuning_bytes(data, settings.finetune)
        assert {total for _, total in seen} == {seen[-1][0]}


def test_a_loss_that_is_not_finite_ends_it_with_what_to_do(data):
    saved = make_saved()
    probe = frozen_probe(saved, data)
    with torch.no_grad():
        saved.model.decoder.bias[0] = torch.nan
    with pytest.raises(DataError, match=r"diverged.* at step 1; .*--lr"):
        finetune(saved, probe, data, config(), progress=no_progress, announce=lambda line: None)


def test_the_rate_rises_for_a_tenth_of_the_steps_and_falls_to_zero(data, monkeypatch):
    rates = []
    step = engine.Tuner.step

    def watched(tuner, texts, truth, *, learning_rate):
        rates.append(learning_rate)
        return step(tuner, texts, truth, learning_rate=learning_rate)

    monkeypatch.setattr(engine.Tuner, "step", watched)
    tune(make_saved(), data, config(epochs=3, lr=0.01))
    assert len(rates) == 3 * 256 / BATCH_SIZE
    assert rates.index(max(rates)) == 2
    assert rates[:3] == sorted(rates[:3])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert max(rates) == pytest.approx(0.01, rel=0.1)
    assert rates[-1] == pytest.approx(0.01 / 24)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that transfers with fine-tuning, without figures, and gives the report."""
    monkeypatch.setattr(transfer_module, "draw_report", lambda *arguments, **options: [])
    monkeypatch.setattr(fitting, "label_efficiency", lambda *arguments, **options: [])
    save_model(tmp_path / "model.pt", make_saved())
    with open(tmp_path / "texts.csv", "w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *order_texts(300, 1)])

    def call(**options):
        settings = {"model": str(tmp_path / "model.pt"), "data": str(tmp_path / "texts.csv"), "pooling": "mean"}
        settings |= {"output": tmp_path / "out", "finetune": FinetuneConfig(epochs=6, lr=1e-2)}
        return transfer(TransferConfig(**settings | options))

    return call


@pytest.mark.slow
def test_the_classifier_file_scores_as_results_and_predictions_say(run, tmp_path):
    report = run()
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results == report.results
    classifier = Classifier.load(tmp_path / "out" / "classifier.pt")
    with open(tmp_path / "out" / "predictions.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    scored = classifier.score([row["text"] for row in rows])
    np.testing.assert_allclose(scored.probabilities[:, 1], [float(row["probability"]) for row in rows], atol=1e-5)
    right = scored.probabilities.argmax(axis=1) == [int(row["label"]) for row in rows]
    assert right.mean() == results["all_neurons"]["test"]["accuracy"]


@pytest.mark.slow
def test_results_hold_the_frozen_scores_beside_the_others_and_the_curve(run, tmp_path):
    frozen = run(finetune=None).results
    tuned = run(use_cached=True).results
    assert "frozen" not in frozen
    assert tuned["frozen"] == {name: frozen[name] for name in ("all_neurons", "neurons", "heaviest_neurons")}
    assert tuned["all_neurons"] != frozen["all_neurons"]
    assert tuned["finetuning"]["epochs"] == 6
    assert tuned["finetuning"]["curve"][0]["valid_accuracy"] == frozen["all_neurons"]["valid"]["accuracy"]
    before, after = load_model(tmp_path / "model.pt"), load_model(tmp_path / "out" / "classifier.pt")
    assert not torch.equal(before.model.embedding.weight, after.model.embedding.weight)
    assert after.training["finetuned"][-1]["best_epoch"] == tuned["finetuning"]["best_epoch"]
    assert run(finetune=None, use_cached=True).results["all_neurons"] == frozen["all_neurons"]


def test_what_does_not_go_with_fine_tuning_is_wrong_usage(run, monkeypatch):
    with pytest.raises(UsageError, match="--folds"):
        run(folds=3)
    with pytest.raises(UsageError, match="--epochs is 0"):
        FinetuneConfig(epochs=0)
    with pytest.raises(UsageError, match="--lr is -1"):
        FinetuneConfig(lr=-1)
    with pytest.raises(UsageError, match="--lr is above 1"):
        FinetuneConfig(lr=1e40)
    ranks = Ranks()
    monkeypatch.setattr(ranks, "size", 2)
    with pytest.raises(UsageError, match="--finetune on 2 devices"):
        transfer(TransferConfig(finetune=FinetuneConfig()), ranks=ranks)


@pytest.mark.parametrize("label_key", ["label", "first,second"])
def test_more_classes_and_several_labels_are_fine_tuned_too(run, tmp_path, label_key):
    with open(tmp_path / "more.csv", "w", newline="") as file:
        rows = [(f"{'abc'[i % 3] * 3} {i}", "xyz"[i % 3], i % 2, i % 3 % 2) for i in range(90)]
        csv.writer(file).writerows([("text", "label", "first", "second"), *rows])
    results = run(
        data=str(tmp_path / "more.csv"),
        read=ReadConfig(label_key=label_key),
        finetune=FinetuneConfig(epochs=1, lr=1e-3),
    ).results
    classifier = Classifier.load(tmp_path / "out" / "classifier.pt")
    assert (
        classifier.classes == results["classes"] == (["x", "y", "z"] if label_key == "label" else ["first", "second"])
    )
    assert set(results["frozen"]["all_neurons"]) == set(results["all_neurons"])
    assert [point["epoch"] for point in results["finetuning"]["curve"]][::2] == [0.0, 1.0]
