import copy
import csv
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sentneuron
from sentneuron import interface
from sentneuron.cli import main
from sentneuron.core.config import GenerateConfig
from sentneuron.core.generation.generate import generate
from sentneuron.core.model.checkpoint import load_model, save_model

ROOT = Path(__file__).parents[1]
TEXTS = ["I loved it", "dull, flat &amp; <b>long</b>", "", "Crème brûlée 😀", "x" * 70, " \t ", "007"]
HAS_TEXT = [True, True, False, True, True, False, True]


@pytest.fixture
def model(make_model_file):
    return sentneuron.load(make_model_file(), device="cpu")


@pytest.fixture
def plain(make_model_file):
    """A language model without a classifier."""
    return sentneuron.load(make_model_file(()), device="cpu")


def through_a_pipe(value):
    """What another process would get."""
    near, far = Pipe()
    near.send(value)
    return far.recv()


def test_importing_the_package_imports_nothing_heavy():
    heavy = "torch numpy pandas sklearn matplotlib pyarrow scipy typer rich"
    code = f"import sentneuron, sys; print(sorted(set('{heavy}'.split()) & sys.modules.keys()), *dir(sentneuron))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert out.startswith("[] ")
    assert set(sentneuron.__all__) <= set(out.split())


def test_every_public_name_is_there_and_no_other():
    for name in sentneuron.__all__:
        assert getattr(sentneuron, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        sentneuron.lode  # noqa: B018


def test_the_types_travel_with_the_package():
    assert (ROOT / "sentneuron/py.typed").exists()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "py.typed" in settings["tool"]["setuptools"]["package-data"]["sentneuron"]


def test_without_a_path_it_is_the_pretrained_model_even_beside_a_transfer(make_model_file, tmp_path, monkeypatch):
    (tmp_path / "model_transfer").mkdir()
    make_model_file(name="model_transfer/classifier.pt")
    monkeypatch.chdir(tmp_path)
    model = sentneuron.load()
    assert repr(model).startswith("<SentimentModel the pretrained model: mLSTM, 1,024 units, classes 0, 1, ")
    assert model.classes == ["0", "1"]
    assert (model.training["bytes"], model.config.nhid, len(model.neurons)) == (47_996_928, 1024, 5)


@pytest.mark.parametrize("neurons", [None, 2])
def test_classify_gives_what_the_command_writes(make_model_file, tmp_path, monkeypatch, capsys, neurons):
    path = make_model_file()
    monkeypatch.chdir(tmp_path)
    with open("data.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "n"], *([text, 1] for text in TEXTS)])
    assert main(["classify", "data.csv", "--model", str(path), *(["--neurons", "2"] if neurons else [])]) == 0
    with open("data.classified.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    found = sentneuron.load(path, device="cpu").classify(TEXTS, neurons=neurons)
    assert len(found) == len(TEXTS)
    assert [row["prediction"] or None for row in rows] == found.labels.tolist()
    for name, values in (("probability", found.probabilities), ("neuron", found.neuron)):
        written = [float(row[name] or "nan") for row in rows]
        np.testing.assert_allclose(values, written, atol=1e-6)
    np.testing.assert_array_equal(np.load("data.probs.npy"), found.probabilities)
    np.testing.assert_array_equal(~np.isnan(found.probabilities), HAS_TEXT)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_features_do_not_depend_on_neighbours_order_or_batch_size(model, pooling):
    features = model.features(TEXTS, pooling=pooling)
    assert features.dtype == np.float32
    assert features.shape == (len(TEXTS), model.num_units) == (7, 12)
    np.testing.assert_array_equal(np.isnan(features).all(axis=1), np.isnan(features).any(axis=1))
    np.testing.assert_array_equal(~np.isnan(features[:, 0]), HAS_TEXT)
    for batch_size in (1, 2, 1000):
        np.testing.assert_allclose(model.features(TEXTS, pooling=pooling, batch_size=batch_size), features, atol=1e-5)
    np.testing.assert_allclose(model.features(TEXTS[::-1], pooling=pooling)[::-1], features, atol=1e-5)
    alone = np.concatenate([model.features([text], pooling=pooling) for text in TEXTS])
    np.testing.assert_allclose(alone, features, atol=1e-5)


def test_features_are_pooled_as_the_classifiers_are(make_model_file, plain):
    for pooling in ("last", "mean"):
        model = sentneuron.load(make_model_file(pooling=pooling))
        assert model.pooling == pooling
        np.testing.assert_array_equal(model.features(["fine"]), model.features(["fine"], pooling=pooling))
    assert not np.allclose(model.features(["fine"], pooling="last"), model.features(["fine"], pooling="mean"))
    np.testing.assert_array_equal(plain.features(["fine"]), plain.features(["fine"], pooling="last"))


@pytest.mark.parametrize(
    "texts",
    [
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        pd.Series(TEXTS, index=[9, 9, "b", 2.5, None, -1, 0]),
        pd.Series(TEXTS, dtype="category"),
        pd.Index(TEXTS),
        [None if text == "" else text for text in TEXTS],
        [float("nan") if text == "" else text for text in TEXTS],
        pd.Series([None if text == "" else text for text in TEXTS]),
        pd.Series([pd.NA if text == "" else text for text in TEXTS], dtype="string"),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_texts_come_in_any_column(model, texts):
    expected, found = model.classify(TEXTS), model.classify(texts)
    assert found.labels.tolist() == expected.labels.tolist()
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)


def test_texts_come_from_a_generator(model):
    np.testing.assert_array_equal(model.features(text for text in TEXTS), model.features(TEXTS))


def test_no_texts_give_no_rows(model):
    assert model.features([]).shape == (0, 12)
    assert len(model.classify([])) == 0


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one text", r"texts is one str, not a list of strings; give several: \[text\]"),
        (b"bytes", "texts is one bytes"),
        (np.str_("one"), "texts is one str_"),
        (5, "texts is one int"),
        (None, "texts is one NoneType"),
        ({"text": ["a"]}, "texts is one dict"),
        (pd.DataFrame({"text": ["a"]}), "texts is one DataFrame, .* or one column of a table"),
        (np.array([["a"]]), "texts is one ndarray"),
        (["a", 5], r"texts\[1\] is of type int; give strings, None for no text"),
        (["a", ["b"]], r"texts\[1\] is of type list"),
        (pd.Series([1.5, 2.5]), r"texts\[0\] is of type float"),
    ],
)
def test_what_is_no_column_of_texts_is_refused(model, texts, message):
    for method in (model.features, model.classify):
        with pytest.raises(sentneuron.UsageError, match=message):
            method(texts)


def test_several_classes_give_a_probability_each(make_model_file):
    found = sentneuron.load(make_model_file(("a", "b", "c"))).classify(TEXTS)
    assert found.probabilities.shape == (7, 3)
    np.testing.assert_allclose(found.probabilities[HAS_TEXT].sum(axis=1), 1, rtol=1e-5)
    likeliest = found.probabilities[HAS_TEXT].argmax(axis=1)
    assert found.labels[HAS_TEXT].tolist() == [found.classes[number] for number in likeliest]
    assert found.labels[2] is None


def test_labels_that_hold_together_come_as_tuples(make_model_file):
    found = sentneuron.load(make_model_file(("joy", "anger"), multi_label=True)).classify(TEXTS)
    assert found.probabilities.shape == (7, 2)
    for label, probabilities in zip(found.labels, found.probabilities, strict=True):
        named = tuple(name for name, value in zip(("joy", "anger"), probabilities, strict=True) if value > 0.5)
        assert label == (None if np.isnan(probabilities[0]) else named)


def test_a_classifier_on_all_layers_has_the_features_of_all(make_model_file):
    model = sentneuron.load(make_model_file(nlayers=2))
    assert model.num_units == model.features(["fine"]).shape[1] == 24
    assert not np.isnan(model.classify(["fine"]).probabilities).any()
    assert not np.array_equal(model.trace("fine", neuron=4), model.trace("fine", neuron=16))


def test_the_chunk_size_does_not_show(model, monkeypatch):
    whole = model.classify(TEXTS)
    monkeypatch.setattr(interface, "TEXTS_AT_ONCE", 2)
    parts = model.classify(TEXTS)
    assert parts.labels.tolist() == whole.labels.tolist()
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=1e-5)


@pytest.mark.parametrize(
    "text",
    ["I loved it.", "Crème 😀 brûlée", "a <br/> b &amp;amp; c", "two  spaces", " in front and behind \n", "日本\ud800"],
)
def test_a_trace_is_what_the_heatmap_shows(make_model_file, text):
    path = make_model_file()
    model, saved = sentneuron.load(path), load_model(path)
    for neuron in (None, 3, "all"):
        shown = generate(saved, GenerateConfig(text=text, heatmap=True, neuron=neuron)).samples[0]
        found = model.trace(text, neuron)
        assert len(found) == len(text)
        np.testing.assert_array_equal(found, np.array(shown.values, np.float32))


@pytest.mark.parametrize("text", ["", " ", "😀", "<br>"])
def test_a_trace_has_a_value_for_every_character_even_where_no_text_is(model, text):
    assert model.trace(text).shape == (len(text),)
    assert np.isfinite(model.trace(text)).all()


def test_generate_writes_what_the_command_writes(make_model_file):
    path = make_model_file()
    model, saved = sentneuron.load(path), load_model(path)
    settings = {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "seed": 5}
    text = model.generate("I loved", 30, **settings)
    assert text == generate(saved, GenerateConfig(text="I loved", gen_length=30, **settings)).samples[0].text
    assert text.startswith("I loved")
    assert model.generate("I loved", 30, **settings) == text != model.generate("I loved", 30, **settings | {"seed": 6})
    samples = model.generate("I loved", 30, **settings, num_samples=3)
    assert len(samples) == len(set(samples)) == 3
    assert model.generate("I loved", 0) == "I loved"


@pytest.mark.parametrize(
    ("overwrite", "words"), [(1.0, "1.0"), (-2, "-2"), (0, "0"), ({3: 5, 7: -0.5}, "3=5,7=-0.5"), ({}, None)]
)
def test_overwriting_pins_what_the_command_pins(make_model_file, overwrite, words):
    path = make_model_file()
    config = GenerateConfig(text="It", gen_length=40, overwrite=words)
    found = sentneuron.load(path).generate("It", 40, overwrite=overwrite)
    assert found == generate(load_model(path), config).samples[0].text


def test_a_language_model_alone_does_all_but_classify(plain):
    assert (plain.classes, plain.neurons, plain.sentiment_neuron) == ([], [], None)
    assert plain.features(["fine"]).shape == (1, 12)
    assert plain.trace("fine", neuron=3).shape == (4,)
    assert len(plain.generate("fine", 5, overwrite=1.0, neuron=3)) >= 5
    assert repr(plain).endswith("model.pt: mLSTM, 12 units, fp32 on cpu>")
    with pytest.raises(sentneuron.DataError, match=r"model.pt is a language model without a classifier; make one with"):
        plain.classify(["fine"])
    with pytest.raises(sentneuron.UsageError, match=r"without a sentiment neuron; name one with neuron=I"):
        plain.trace("fine")


def test_the_known_neuron_of_a_published_model_is_traced(make_model_file):
    path = make_model_file(())
    save_model(path, replace(load_model(path), training={"sentiment_neuron": 5}))
    model = sentneuron.load(path, device="cpu")
    assert model.sentiment_neuron == 5
    np.testing.assert_array_equal(model.trace("fine"), model.trace("fine", neuron=5))
    assert model.generate("a", 9, overwrite=1.0) == model.generate("a", 9, overwrite={5: 1.0})


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model.features(["a"], pooling="max"),
        lambda model: model.features(["a"], batch_size=0),
        lambda model: model.classify(["a"], neurons=3),
        lambda model: model.trace("a", neuron=12),
        lambda model: model.trace(["a"]),
        lambda model: model.generate("a", -1),
        lambda model: model.generate(None, 5),
        lambda model: model.generate("a", 5, temperature=-1),
        lambda model: model.generate("a", 5, overwrite=float("nan")),
        lambda model: model.generate("a", 5, overwrite={12: 1.0}),
        lambda model: model.generate("a", 0, overwrite=1.0),
        lambda model: model.generate("a", 5, num_samples=0),
    ],
)
def test_a_setting_out_of_range_is_the_packages_own_error(model, call):
    with pytest.raises(sentneuron.UsageError):
        call(model)


