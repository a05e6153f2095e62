"""The report of a transfer as one HTML file that needs no other: tables, figures, and the most extreme texts.

Everything from users (names of classes, texts, paths) is escaped; the page's policy lets no script run and loads
nothing but the pictures that it holds itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import PurePath
from typing import Any

from sentneuron.core.config import POOLINGS
from sentneuron.core.generation.heatmap import ColourScale
from sentneuron.core.generation.neurons import spoken
from sentneuron.core.report.extreme_texts import TextGroup, group_html
from sentneuron.core.report.heatmap_html import legend
from sentneuron.core.report.markup import Picture, document, figure_html, pairs, percent, shown, table
from sentneuron.core.report.page_style import STYLE

MAX_NEURONS = 20
"""Neurons whose weights are in the table."""
PARTS = {"test": "Test", "folds": "Cross-validation", "valid": "Validation", "train": "Training"}
WHERE = {
    "test": "the test part",
    "folds": "cross-validation",
    "valid": "the validation part",
    "train": "the training part",
}
COLUMNS = {"accuracy": "accuracy", "f1": "F1", "f1_micro": "F1, micro", "jaccard": "Jaccard", "auc": "AUC"}

Results = Mapping[str, Any]


def page(
    results: Results, pictures: Sequence[Picture], groups: Sequence[TextGroup], scale: ColourScale, *, texts_from: str
) -> str:
    """Return the whole document; `results` are those of results.json, `scale` is that of the texts' heatmaps, which
    come from the part `texts_from`."""
    title = f"{PurePath(results['model']).name} on {PurePath(results['data']).name or results['data']}"
    figures = "\n".join(figure_html(picture, below=_numbers_below(picture, results)) for picture in pictures)
    texts = "\n".join(group_html(group, scale) for group in groups)
    body = f"""<header>
