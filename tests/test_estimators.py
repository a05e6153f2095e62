import os
import pickle
from multiprocessing import Pipe

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

import sentneuron
from sentneuron import SentimentNeuronClassifier, SentimentNeuronFeaturizer, interface
from sentneuron.core.transfer.probe import fit_probe

TEXTS = [f"{word * number}." for number in range(1, 13) for word in ("a", "Z")]
LABELS = ["low", "high"] * 12


@pytest.fixture
def path(make_model_file):
    return make_model_file()


@pytest.fixture
def num_read(monkeypatch):
    """Texts whose features were computed so far."""
    texts = []
    featurize = interface.featurize

    def counting(runner, given, **options):
        texts.extend(given)
        return featurize(runner, given, **options)

    monkeypatch.setattr(interface, "featurize", counting)
    return lambda: len(texts)


def through_a_pipe(value):
    """What another process would get."""
    near, far = Pipe()
    near.send(value)
    return far.recv()


def as_texts(table):
    """A row of numbers in letters, the more the greater: a text from which they can be read."""
    sizes = np.clip(np.asarray(table) * 5 + 10, 1, 20).astype(int)
    return [" ".join(chr(97 + column % 26) * size for column, size in enumerate(row)) for row in sizes]


class TakesATable:
    """Lets scikit-learn's checks, which have no texts to give, reach an estimator of texts with their tables."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.allow_nan = False
        tags.input_tags.two_d_array = True
        return tags


class TableFeaturizer(TakesATable, SentimentNeuronFeaturizer):
    def fit(self, X, y=None):
        return super().fit(as_texts(validate_data(self, X)))

    def transform(self, X):
        return super().transform(as_texts(validate_data(self, X, reset=False)))


class TableClassifier(TakesATable, SentimentNeuronClassifier):
    def fit(self, X, y):
        X, y = validate_data(self, X, y)
        return super().fit(as_texts(X), y)

    def predict_proba(self, X):
        check_is_fitted(self)
        return super().predict_proba(as_texts(validate_data(self, X, reset=False)))

    def decision_function(self, X):
        check_is_fitted(self)
        return super().decision_function(as_texts(validate_data(self, X, reset=False)))


def checked(estimator):
    """The names of scikit-learn's checks by what became of them."""
    names = {"passed": set(), "skipped": set()}
    for result in check_estimator(estimator, on_skip=None):
        names[result["status"]].add(result["check_name"])
    return names


@pytest.mark.parametrize("kind", [SentimentNeuronFeaturizer, SentimentNeuronClassifier])
def test_check_estimator_passes_and_knows_that_it_has_no_texts(kind, path):
    with pytest.warns(match="Can't test estimator"):
        assert "check_estimator_cloneable" in checked(kind(path))["passed"]


@pytest.mark.slow
def test_check_estimator_passes_whole_once_its_tables_are_texts(path):
    names = checked(TableFeaturizer(path))
    assert names["skipped"] == {"check_array_api_input"}  # wants a setting of scipy's; needs no array API
    assert len(names["passed"]) > 35
    assert "check_methods_subset_invariance" in names["passed"]


@pytest.mark.slow
def test_check_estimator_passes_whole_for_the_classifier_too(path):
    names = checked(TableClassifier(path, pooling="mean", C=1.0))
    assert names["skipped"] == {"check_array_api_input"}
    assert len(names["passed"]) > 40
    assert {"check_classifiers_train", "check_fit_idempotent", "check_estimators_pickle"} <= names["passed"]


def test_the_featurizer_gives_the_models_features(path):
    model = sentneuron.load(path)
    for pooling in (None, "last", "mean"):
        found = SentimentNeuronFeaturizer(path, pooling=pooling, batch_size=3).transform(TEXTS)
        np.testing.assert_allclose(found, model.features(TEXTS, pooling=pooling), atol=1e-5)
    given = SentimentNeuronFeaturizer(model)
    np.testing.assert_array_equal(given.fit_transform(text for text in TEXTS), model.features(TEXTS))
    assert given.get_feature_names_out().tolist() == [f"neuron_{unit}" for unit in range(12)]


def test_the_features_of_a_text_with_nothing_in_it_are_nan(path):
    features = SentimentNeuronFeaturizer(path).transform(["fine", " ", None])
    assert np.isnan(features).all(axis=1).tolist() == [False, True, True]


def test_a_data_frame_comes_out_where_it_is_asked_for_with_its_index(path):
    texts = pd.Series(TEXTS, index=[f"row {number}" for number in range(len(TEXTS))])
    frame = SentimentNeuronFeaturizer(path).set_output(transform="pandas").fit_transform(texts)
    assert frame.index.tolist() == texts.index.tolist()
    assert frame.columns[3] == "neuron_3"


def test_a_column_of_a_table_becomes_features_beside_other_columns(path):
    frame = pd.DataFrame({"text": TEXTS, "stars": range(len(TEXTS))})
    both = ColumnTransformer([("text", SentimentNeuronFeaturizer(path), "text"), ("stars", "passthrough", ["stars"])])
    assert both.fit_transform(frame).shape == (len(TEXTS), 13)
    assert both.get_feature_names_out()[-2:].tolist() == ["text__neuron_11", "stars__stars"]