def test_a_file_that_is_not_there_or_no_model_is_the_packages_own_error(tmp_path):
    with pytest.raises(sentneuron.InputNotFoundError, match=r"gone\.pt"):
        sentneuron.load(tmp_path / "gone.pt")
    (tmp_path / "bad.pt").write_text("no model")
    with pytest.raises(sentneuron.SentneuronError, match=r"bad\.pt"):
        sentneuron.load(tmp_path / "bad.pt")
    with pytest.raises(sentneuron.UsageError, match="--device tpu"):
        sentneuron.load(device="tpu")


def test_calls_from_several_threads_do_not_mix(model):
    def ask(number):
        if number % 3 == 0:
            return model.generate("It", 10, seed=number, overwrite=2.0)
        if number % 3 == 1:
            return model.trace(TEXTS[1]).tolist()
        return model.features(TEXTS[3 : 4 + number % 2], pooling="last").tolist()

    alone = [ask(number) for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(12))) == alone


def test_a_pickled_model_is_read_again_and_must_be_the_same(make_model_file):
    path = make_model_file()
    model = sentneuron.load(path, precision="bf16")
    again = through_a_pipe(model)
    assert repr(again) == repr(model)
    assert again is not model
    np.testing.assert_array_equal(again.features(TEXTS), model.features(TEXTS))
    assert copy.deepcopy(model) is model
    make_model_file(seed=4)
    with pytest.raises(sentneuron.DataError, match="is not the model that was pickled"):
        through_a_pipe(model)


def test_another_classifier_on_the_same_weights_is_another_model(make_model_file):
    prints = {sentneuron.load(make_model_file(pooling=pooling)).fingerprint for pooling in ("last", "mean", "last")}
    assert len(prints) == 2
