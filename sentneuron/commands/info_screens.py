"""The screens of `info` about models, runs and shard folders: names and values, short enough for 80 columns.

Nothing is printed here. What a file says of itself may be anything, and is shortened wherever it is shown.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sentneuron.commands.info_words import MAX_NAMES, counted, listed, number, shorten, values_of
from sentneuron.commands.meter import clock_time, with_unit
from sentneuron.core.config import POOLINGS

if TYPE_CHECKING:
    from sentneuron.core.info.model import ClassifierInfo, ModelInfo, RegressionInfo, RunInfo
    from sentneuron.core.info.shards import ShardsInfo, SourceInfo

Rows = list[tuple[str, ...]]

MAX_WEIGHTS = 5
FINGERPRINT_LETTERS = 12

TRAINING_ROWS = (
    "steps",
    "bytes",
    "seconds",
    "data_fingerprint",
    "settings",
    "versions",
    "finetuned",
    "sentiment_neuron",
)
"""What of a training record has a row of its own."""


def model_rows(model: "ModelInfo") -> Rows:
    """Return what there is to say of a model."""
    rows: Rows = [
        ("kind", f"{model.kind.replace('-', ' ')}, {with_unit(model.bytes, 'B')}, weights in {model.precision}"),
        ("architecture", architecture(model.config)),
        ("parameters", f"{model.parameters:,}"),
        ("text rule", text_rule(model.text)),
    ]
    if model.imported:
        rows.append(("imported", origin(model.imported)))
    rows += training_rows(model.training, known=model.config)
    if model.sentiment_neuron is not None:
        rows.append(("sentiment neuron", str(model.sentiment_neuron)))
    return rows + (classifier_rows(model.classifier) if model.classifier else [])


def origin(imported: Mapping[str, Any]) -> str:
    """Return `NVIDIA's layout, ids shifted by 1, no decoder`, and what else the importer noted."""
    rest = dict(imported)
    words = [f"{shorten(rest.pop('layout', 'unknown'), 40)}'s layout"]
    if offset := number(rest.pop("id_offset", None)):
        words.append(f"ids shifted by {offset:g}")
    if rest.pop("decoder", True) is False:
        words.append("no decoder")
    if "left_out" in rest:
        words.append(f"its classifier left out: {shorten(rest.pop('left_out'))}")
    return ", ".join([*words, values_of(rest)] if rest else words)


def architecture(config: Mapping[str, Any]) -> str:
    """Return `mLSTM, 4,096 units, 1 layer, embedding of 64, weight norm`."""
    layers = "1 layer" if config["nlayers"] == 1 else f"{config['nlayers']:,} layers"
    parts = [config["model"], f"{config['nhid']:,} units", layers, f"embedding of {config['emsize']:,}"]
    parts += ["weight norm"] * bool(config["weight_norm"]) + ["tied"] * bool(config["tied"])
    return ", ".join([*parts, f"dropout {config['dropout']:g}"] if config["dropout"] else parts)


def text_rule(text: Mapping[str, Any]) -> str:
    """Return `sentneuron, version 1`, and whether UTF-8 stays."""
    return f"{text['name']}, version {text['version']}" + (", UTF-8 stays" if text["keep_unicode"] else "")


def training_rows(training: Mapping[str, Any], *, known: Mapping[str, Any]) -> Rows:
    """Return a training record; of its settings those that are not `known` from elsewhere."""
    rows: Rows = []
    steps, amount, seconds = (number(training.get(name)) for name in ("steps", "bytes", "seconds"))
    done = [f"{steps:,.0f} steps"] if steps is not None else []
    done += [f"{with_unit(amount, 'B')} of text"] if amount is not None else []
    done += [clock_time(seconds)] if seconds is not None else []
    if done:
        rows.append(("trained", ", ".join(done)))
    names = {"bits_per_byte": "train", "valid_bits_per_byte": "valid", "test_bits_per_byte": "test"}
    bits = [
        f"{label} {value:.4f}" for name, label in names.items() if (value := number(training.get(name))) is not None
    ]
    if bits:
        rows.append(("bits per byte", ", ".join(bits)))
    if "data_fingerprint" in training:
        rows.append(("data", shorten(str(training["data_fingerprint"])[:FINGERPRINT_LETTERS])))
    settings = training.get("settings")
    if isinstance(settings, dict):
        rows.append(("settings", values_of({name: settings[name] for name in settings if name not in known})))
    if isinstance(training.get("versions"), dict):
        rows.append(("made with", values_of(training["versions"])))
    legs = training.get("finetuned", [])
    rows += [("fine-tuned", values_of(leg)) for leg in (legs if isinstance(legs, list) else [legs])]
    others: Rows = [
        (shorten(name, 30), shorten(values_of(value)))
        for name, value in training.items()
        if name not in (*TRAINING_ROWS, *names)
    ]
    return rows + beginning(others, "entries in all")


def classifier_rows(classifier: "ClassifierInfo") -> Rows:
    """Return what a classifier tells apart, and by which neurons."""
    layers = "all layers" if classifier.all_layers else "the top layer"
    rows: Rows = [
        ("labels, any may hold" if classifier.multi_label else "classes", listed(classifier.classes)),
        ("features", f"{POOLINGS[classifier.pooling]} of {classifier.features:,} neurons, {layers}"),
    ]
    if classifier.hidden_layers:
        rows.append(("hidden layers", ", ".join(f"{width:,}" for width in classifier.hidden_layers)))
    rows.append(("all neurons", regression(classifier.all_neurons)))
    if classifier.few_neurons is not None:
        few = f"all but {classifier.few:,}" if classifier.is_dropped else f"{classifier.few:,} by weight"
        rows.append((few, regression(classifier.few_neurons)))
    return rows


def regression(found: "RegressionInfo") -> str:
    """Return `C 0.5, 212 used: 27 +8.12, 19 -3.02, …`; of several rows the weights are left out."""
    head = [f"C {found.C:g}"] if found.C is not None else []
    head.append(f"{found.neurons:,} used")
    named = [
        f"{one.neuron} {one.weight[0]:+.3g}" if len(one.weight) == 1 else str(one.neuron)
        for one in found.heaviest[:MAX_WEIGHTS]
    ]
    more = ", …" if len(named) < found.neurons else ""
    return ", ".join(head) + (f": {', '.join(named)}{more}" if named else "")


def run_rows(run: "RunInfo") -> Rows:
    """Return what there is to say of a run that can be resumed."""
    state = "finished" if run.is_finished else "to be resumed"
    record = {"bits_per_byte": run.bits_per_byte, "valid_bits_per_byte": run.valid_bits_per_byte}
    rows: Rows = [
        ("kind", f"run of train, {state}, {with_unit(run.bytes, 'B')}"),
        ("step", f"{run.step:,}"),
        ("parameters", f"{run.parameters:,}"),
        ("streams", f"{run.streams:,}, on all processes together"),
    ]
    record |= {"seconds": run.seconds, "data_fingerprint": run.settings.get("data_fingerprint", "none")}
    settings = {name: value for name, value in run.settings.items() if not str(name).endswith("fingerprint")}
    return rows + training_rows(record, known={}) + [("settings", values_of(settings))]


def shards_rows(shards: "ShardsInfo") -> Rows:
    """Return what there is to say of a shard folder."""
    rows: Rows = [
        ("kind", f"shard folder, {with_unit(shards.file_bytes, 'B')} on disk"),
        ("documents", f"{shards.documents:,}, {with_unit(shards.bytes, 'B')} of text"),
    ]
    for name, split in shards.splits.items():
        pieces = f"{counted(split.shards, 'shard')}, {counted(split.row_groups, 'row group')}"
        rows.append((name, f"{split.documents:,} documents, {with_unit(split.bytes, 'B')}, {pieces}"))
    rows.append(("text rule", f"{text_rule(shards.text)}; made with {values_of(shards.made_with)}"))
    rows += beginning([("source", describe_source(source)) for source in shards.sources], "sources in all")
    rows.append(("records read", f"{shards.read:,}"))
    if shards.duplicates:
        rows.append(("duplicates", f"{shards.duplicates:,}"))
    skipped: Rows = [("skipped", f"{count:,}: {shorten(reason)}") for reason, count in shards.skipped.items()]
    rows += beginning(skipped, "reasons in all")
    rows.append(("settings", values_of({name: value for name, value in shards.settings.items() if name != "sources"})))
    rows.append(("fingerprint", shards.fingerprint[:FINGERPRINT_LETTERS]))
    rows.append(("files", "names and sizes are right" if shards.problem is None else "not as the manifest says"))
    return rows


def describe_source(source: "SourceInfo") -> str:
    """Return `reviews.json: ndjson, 1,000 records, text from reviewText, label from overall`."""
    labels = f", label from {listed(source.label_keys)}" if source.label_keys else ""
    taken = f"text from {shorten(source.text_key, 40)}{labels}"
    return f"{shorten(source.name)}: {shorten(source.format, 20)}, {source.records:,} records, {taken}"


def beginning(rows: Rows, what: str) -> Rows:
    """Return the first MAX_NAMES of some rows, and how many there are where these are more."""
    return rows if len(rows) <= MAX_NAMES else [*rows[:MAX_NAMES], ("", f"… {len(rows):,} {what}")]