def test_nothing_is_read_before_it_is_needed(path):
    for kind in (SentimentNeuronFeaturizer, SentimentNeuronClassifier):
        estimator = clone(kind("no/such/model.pt", pooling="max")).set_params(device="no such device")
        assert estimator.get_params()["model"] == "no/such/model.pt"
        with pytest.raises(sentneuron.SentneuronError):
            estimator.fit(TEXTS, LABELS)
    assert SentimentNeuronFeaturizer(path).set_params(pooling="last").transform(TEXTS).shape == (24, 12)


def test_another_model_that_is_set_is_the_one_that_is_used(path, make_model_file):
    other = make_model_file(name="other.pt", seed=4)
    featurizer = SentimentNeuronFeaturizer(path)
    before = featurizer.transform(TEXTS)
    after = featurizer.set_params(model=other).transform(TEXTS)
    assert not np.allclose(after, before)
    np.testing.assert_array_equal(after, sentneuron.load(other).features(TEXTS))
    with pytest.raises(sentneuron.DataError, match=r"other\.pt.* is not the model that this was fitted with"):
        SentimentNeuronFeaturizer(path).fit(TEXTS).set_params(model=other).transform(TEXTS)
    refitted = SentimentNeuronFeaturizer(path).fit(TEXTS).set_params(model=other).fit(TEXTS)
    np.testing.assert_array_equal(refitted.transform(TEXTS), after)


@pytest.mark.parametrize("kind", [SentimentNeuronFeaturizer, SentimentNeuronClassifier])
def test_one_string_instead_of_several_is_refused(kind, path):
    with pytest.raises(sentneuron.UsageError, match="texts is one str"):
        kind(path).fit("one text", ["low"])
    fitted = kind(path).fit(TEXTS, LABELS)
    with pytest.raises(sentneuron.UsageError, match="texts is one DataFrame"):
        (fitted.predict if kind is SentimentNeuronClassifier else fitted.transform)(pd.DataFrame({"a": TEXTS}))


def test_the_classifier_is_the_probe_of_transfer(path):
    features = sentneuron.load(path).features(TEXTS)
    truth = np.array([label == "low" for label in LABELS]).astype(int)  # "high" sorts before "low"
    fitted = SentimentNeuronClassifier(path, C=50.0).fit(TEXTS, LABELS)
    probe = fit_probe(features, truth, features, truth, strengths=(50.0,))
    assert fitted.classes_.tolist() == ["high", "low"]
    assert fitted.C_ == 50
    np.testing.assert_allclose(fitted.coef_, probe.weight, rtol=0.02)  # liblinear draws an order
    np.testing.assert_allclose(fitted.predict_proba(TEXTS), probe.probabilities(features), atol=0.02)
    assert fitted.sentiment_neuron_ == fitted.neurons_[0] == np.abs(probe.weight[0]).argmax()
    assert fitted.score(TEXTS, LABELS) == 1
    odds = np.log(fitted.predict_proba(TEXTS)[:, 1] / fitted.predict_proba(TEXTS)[:, 0])
    np.testing.assert_allclose(fitted.decision_function(TEXTS), odds, atol=1e-6)


def test_a_few_neurons_are_the_heaviest_of_all_and_fitted_again(path):
    whole = SentimentNeuronClassifier(path, C=50.0).fit(TEXTS, LABELS)
    few = SentimentNeuronClassifier(path, C=50.0, neurons=1).fit(TEXTS, LABELS)
    assert few.neurons_ == whole.neurons_[:1]
    assert set(np.flatnonzero(few.coef_)) <= set(few.neurons_)
    assert not np.array_equal(few.coef_[:, few.neurons_], whole.coef_[:, few.neurons_])
    assert few.sentiment_neuron_ == whole.sentiment_neuron_


def test_c_is_chosen_on_a_part_and_then_all_texts_are_fitted(path):
    chosen = SentimentNeuronClassifier(path, random_state=1).fit(TEXTS, LABELS)
    given = SentimentNeuronClassifier(path, C=chosen.C_).fit(TEXTS, LABELS)
    assert chosen.C_ in [2.0**power for power in range(-8, 1)]
    np.testing.assert_allclose(chosen.coef_, given.coef_, atol=1e-6)
    again = SentimentNeuronClassifier(path, random_state=1).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(again.coef_, chosen.coef_)


def test_more_than_two_classes_have_a_row_of_weights_each(path):
    labels = np.arange(24) % 3 * 10
    fitted = SentimentNeuronClassifier(path, C=1.0).fit(pd.Series(TEXTS, index=labels), pd.Series(labels))
    assert fitted.classes_.tolist() == [0, 10, 20]
    assert fitted.coef_.shape == (3, 12)
    probabilities = fitted.predict_proba(TEXTS)
    assert probabilities.shape == fitted.decision_function(TEXTS).shape == (24, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted.predict(TEXTS), fitted.classes_[probabilities.argmax(axis=1)])


