"""What a user would take instead, on the same texts: TF-IDF with logistic regression, and VADER.

VADER is a package of its own (`pip install vaderSentiment`); where it is missing its figure is, too.
"""

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

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
    texts = {part: [example.text for example in examples] for part, examples in parts.items()}
    truth = {part: truth_of(examples, classes) for part, examples in parts.items()}
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    x = {part: (vectors.fit_transform if part == "train" else vectors.transform)(texts[part]) for part in parts}
    best_valid, test = -1.0, 0.0
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000).fit(x["train"], truth["train"])
        valid = model.score(x["valid"], truth["valid"])
        if valid > best_valid:
            best_valid, test = valid, model.score(x["test"], truth["test"])
    scores = {"tfidf_logistic_regression": test}
    rule = vader()
    if rule is not None:
        called = np.array([rule(text) >= 0 for text in texts["test"]])
        scores["vader"] = float((called == (truth["test"] == 1)).mean())
    return scores


def vader() -> Callable[[str], float] | None:
    """VADER's compound score, where the package is installed."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        return None
    analyzer = SentimentIntensityAnalyzer()
    return lambda text: analyzer.polarity_scores(text)["compound"]
