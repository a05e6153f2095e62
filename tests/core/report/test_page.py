"""The report's page: complete, escaped, self-contained."""

import copy
import re
from base64 import b64decode
from html.parser import HTMLParser

import pytest

from sentneuron.core.generation.heatmap import CharacterValues, ColourScale
from sentneuron.core.printable import BIDI_CONTROLS
from sentneuron.core.report.extreme_texts import ShownText, TextGroup, cut
from sentneuron.core.report.markup import Picture
from sentneuron.core.report.page import page

PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
HOSTILE = "<script>alert(1)</script>\u202e[/b]$x_1$\"'&amp;\x1b[31m"
SAFE = "<script>alert(1)</script>\ufffd[/b]$x_1$\"'&amp;\ufffd[31m"
SCALE = ColourScale(neuron=7, limit=0.5, direction=1, red_class=HOSTILE, green_class="pos")


def scores(accuracy):
    confusion = [[40, 10], [20, 30]]
    return {
        "rows": 1100, "accuracy": accuracy, "f1": 0.5, "auc": None, "majority_share": 0.51, "confusion": confusion,
    }  # fmt: skip


RESULTS = {
    "model": "folder/model.pt",
    "data": "sst",
    "classes": ["bad", "good"],
    "multi_label": False,
    "pooling": "mean",
    "all_layers": False,
    "folds": None,
    "rows": {"train": 8000, "valid": 1000, "test": 1100},
    "skipped": {"no text": 3},
    "heaviest_neurons": [7],
    "drop_neurons": False,
    "all_neurons": {
        "C": 0.25,
        "nonzero_weights": 2,
        "weights": [{"neuron": 7, "weight": [1.5]}, {"neuron": 2, "weight": [-0.5]}],
        "bias": [0.0],
        "train": scores(0.9),
        "valid": scores(0.8),
        "test": scores(0.7123),
    },
    "neurons": {
        "C": 1.0,
        "nonzero_weights": 1,
        "weights": [{"neuron": 7, "weight": [2.5]}],
        "bias": [0.0],
        "train": scores(0.6),
        "valid": scores(0.6),
        "test": scores(0.6543),
    },
    "label_efficiency": [
        {"labels": 10, "draws": 5, "all_neurons": {"mean": 0.6, "std": 0.01}, "neurons": {"mean": 0.5, "std": 0.02}},
        {"labels": 8000, "draws": 1, "all_neurons": {"mean": 0.7, "std": 0.0}, "neurons": {"mean": 0.65, "std": 0.0}},
    ],
    "seconds": {"features": 12.0, "regressions": 3.0},
}


class Reader(HTMLParser):
    """The tags of a page, its attributes, and its text without the style."""

    def __init__(self, document):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        if self.tags[-1:] != ["style"]:
            self.text += data


def text_of(string, **options):
    values = {"label": "bad", "prediction": "good at 90.0%", "value": 0.25, "is_right": False} | options
    return ShownText(sample=CharacterValues(text=string, values=[0.5] * len(string), neuron=7), **values)


@pytest.fixture
def make_page(tmp_path):
    def make(*texts, results=RESULTS, title="By neuron 7"):
        path = tmp_path / "label_efficiency.png"
        path.write_bytes(PNG)
        picture = Picture(path=path, title="Curve", caption=f"About {HOSTILE}", alt=f"What {HOSTILE} is")
        return page(results, [picture], [TextGroup(title=title, texts=list(texts))], SCALE, texts_from="test")

    return make


def test_the_page_says_what_counts(make_page):
    text = Reader(make_page(text_of("It was fine."))).text
    for expected in (
        "model.pt on sst", "71.23%", "65.43%", "neuron 7 alone", "Test, 1,100 texts", "Validation", "Training",
        "commonest answer", "51.00%", "0.25", "+1.500", "+2.500", "no text 3", "train 8,000", "60.00% ± 1.00%",
        "It was fine.", "good at 90.0%", "mistaken", "+0.250", "mean of tanh",
    ):  # fmt: skip
        assert expected in text, expected
    assert "mistaken" not in Reader(make_page(text_of("It was fine.", is_right=True))).text


def test_scores_from_before_fine_tuning_stand_beside_those_after(make_page):
    frozen = {name: RESULTS[name] | {"test": scores(0.5432)} for name in ("all_neurons", "neurons")}
    tuning = {"best_epoch": 1.5, "epochs": 3, "lr": 0.001}
    text = Reader(make_page(text_of("Fine."), results=RESULTS | {"frozen": frozen, "finetuning": tuning})).text
    assert "before fine-tuning all neurons got 54.32%" in text
    assert "all neurons, before fine-tuning" in text
    assert "best after epoch 1.5 of 3, rate 0.001" in text