@pytest.mark.parametrize(
    ("settings", "texts", "labels", "error", "message"),
    [
        ({}, [*TEXTS[:-1], " <br> "], LABELS, sentneuron.DataError, r"texts\[23\] has no text in it; leave such"),
        ({}, TEXTS, ["low"] * 24, ValueError, "y holds one class, 'low'; two are needed"),
        ({}, TEXTS, LABELS[1:], ValueError, "inconsistent numbers of samples"),
        ({}, TEXTS, np.linspace(0, 1, 24), ValueError, "continuous"),
        ({}, TEXTS, [["low", "high"]] * 24, ValueError, "multiclass-multioutput|1d array"),
        ({}, TEXTS, ["high", *["low"] * 23], ValueError, "only 1 member"),
        ({"C": 0.0}, TEXTS, LABELS, sentneuron.UsageError, "--C is 0.0"),
        ({"neurons": 0}, TEXTS, LABELS, sentneuron.UsageError, "--neurons is 0"),
        ({"neurons": 13}, TEXTS, LABELS, sentneuron.UsageError, "--neurons is above 12"),
        ({"validation_fraction": 1}, TEXTS, LABELS, sentneuron.UsageError, "validation_fraction is 1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(path, settings, texts, labels, error, message):
    with pytest.raises(error, match=message):
        SentimentNeuronClassifier(path, **settings).fit(texts, labels)


def test_what_is_not_fitted_says_so(path):
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(SentimentNeuronClassifier(path), method)(TEXTS)


@pytest.mark.parametrize("kind", [SentimentNeuronFeaturizer, SentimentNeuronClassifier])
def test_a_pickle_keeps_the_path_and_not_the_weights(kind, path):
    fitted = make_pipeline(kind(path)).fit(TEXTS, LABELS)
    assert len(pickle.dumps(fitted)) < 4_000 < path.stat().st_size
    again = through_a_pipe(fitted)
    ask = "transform" if kind is SentimentNeuronFeaturizer else "predict_proba"
    np.testing.assert_array_equal(getattr(again, ask)(TEXTS), getattr(fitted, ask)(TEXTS))


@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_pickle_of_one_model_refuses_another(path, make_model_file, is_loaded):
    fitted = SentimentNeuronClassifier(sentneuron.load(path) if is_loaded else path, C=1.0).fit(TEXTS, LABELS)
    expected = fitted.predict_proba(TEXTS)
    make_model_file(seed=4)
    np.testing.assert_array_equal(fitted.predict_proba(TEXTS), expected)  # what is loaded stays
    with pytest.raises(sentneuron.DataError, match="is not the model that"):
        through_a_pipe(fitted).predict(TEXTS)


def test_cloning_a_loaded_model_reads_nothing_again(path):
    model = sentneuron.load(path)
    assert clone(SentimentNeuronClassifier(model)).model is model


def test_it_works_in_a_pipeline_and_under_cross_validation(path):
    pipeline = make_pipeline(SentimentNeuronFeaturizer(path), LogisticRegression(C=1000))
    assert cross_val_score(pipeline, pd.Series(TEXTS), pd.Series(LABELS), cv=2).min() > 0.9


def test_a_grid_in_a_pipeline_with_memory_computes_each_folds_features_once(path, tmp_path, num_read):
    steps = [("features", SentimentNeuronFeaturizer(path)), ("probe", LogisticRegression())]
    grid = GridSearchCV(Pipeline(steps, memory=str(tmp_path / "kept")), {"probe__C": [0.1, 1, 10]}, cv=2)
    grid.fit(TEXTS, LABELS)
    # scikit-learn keeps what is fitted, and transforms a test fold for each candidate.
    assert num_read() == 24 * (1 + 3) + 24


@pytest.mark.slow
def test_a_grid_of_classifiers_with_memory_computes_each_folds_features_once(path, tmp_path, num_read):
    classifier = SentimentNeuronClassifier(path, memory=str(tmp_path / "kept"))
    grid = GridSearchCV(classifier, {"C": [0.1, 1, 10], "neurons": [None, 1]}, cv=3).fit(TEXTS, LABELS)
    assert num_read() == 3 * (16 + 8) + 24  # of each split both parts, and all texts in the end
    without = GridSearchCV(SentimentNeuronClassifier(path), grid.param_grid, cv=3).fit(TEXTS, LABELS)
    assert without.best_params_ == grid.best_params_
    np.testing.assert_allclose(without.best_estimator_.coef_, grid.best_estimator_.coef_, atol=1e-6)


@pytest.mark.parametrize("is_pipeline", [False, True])
def test_memory_never_takes_a_replaced_model_for_the_old_one(path, tmp_path, make_model_file, is_pipeline):
    def fit():
        kept = str(tmp_path / "kept")
        if not is_pipeline:
            return SentimentNeuronClassifier(path, C=50.0, memory=kept).fit(TEXTS, LABELS).coef_
        steps = [("features", SentimentNeuronFeaturizer(path)), ("probe", LogisticRegression())]
        return Pipeline(steps, memory=kept).fit(TEXTS, LABELS)[-1].coef_

    first = fit()
    make_model_file(seed=4)
    os.utime(path, ns=(1, 1))
    assert not np.allclose(fit(), first)
