"""Scores as rows of a table: what `transfer` and `classify` say of texts with labels."""

from typing import Any


def decimals(value: float | None) -> str:
    """Return an F1, an area or an index with four decimals; a dash where there is none."""
    return "-" if value is None else f"{value:.4f}"


def summary_rows(scores: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the name and value of each figure beside the accuracy: of exclusive classes, or of several labels."""
    if "labels" not in scores:
        figures = [("F1", "f1"), ("AUC", "auc")]
        commonest = "commonest class"
    else:
        figures = [("F1, mean of labels", "f1"), ("F1, all decisions", "f1_micro"), ("Jaccard index", "jaccard")]
        figures.append(("AUC, mean of labels", "auc"))
        commonest = "commonest values"
    rows = [(name, decimals(scores[key])) for name, key in figures]
    return [*rows, (commonest, f"{scores['majority_share']:.2%}")]


def label_rows(scores: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for each of several labels: name, share of texts that have it, accuracy, F1, AUC."""
    rows: list[tuple[str, ...]] = []
    for name, own in scores["labels"].items():
        share = sum(own["confusion"][1]) / scores["rows"]
        rows.append((name, f"{share:.1%}", f"{own['accuracy']:.2%}", decimals(own["f1"]), decimals(own["auc"])))
    return rows


LABEL_HEADER = ("label", "share", "accuracy", "F1", "AUC")
