"""The shipped classifier, TF-IDF fitted to the same labels, and VADER, on sentences of fields unknown to all three."""

from pathlib import Path
from typing import Any

import numpy as np
from baselines import Parts, fit_tfidf, vader

from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.transfer.classifier import Classifier

SHORT = 5
"""Words that a short sentence has at most."""


def score_fields(folder: Path, parts: Parts, classes: list[str]) -> dict[str, Any]:
    """Return the accuracies on each NAME.txt of a folder and on all of them, a sentence, a tab, and 0 or 1 on a line.

    TF-IDF is fitted to `parts`. VADER is scored with ties called positive and with ties called negative.
    """
    classifier = Classifier.load(PRETRAINED)
    words, rule = fit_tfidf(parts, classes), vader()
    rows = []
    for path in sorted(folder.glob("*.txt")):
        lines = [line.rsplit("\t", 1) for line in path.read_text("utf-8").splitlines() if line.strip()]
        sentences = [sentence for sentence, _ in lines]
        said = classifier.score(sentences).probabilities[:, 1] >= 0.5
        by_words = words.predict(sentences) == 1
        for place, (sentence, label) in enumerate(lines):
            is_short = len(sentence.split()) <= SHORT
            calls = {"shipped": bool(said[place]), "tfidf_logistic_regression": bool(by_words[place])}
            if rule is not None:
                score = rule(sentence)
                calls |= {"vader": score >= 0, "vader_ties_negative": score > 0}
            rows.append((path.stem, is_short, {who: call == (label == "1") for who, call in calls.items()}))
    names = sorted({field for field, _, _ in rows})
    chosen = {name: [row for row in rows if row[0] == name] for name in names} | {"all": rows}
    chosen["short"] = [row for row in rows if row[1]]
    return {
        name: {"sentences": len(some)} | {who: float(np.mean([row[2][who] for row in some])) for who in some[0][2]}
        for name, some in chosen.items()
    }