def test_everything_from_users_is_escaped(make_page):
    results = RESULTS | {
        "model": f"x/{HOSTILE.replace('/', '|')}",
        "data": HOSTILE,
        "classes": [HOSTILE, HOSTILE],
        "skipped": {HOSTILE: 1},
    }
    document = make_page(text_of(HOSTILE, label=HOSTILE, prediction=HOSTILE), results=results, title=HOSTILE)
    reader = Reader(document)
    assert set(reader.tags) <= {
        "html", "head", "meta", "title", "style", "body", "header", "main", "h1", "h2", "h3", "p", "b", "i", "bdi",
        "div", "span", "table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd", "figure", "img", "figcaption",
        "details", "summary", "article",
    }  # fmt: skip
    assert not any(name.startswith("on") or name in ("href", "action", "srcdoc") for name, _ in reader.attributes)
    assert not re.search(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{''.join(BIDI_CONTROLS)}]", document)
    assert reader.text.count(SAFE) >= 8
    assert dict(reader.attributes)["alt"] == f"What {SAFE} is"


def test_every_resource_is_in_the_page_and_its_policy_allows_no_other(make_page):
    document = make_page()
    reader = Reader(document)
    sources = [value for name, value in reader.attributes if name in ("src", "href")]
    assert len(sources) == 1
    assert b64decode(sources[0].removeprefix("data:image/png;base64,")) == PNG
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"" in document
    assert not re.search(r"url\(|@import|<link|<script", document)


def test_more_classes_have_their_heaviest_weights_by_name(make_page):
    results = copy.deepcopy(RESULTS) | {"classes": ["x", "2", "z"]}
    results["all_neurons"]["weights"] = [{"neuron": 7, "weight": [0.5, -2.0, 1.0]}]
    results["neurons"]["weights"] = [{"neuron": 7, "weight": [0.5, -2.0, 1.0]}]
    text = Reader(make_page(results=results)).text
    assert "3.500" in text
    assert "class 2 -2.000" in text


def test_several_labels_have_a_table_of_their_own(make_page):
    results = copy.deepcopy(RESULTS) | {"multi_label": True, "classes": ["joy", "<b>"]}
    for probe in ("all_neurons", "neurons"):
        for part in ("train", "valid", "test"):
            each = {name: scores(0.7) for name in results["classes"]}
            results[probe][part] |= {"f1_micro": 0.25, "jaccard": 0.125, "labels": each}
    text = Reader(make_page(results=results)).text
    assert "Jaccard" in text
    assert re.search(r"<b>\s*503010", re.sub(r"\n", "", text))  # with it, found, wrongly named


@pytest.mark.parametrize(
    ("drop", "count", "name"), [(True, 1, "all but neuron 0"), (True, 3, "all but the 3 heaviest")]
)
def test_what_the_second_regression_stands_on_is_said(make_page, drop, count, name):
    results = RESULTS | {"drop_neurons": drop, "heaviest_neurons": list(range(count))}
    assert name in Reader(make_page(results=results)).text


def test_only_the_heaviest_of_many_neurons_are_listed(make_page):
    results = copy.deepcopy(RESULTS)
    results["all_neurons"]["weights"] = [{"neuron": 100 + i, "weight": [1.0]} for i in range(700)]
    text = Reader(make_page(results=results)).text
    assert "119" in text
    assert "120" not in text
    assert "680 more neurons" in text


def test_a_long_text_is_cut_in_its_middle_between_words():
    text = " ".join(f"word{number}" for number in range(1000))
    sample = CharacterValues(text=text, values=[float(i) for i in range(len(text))], neuron=7)
    (head, tail), left_out = cut(sample)
    assert text.startswith(head.text)
    assert text[len(head.text)] == " "
    assert text.endswith(tail.text)
    assert tail.text.startswith("word")
    assert len(head.text) + left_out + len(tail.text) == len(text)
    assert tail.values[0] == len(text) - len(tail.text)
    assert cut(CharacterValues(text="x" * 5000, values=[0.0] * 5000, neuron=7))[1] == 5000 - 900


def test_a_short_text_stays_whole():
    sample = CharacterValues(text="a " * 500, values=[0.0] * 1000, neuron=7)
    assert cut(sample) == ([sample], 0)
