"""What the tables and values of docs/reproduction.md say, each a function from the figures to Markdown."""

import math
from collections.abc import Callable
from typing import Any

from cells import error, megabytes, minutes, percent, table
from pieces import Figures

POOLINGS = {"last": "final state", "mean": "mean"}
# Source: Radford et al. 2017, arXiv:1704.01444; NVIDIA sentiment-discovery, its published table of sizes.
PUBLISHED = (
    ("OpenAI, 4,096 units, 82 M Amazon reviews", 8.2, None, 7.1, 7.7),
    ("NVIDIA, 1,024 units, Amazon", 18.2, 18.8, 23.8, 26.6),
    ("NVIDIA, 4,096 units, Amazon", 8.2, 13.3, 7.2, 7.9),
    ("NVIDIA, 8,192 units, Amazon", 6.3, 8.8, 5.2, 6.6),
)
"""Errors in percent: SST with all neurons and with one, IMDB with all and with one."""


def sizes(figures: Figures) -> str:
    """Render the language models."""
    header = ("", "parameters", "trained on", "epochs", "minutes", "bytes/s", "valid", "test")
    return table(header, [model_row(f"mLSTM, {one['nhid']:,} units", one) for one in figures["models"]])


def model_row(name: str, model: dict[str, Any]) -> tuple[str, ...]:
    """Return a language model's cells."""
    return (
        name,
        f"{model['parameters']:,}",
        megabytes(model["bytes"]),
        f"{model['epochs']:.3f}",
        minutes(model["seconds"]),
        f"{model['bytes'] / model['seconds']:,.0f}",
        f"{model['valid_bits_per_byte']:.4f}",
        f"{model['test_bits_per_byte']:.4f}",
    )


def lstm(figures: Figures) -> str:
    """Render the mLSTM and the LSTM of equal parameters."""
    beside = next(one for one in figures["models"] if one["nhid"] == figures["settings"]["beside_lstm"])
    header = ("", "parameters", "trained on", "epochs", "minutes", "bytes/s", "valid", "test")
    named = [(f"{one['cell']}, {one['nhid']:,} units", one) for one in (beside, figures["lstm"])]
    return table(header, [model_row(name, one) for name, one in named])


def precision(figures: Figures) -> str:
    """Render the precisions."""
    runs = figures["precision"]
    exact = runs[0]["final_valid_bits_per_byte"]
    rows = [
        (
            run["run"],
            f"{run['final_valid_bits_per_byte']:.4f}",
            f"{100 * (run['final_valid_bits_per_byte'] / exact - 1):+.2f} %",
        )
        for run in runs
    ]
    return table(("", "bits per byte, held out", "against fp32"), rows)


def errors(figures: Figures) -> str:
    """Render the errors on both tasks by size, with the baselines, and the published ones."""
    header = ("error", "SST, all neurons", "SST, one", "IMDB held out, all neurons", "IMDB held out, one")
    rows = []
    for row in figures["sizes"]:
        for pooling, name in POOLINGS.items():
            scores = [row[task][pooling][key] for task in ("sst", "imdb") for key in ("test", "test_one_neuron")]
            rows.append((f"{called(row)}, {name}", *map(error, scores)))
    for key, name in (("tfidf_logistic_regression", "TF-IDF, logistic regression"), ("vader", "VADER")):
        scores = [figures["baselines"][task].get(key) for task in ("sst", "imdb")]
        shown = ["package not installed" if score is None else error(score) for score in scores]
        rows.append((name, shown[0], "", shown[1], ""))
    for published, *values in PUBLISHED:
        rows.append((f"published: {published}", *("" if value is None else f"{value:.1f} %" for value in values)))
    return table(header, rows)


def progress(figures: Figures) -> str:
    """Render the accuracy along the training."""
    header = ["steps", "trained on"]
    header += [f"{kind}, {name}" for name in POOLINGS.values() for kind in ("all neurons", "one neuron")]
    rows = []
    for mark in figures["marks"]:
        scores = [mark["scores"][pooling][key] for pooling in POOLINGS for key in ("test", "test_one_neuron")]
        rows.append((f"{mark['steps']:,}", megabytes(mark["bytes"]), *map(percent, scores)))
    return table(header, rows)


def labels(figures: Figures) -> str:
    """Render the largest model's accuracy on SST against the number of labels."""
    scores = figures["sizes"][-1]["sst"]
    rows = [
        (
            f"{point['labels']:,}",
            str(point["draws"]),
            *(f"{percent(point[key]['mean'])} ± {100 * point[key]['std']:.1f}" for key in ("all_neurons", "neurons")),
        )
        for point in scores[pooling_of(scores)]["label_efficiency"]
    ]
    return table(("labels", "draws", "all neurons", "one neuron"), rows)


def compression(figures: Figures) -> str:
    """Render the bits per byte of models and compressors."""
    found = figures["compression"]
    largest, shipped, ngram, primed = (found[name] for name in ("largest", "shipped", "ngram", "xz_primed"))
    trained = megabytes(found["trained_bytes"])
    where = "" if shipped["same_split"] else "; it may have read this text in training"
    rows = [
        (f"mLSTM, {largest['nhid']:,} units", trained, f"{largest['bits_per_byte']:.3f}"),
        (
            f"the shipped model, {shipped['nhid']:,} units{where}",
            megabytes(shipped["trained_bytes"]),
            f"{shipped['bits_per_byte']:.3f}",
        ),
        (f"byte {ngram['order']}-gram model", trained, f"{ngram['bits_per_byte']:.3f}"),
        ("xz -9 after training text", megabytes(primed["training_bytes"]), f"{primed['bits_per_byte']:.3f}"),
        ("xz -9", "nothing", f"{found['xz']:.3f}"),
        ("gzip -9", "nothing", f"{found['gzip']:.3f}"),
    ]
    return table(("", "has read", "bits per byte"), rows)


