"""What a user would take instead, on the same texts: TF-IDF with logistic regression, and VADER.

VADER is a package of its own (`pip install vaderSentiment`); where it is missing its figure is, too.
"""

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from sentneuron.core.data.examples import Example

Parts = dict[str, list[Example]]

STRENGTHS = (1.0, 4.0, 16.0, 64.0)
"""Of C; the one that is best on the validation part is taken, of equals the smallest."""


def take(examples: list[Example], count: int) -> list[Example]:
    """Return `count` examples, chosen by a hash of their text."""
    return sorted(examples, key=lambda example: hashlib.sha256(example.clean).digest())[:count]


def truth_of(examples: list[Example], classes: list[str]) -> NDArray[np.int64]:
    """Return the examples' class numbers."""
    return np.array([classes.index(example.label) for example in examples])


def baselines(parts: Parts, classes: list[str]) -> dict[str, float]:
    """Return the test accuracy of each, VADER where it is installed; its score of 0 counts as positive."""
    texts = [example.text for example in parts["test"]]
    truth = truth_of(parts["test"], classes)
    scores = {"tfidf_logistic_regression": float((fit_tfidf(parts, classes).predict(texts) == truth).mean())}
    rule = vader()
    if rule is not None:
        called = np.array([rule(text) >= 0 for text in texts])
        scores["vader"] = float((called == (truth == 1)).mean())
    return scores


def fit_tfidf(parts: Parts, classes: list[str]) -> Pipeline:
    """Fit TF-IDF of words and pairs with logistic regression on the training part, C chosen on the validation part;
    return what tells texts' class numbers."""
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    train = vectors.fit_transform([example.text for example in parts["train"]])
    valid = vectors.transform([example.text for example in parts["valid"]])
    train_truth, valid_truth = (truth_of(parts[part], classes) for part in ("train", "valid"))
    models = [
        LogisticRegression(C=strength, solver="liblinear").fit(train, train_truth)  # the default solver: 8 times slower
        for strength in STRENGTHS
    ]
    return make_pipeline(vectors, max(models, key=lambda model: model.score(valid, valid_truth)))


def vader() -> Callable[[str], float] | None:
    """VADER's compound score, where the package is installed."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        return None
    analyzer = SentimentIntensityAnalyzer()
    return lambda text: analyzer.polarity_scores(text)["compound"]
