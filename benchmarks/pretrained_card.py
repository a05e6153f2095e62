"""The measured numbers of the shipped model's card, the README and the guide (`pieces`), from pretrained.json.

    python benchmarks/pretrained_card.py

`pretrained.py` calls it when it has measured.
"""

import json
from pathlib import Path

from cells import megabytes, percent, table
from measuring import RESULTS
from pieces import Figures, rendered

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "sentneuron" / "pretrained" / "README.md", ROOT / "README.md", ROOT / "docs" / "guide.md")
FIELDS = {
    "phones": "phones",
    "restaurants": "restaurants",
    "films": "films",
    "all": "all of them",
    "short": "those of five words or fewer",
}


def figures() -> Figures:
    """Return what was measured."""
    return json.loads((RESULTS / "pretrained.json").read_text("utf-8"))


def filled(page: str, found: Figures) -> str:
    """Return a page with what the figures say."""
    return rendered(page, found, tables=TABLES, values=VALUES)


def accuracy(found: Figures) -> str:
    """Render the accuracies on SST and IMDB."""
    shipped, before, rivals = found["shipped"], found["language_model"], found["rivals"]
    texts = [shipped[name]["all_neurons"]["test"]["texts"] for name in ("sst", "imdb")]

    def row(name: str, sst: float, imdb: float) -> tuple[str, str, str]:
        return name, percent(sst), percent(imdb)

    def ours(probe: str) -> list[float]:
        return [shipped[name][probe]["test"]["accuracy"] for name in ("sst", "imdb")]

    def probes(pooling: str, score: str) -> list[float]:
        return [before[name][pooling][score] for name in ("sst", "imdb")]

    rows = [
        row("**as shipped**: fine-tuned, mean over the text", *ours("all_neurons")),
        row("as shipped, five neurons", *ours("five_neurons")),
        row("before: mean over the text, all neurons", *probes("mean", "test")),
        row("before: final state, all neurons", *probes("last", "test")),
        row("before: mean over the text, one neuron", *probes("mean", "test_one_neuron")),
        row("before: final state, one neuron", *probes("last", "test_one_neuron")),
        row(
            "TF-IDF with logistic regression", *(rivals[name]["tfidf_logistic_regression"] for name in ("sst", "imdb"))
        ),
        row("VADER", *(rivals[name]["vader"] for name in ("sst", "imdb"))),
    ]
    return table(("accuracy", f"SST test ({texts[0]:,})", f"IMDB, held-out training texts ({texts[1]:,})"), rows)


def fields(found: Figures) -> str:
    """Render the accuracies on sentences of other fields."""
    scored = found["shipped"]["fields"]
    methods = {
        "shipped": "as shipped",
        "tfidf_logistic_regression": "TF-IDF",
        "vader": "VADER",
        "vader_ties_negative": "VADER, 0 as negative",
    }
    rows = [
        (title, f"{scored[name]['sentences']}", *(percent(scored[name][method]) for method in methods))
        for name, title in FIELDS.items()
    ]
    return table(("", "sentences", *methods.values()), rows)


def calibration(found: Figures) -> str:
    """Render what 0.5 costs against the best threshold, and how good the probabilities are."""
    rows = []
    for name, title in (("sst", "SST"), ("imdb", "IMDB")):
        for part in ("valid", "test"):
            one = found["shipped"][name]["all_neurons"][part]
            rows.append(
                (
                    f"{title}, {part}",
                    f"{one['texts']:,}",
                    percent(one["accuracy"]),
                    percent(one["best_accuracy"]),
                    f"{one['best_threshold']:.2f}",
                    f"{one['brier']:.3f}",
                    f"{one['calibration_error']:.3f}",
                )
            )
    header = ("", "texts", "accuracy at 0.5", "at the best threshold", "which is", "Brier score", "calibration error")
    return table(header, rows)


def bits(found: Figures) -> str:
    """Render the bits per byte."""
    one = found["bits_per_byte"]
    trained = megabytes(found["training"]["bytes"])
    given = megabytes(one["training_bytes"])
    rows = [
        ("the language model, before it was fine-tuned", trained, f"{one['language_model']:.3f}"),
        ("as shipped", f"{trained}, and the labelled texts", f"{one['shipped']:.3f}"),
        (f"{one['ngram']['order']}-gram of bytes, Witten-Bell", given, f"{one['ngram']['bits_per_byte']:.3f}"),
        ("xz -9, after training text", given, f"{one['xz_primed']['bits_per_byte']:.3f}"),
        ("xz -9", "", f"{one['xz']:.3f}"),
        ("gzip -9", "", f"{one['gzip']:.3f}"),
    ]
    return table(("", "has read", "bits per byte"), rows)


def curve(found: Figures) -> str:
    """Render the validations along both legs of the fine-tuning."""
    rows = []
    for number, leg in enumerate(found["legs"], 1):
        for point in leg["finetuning"]["curve"]:
            learnt = (f"{point['loss']:.3f}", f"{point['bits_per_byte']:.3f}") if "loss" in point else ("", "")
            rows.append((f"{number}", f"{point['epoch']:.1f}", *learnt, percent(point["valid_accuracy"])))
    return table(("leg", "epoch", "loss of the classes", "bits per byte", "accuracy, validation"), rows)


def _shipped(found: Figures, name: str) -> float:
    return found["shipped"][name]["all_neurons"]["test"]["accuracy"]


TABLES = {"accuracy": accuracy, "fields": fields, "calibration": calibration, "bits": bits, "curve": curve}
VALUES = {
    "leg-frozen": lambda found: percent(found["legs"][0]["frozen"]["all_neurons"]["test"]["accuracy"]),
    "leg-tuned": lambda found: percent(found["legs"][0]["all_neurons"]["test"]["accuracy"]),
    "leg-minutes": lambda found: f"{found['legs'][0]['seconds']['finetuning'] / 60:.0f} minutes",
    "sst": lambda found: percent(_shipped(found, "sst")),
    "imdb": lambda found: percent(_shipped(found, "imdb")),
    "sst-tfidf": lambda found: percent(found["rivals"]["sst"]["tfidf_logistic_regression"]),
    "imdb-tfidf": lambda found: percent(found["rivals"]["imdb"]["tfidf_logistic_regression"]),
    "sst-vader": lambda found: percent(found["rivals"]["sst"]["vader"]),
    "imdb-vader": lambda found: percent(found["rivals"]["imdb"]["vader"]),
    "fields": lambda found: percent(found["shipped"]["fields"]["all"]["shipped"]),
    "fields-vader": lambda found: percent(found["shipped"]["fields"]["all"]["vader"]),
    "bits": lambda found: f"{found['bits_per_byte']['shipped']:.3f}",
    "file": lambda found: megabytes(found["shipped"]["file_bytes"]),
    "read": lambda found: megabytes(found["training"]["bytes"]),
    "hours": lambda found: f"{found['training']['seconds'] / 3600:.1f} hours",
    "minutes": lambda found: f"{sum(leg['seconds']['finetuning'] for leg in found['legs']) / 60:.0f} minutes",
}


def main() -> None:
    """Write the pages anew."""
    for path in PAGES:
        path.write_text(filled(path.read_text("utf-8"), figures()), encoding="utf-8")


if __name__ == "__main__":
    main()