def finetuned(figures: Figures) -> str:
    """Render the largest model fine-tuned beside frozen."""
    rows = []
    for task, name in (("sst", "SST"), ("imdb", "IMDB, held out")):
        found = figures["finetuned"][task]
        base = found["baselines"]
        rows.append(
            (
                name,
                f"{found['rows']['train']:,}",
                percent(found["frozen"]["all_neurons"]),
                percent(found["finetuned"]["all_neurons"]),
                percent(base["tfidf_logistic_regression"]),
                minutes(found["seconds"]["finetuning"]),
            )
        )
    return table(("accuracy", "training texts", "frozen", "fine-tuned", "TF-IDF", "minutes"), rows)


def steering(figures: Figures) -> str:
    """Render how many texts are called positive with neurons pinned either way."""
    found = figures["steering"]
    rows = [(f"nothing (of {found['free']['texts']})", percent(found["free"]["called_positive"]), "", "", "")]
    for name, run in found["runs"].items():
        sides = [run[side] for side in ("positive", "negative")]
        shares = [percent(side["called_positive"]) for side in sides]
        bits = " and ".join(f"{side['bits_per_byte']:.2f}" for side in sides)
        rows.append((name, *shares, f"{run['points']:+.0f}", bits))
    header = ("pinned", "called positive, pinned positive", "pinned negative", "points", "bits per byte")
    return table(header, rows)


def samples(figures: Figures) -> str:
    """Render a text of each side, of the last setting."""
    name, run = list(figures["steering"]["runs"].items())[-1]
    texts = {side: " ".join(run[side]["samples"][0].split()) for side in ("positive", "negative")}
    return "\n\n".join(f"`{name}`, pinned {side}:\n\n```text\n{text}\n```" for side, text in texts.items())


def targets(figures: Figures) -> str:
    """Render what was aimed at on two cores, and what was reached."""
    rows = []
    for task, name, aim in (("sst", "SST test", 0.76), ("imdb", "IMDB, held out", 0.84)):
        candidates = [
            (row[task][pooling]["test"], f"{called(row)}, {POOLINGS[pooling]}")
            for row in figures["sizes"]
            for pooling in POOLINGS
        ]
        candidates.append((figures["finetuned"][task]["finetuned"]["all_neurons"], "fine-tuned"))
        reached, how = max(candidates)
        short = "reached" if reached >= aim else f"short by {100 * (aim - reached):.1f} points"
        rows.append((name, percent(aim), percent(reached), how, short))
    return table(("", "aim on two cores", "best of pooling and fine-tuning", "by", ""), rows)


def stages(figures: Figures) -> str:
    """Render how long each stage took."""
    rows = [(f"`{name}`", f"{stage['seconds']:,.0f}") for name, stage in figures["stages"].items()]
    return table(("stage", "seconds"), [*rows, ("together", f"{figures['seconds']:,.0f}")])


def machine(figures: Figures) -> str:
    """Render where the figures come from."""
    where = figures["machine"]
    gpu = where["gpu"] or "none"
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    return table(
        ("", ""),
        [
            ("scale", f"`{figures['scale']}`"),
            ("processor", f"{where['processor']}, {where['cores']} cores"),
            ("threads", str(where["threads"])),
            ("GPU", gpu),
            ("precision of the language models", figures["settings"]["model_precision"]),
            ("versions", versions),
            ("seed", str(figures["settings"]["seed"])),
            ("minutes, all stages", minutes(figures["seconds"])),
        ],
    )


def called(row: dict[str, Any]) -> str:
    """Name the model of a row of scores."""
    return f"{row['nhid']:,} units"


def pooling_of(scores: dict[str, Any]) -> str:
    """Return the pooling that is better on the validation part; of equals the paper's."""
    return max(POOLINGS, key=lambda pooling: scores[pooling]["valid"])


TABLES: dict[str, Callable[[Figures], str]] = {
    function.__name__: function
    for function in (
        sizes, lstm, precision, errors, progress, labels, compression, finetuned, steering, samples, targets, stages,
        machine,
    )
}  # fmt: skip

VALUES: dict[str, Callable[[Figures], str]] = {
    "scale": lambda figures: figures["scale"],
    "largest": lambda figures: f"{figures['models'][-1]['nhid']:,} units",
    "minutes": lambda figures: minutes(figures["seconds"]),
    "held-out": lambda figures: f"{figures['compression']['bytes'] / 1e3:,.0f} kB",
    "ngram-memory": lambda figures: megabytes(figures["compression"]["ngram"]["memory_bytes"]),
    "ngram-seconds": lambda figures: f"{figures['compression']['ngram']['seconds']:,.1f}",
    "imdb-texts": lambda figures: f"{sum(figures['sizes'][-1]['imdb']['rows'].values()):,}",
    "imdb-train": lambda figures: f"{figures['sizes'][-1]['imdb']['rows']['train']:,}",
    "imdb-test": lambda figures: f"{figures['sizes'][-1]['imdb']['rows']['test']:,}",
    "label-pooling": lambda figures: POOLINGS[pooling_of(figures["sizes"][-1]["sst"])],
    "histogram-pooling": lambda figures: POOLINGS[pooling_of(figures["sizes"][-1]["imdb"])],
    "steering-error": lambda figures: f"{100 * math.sqrt(0.5 / figures['steering']['free']['texts']):.0f}",
    "finetune-epochs": lambda figures: str(figures["finetuned"]["sst"]["epochs"]),
    "vader": lambda figures: "ran" if "vader" in figures["baselines"]["sst"] else "was missing",
}