<p class="kind">Report of a transfer</p>
<h1>{shown(title)}</h1>
<p class="lead">{_lead(results)}</p>
</header>
<main>
<h2>Scores</h2>
{score_table(results)}
{_label_table(results)}
<h2>Figures</h2>
{figures}
<h2>The most extreme texts</h2>
<p>They are from {WHERE[texts_from]}; each character is coloured by the neuron’s cell value after it.</p>
{legend(scale)}
{texts}
<h2>Details</h2>
{regression_table(results)}
{neuron_table(results)}
{pairs(list(_facts(results)))}
</main>"""
    return document(title, body, style=STYLE)


def best_part(results: Results) -> str:
    """Return under which name the scores that count stand: test, or what stands in for it."""
    return next(part for part in PARTS if part in results["all_neurons"])


def second_name(results: Results) -> str:
    """Return what the second regression stands on, for people."""
    heaviest = results["heaviest_neurons"]
    count = len(heaviest)
    if results["drop_neurons"]:
        return f"all but neuron {heaviest[0]}" if count == 1 else f"all but the {count:,} heaviest"
    return f"neuron {heaviest[0]} alone" if count == 1 else f"the {count:,} heaviest"


def score_table(results: Results) -> str:
    """Return the scores of both regressions on each part, and those of the commonest answer."""
    every, second = results["all_neurons"], results["neurons"]
    keys = [key for key in COLUMNS if key in every[best_part(results)]]
    rows: list[list[str]] = []
    for part in [part for part in PARTS if part in every]:
        rows.append([f"{PARTS[part]}, {every[part]['rows']:,} texts"])
        shown_rows = [("all neurons", every[part]), (second_name(results), second[part])]
        if "frozen" in results:
            shown_rows.append(("all neurons, before fine-tuning", results["frozen"]["all_neurons"][part]))
        for name, scores in shown_rows:
            rows.append([name, *(_score(key, scores[key]) for key in keys)])
        rows.append(["commonest answer", percent(every[part]["majority_share"]), *("" for _ in keys[1:])])
    return table(["", *(COLUMNS[key] for key in keys)], rows)


def regression_table(results: Results) -> str:
    """Return what both regressions consist of."""
    every, second = results["all_neurons"], results["neurons"]
    rows = [
        ["C", f"{every['C']:g}", f"{second['C']:g}"],
        ["weights not zero", f"{every['nonzero_weights']:,}", f"{second['nonzero_weights']:,}"],
        ["neurons with weights", f"{len(every['weights']):,}", f"{len(second['weights']):,}"],
    ]
    return table(["", "all neurons", second_name(results)], rows)


def neuron_table(results: Results) -> str:
    """Return the heaviest neurons of the regression on all, with their weights in both."""
    second = {item["neuron"]: item["weight"] for item in results["neurons"]["weights"]}
    classes, rows = results["classes"], []
    weights = results["all_neurons"]["weights"]
    for item in weights[:MAX_NEURONS]:
        weight, in_second = item["weight"], second.get(item["neuron"])
        if len(weight) == 1:
            told = [f"{weight[0]:+.3f}", "" if in_second is None else f"{in_second[0]:+.3f}"]
        else:
            heaviest, name = max(zip(weight, classes, strict=True), key=lambda pair: abs(pair[0]))
            told = [f"{sum(map(abs, weight)):.3f}", f"{shown(spoken(name))} {heaviest:+.3f}"]
        rows.append([str(item["neuron"]), *told])
    is_single = not weights or len(weights[0]["weight"]) == 1
    towards = f"weight towards {shown(spoken(classes[-1]))}"
    head = ["neuron", towards, f"in {second_name(results)}"] if is_single else ["neuron", "sum of weights", "heaviest"]
    rest = len(weights) - MAX_NEURONS
    note = f'<p class="note">{rest:,} more neurons with smaller weights are in results.json.</p>' if rest > 0 else ""
    return table(head, rows) + note


def _lead(results: Results) -> str:
    """Return one sentence with what counts."""
    part = best_part(results)
    every, second = results["all_neurons"][part], results["neurons"][part]
    frozen = ""
    if "frozen" in results:
        frozen = f"before fine-tuning all neurons got {percent(results['frozen']['all_neurons'][part]['accuracy'])}; "
    what = "decisions about labels" if results["multi_label"] else "texts"
    return (
        f"Of the {what} of {WHERE[part]}, all neurons get "
        f"<b>{percent(every['accuracy'])}</b> right and {second_name(results)} <b>{percent(second['accuracy'])}</b>; "
        f"{frozen}always giving the commonest answer would get {percent(every['majority_share'])}."
    )


def _label_table(results: Results) -> str:
    """Return how each of several labels is found by the regression on all neurons; nothing for exclusive classes."""
    if not results["multi_label"]:
        return ""
    part = best_part(results)
    rows = []
    for name, scores in results["all_neurons"][part]["labels"].items():
        (_, wrong), (missed, found) = scores["confusion"]
        auc = _score("auc", scores["auc"])
        rows.append(
            [shown(spoken(name)), f"{found + missed:,}", f"{found:,}", f"{wrong:,}", f"{scores['f1']:.4f}", auc]
        )
    head = ["label, all neurons", "texts with it", "found", "wrongly named", "F1", "AUC"]
    return table(head, rows)


def _numbers_below(picture: Picture, results: Results) -> str:
    """Return the figure's numbers as a table to be opened, for the one that has them."""
    points = results["label_efficiency"]
    if picture.path.name != "label_efficiency.png":
        return ""
    rows = [
        [f"{point['labels']:,}", *(_with_spread(point[name], point["draws"]) for name in ("all_neurons", "neurons"))]
        for point in points
    ]
    numbers = table(["labels", "all neurons", second_name({**results, **results.get("frozen", {})})], rows)
    return f"<details><summary>The numbers</summary>{numbers}</details>"


def _facts(results: Results) -> Iterator[tuple[str, str]]:
    """Yield where all this comes from."""
    yield "model", shown(results["model"])
    yield "data", shown(results["data"])
    yield "classes", ", ".join(shown(name) for name in results["classes"])
    yield "features", POOLINGS[results["pooling"]] + (", all layers" if results["all_layers"] else "")
    if "finetuning" in results:
        tuning = results["finetuning"]
        yield "fine-tuning", f"best after epoch {tuning['best_epoch']:.1f} of {tuning['epochs']}, rate {tuning['lr']:g}"
    yield "texts", ", ".join(f"{escape(part)} {count:,}" for part, count in results["rows"].items())
    if results["folds"] is not None:
        both = (("all neurons", results["all_neurons"]), (second_name(results), results["neurons"]))
        told = [f"{name} {percent(probe['folds']['mean'])} ± {probe['folds']['std']:.2%}" for name, probe in both]
        yield "folds", f"{results['folds']}; mean accuracy and standard deviation over them: {', '.join(told)}"
    yield "left out", ", ".join(f"{shown(why)} {count:,}" for why, count in results["skipped"].items()) or "none"
    yield "seconds", ", ".join(f"{escape(what)} {spent:,.1f}" for what, spent in results["seconds"].items())


def _score(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    return percent(value) if key == "accuracy" else f"{value:.4f}"


def _with_spread(point: Mapping[str, float], draws: int) -> str:
    return percent(point["mean"]) + (f" ± {point['std']:.2%}" if draws > 1 else "")
