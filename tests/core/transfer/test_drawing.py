"""The whole report: every figure that makes sense for the data, and one page that a browser shows."""

import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image

from sentneuron.core.config import TransferConfig
from sentneuron.core.data.examples import Example
from sentneuron.core.data.labelled import LabelledTexts
from sentneuron.core.model.runner import Runner
from sentneuron.core.report import figure as figure_module
from sentneuron.core.transfer.drawing import draw_report
from sentneuron.core.transfer.features import featurize
from sentneuron.core.transfer.folds import cross_validate
from sentneuron.core.transfer.probes import fit_probes

CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
NAMES = ["$x_1$", "[/b]<script>document.title='owned'</script>", "שלום\u202e", "n" * 40, "_five"]
POINT = {"mean": 0.5, "std": 0.125}
LONG = "<b>& no wall of text is too long for this page, not even one that never says anything good.</b> " * 12


@pytest.fixture
def _undrawn(monkeypatch):
    """Write a picture of one pixel for each figure."""

    def print_figure(self, file, **options):
        Image.new("RGB", (1, 1)).save(file, "PNG")

    monkeypatch.setattr(figure_module.FigureCanvasAgg, "print_figure", print_figure)


def make_data(rule, num_classes, *, multi_label=False, in_test=None, ending=""):
    """Texts of classes with names from strangers; the test part has the first `in_test` classes alone."""
    rng = np.random.default_rng(0)
    names = NAMES[:num_classes]
    parts = {}
    for part, count in (("train", 60), ("valid", 30), ("test", 30)):
        parts[part] = []
        for row in range(count):
            number = row % (in_test or num_classes) if part == "test" else row % num_classes
            text = f"{'aeiou'[number] * 9} {rng.integers(1000)} {ending}"
            holds = tuple(bool(other == number or row % 7 == 0) for other in range(num_classes)) if multi_label else ()
            parts[part].append(Example(row, text, rule.clean(text), names[number], holds))
    return LabelledTexts(name="data.csv", parts=parts, classes=names, multi_label=multi_label, skipped={"<i>": 2})


@pytest.fixture
def draw(language_model, tmp_path):
    """Return a function that transfers to made data, draws the report and gives its files and its text."""

    def call(num_classes, *, neurons=2, folds=None, **options):
        data = make_data(language_model.rule, num_classes, **options)
        if folds is not None:
            del data.parts["valid"], data.parts["test"]
        runner = Runner(language_model.model)
        config = TransferConfig(model="m/model.pt", neurons=neurons, folds=folds, pooling="mean")
        features = {
            part: featurize(runner, [example.clean for example in examples], pooling="mean")
            for part, examples in data.parts.items()
        }
        if folds is None:
            probes = fit_probes(features, data, config)
            described = probes.describe(features, data)
        else:
            probes, over_folds = cross_validate(features["train"], data, config)
            described = probes.describe(features, data)
            described = {name: {"folds": over_folds[name]} | described[name] for name in described}
        results = {
            "model": config.model,
            "data": data.name,
            "classes": data.classes,
            "multi_label": data.multi_label,
            "pooling": "mean",
            "all_layers": False,
            "folds": config.folds,
            "rows": {part: len(examples) for part, examples in data.parts.items()},
            "skipped": data.skipped,
            "sentiment_neuron": probes.heaviest[0],
            "heaviest_neurons": probes.heaviest,
            "drop_neurons": False,
            **described,
            "label_efficiency": [
                {"labels": count, "draws": 5, "all_neurons": POINT, "neurons": POINT} for count in (10, 30)
            ]
            if folds is None
            else [],
            "seconds": {"features": 1.0, "regressions": 1.0},
        }
        classifier = {
            "classes": data.classes,
            "multi_label": data.multi_label,
            "all": probes.every.to_dict(),
            "sentiment_neuron": probes.heaviest[0],
            "scale": torch.ones(runner.num_units),
        }
        files = draw_report(
            tmp_path,
            results=results,
            classifier=classifier,
            data=data,
            features=features,
            probes=probes,
            runner=runner,
            rule=language_model.rule,
        )
        assert json.dumps(results, allow_nan=False)
        return files, (tmp_path / "report.html").read_text("utf-8")

    return call


def names_of(files):
    return {re.sub(r"neuron_\d+", "neuron", path.name) for path in files if path.exists()}


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.filterwarnings("error")
def test_two_classes_have_every_figure_on_the_page(draw):
    files, page = draw(2)
    expected = {"label_efficiency.png", "confusion.png", "roc.png", "weights.png", "neuron.png", "report.html"}
    assert names_of(files) == expected
    assert len(files) == len(set(files)) == 7
    assert page.count("<img") == 6
    assert "<script" not in page


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.filterwarnings("error")
def test_a_class_that_the_test_part_lacks_is_no_obstacle(draw):
    files, page = draw(5, in_test=4)
    assert "confusion.png" in names_of(files)
    assert page.count("By the classifier: surest of") == 5


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.filterwarnings("error")
def test_several_labels_have_a_table_instead_of_a_confusion_matrix(draw):
    files, page = draw(3, multi_label=True)
    assert names_of(files) == {"label_efficiency.png", "roc.png", "weights.png", "neuron.png", "report.html"}
    assert "wrongly named" in page


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.filterwarnings("error")
def test_cross_validated_data_has_its_scores_over_folds_and_no_curve(draw):
    files, page = draw(2, folds=3)
    assert names_of(files) == {"confusion.png", "weights.png", "neuron.png", "report.html"}
    assert "Cross-validation, 60 texts" in page
    assert "mean accuracy and standard deviation" in page
    assert "They are from the training part" in page


@pytest.mark.slow
@pytest.mark.usefixtures("_undrawn")
def test_of_many_neurons_the_folder_has_all_histograms_and_the_page_the_first_five(draw):
    files, page = draw(2, neurons=9)
    assert sum(path.name.startswith("neuron_") for path in files) == 9
    assert page.count("Histogram of neuron") == 5


@pytest.mark.usefixtures("_undrawn")
def test_an_earlier_runs_figures_do_not_stay_and_other_files_do(draw, tmp_path):
    for name in ("neuron_999.png", "roc.png", "mine.png"):
        (tmp_path / name).touch()
    files, _ = draw(2, folds=3)
    assert {path.name for path in tmp_path.glob("*.png")} == {path.name for path in files[:-1]} | {"mine.png"}
    assert not (tmp_path / "roc.png").exists()


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, CHROMIUM)), reason="no Chromium is installed")
def test_a_browser_shows_the_page_on_a_narrow_screen_and_runs_nothing(draw, tmp_path):
    _, page = draw(5, ending=LONG)
    assert page.count("characters left out") == 11  # all texts: two groups of three, five of one
    script = "<script>document.title = document.documentElement.scrollWidth"
    script += " + ' ' + [...document.images].map(image => image.naturalWidth)</script></body>"
    # With its policy the page runs no script, not even one of its own; without it, the script measures the page.
    (tmp_path / "scripted.html").write_text(page.replace("</body>", script), "utf-8")
    open_page = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("</body>", script)
    (tmp_path / "open.html").write_text(open_page, "utf-8")
    assert title_in_browser(tmp_path / "report.html") == "model.pt on data.csv"
    assert title_in_browser(tmp_path / "scripted.html") == "model.pt on data.csv"
    width, _, images = title_in_browser(tmp_path / "open.html").partition(" ")
    assert int(width) <= 390  # nothing makes the page wider than the screen
    assert len(images.split(",")) == 6
    assert all(int(image) > 300 for image in images.split(","))


def title_in_browser(path):
    """Open a page in a headless Chromium as wide as a telephone; return its title after it was loaded."""
    browser = next(found for found in map(shutil.which, CHROMIUM) if found)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=1000", "--window-size=390,800"]
    done = subprocess.run(
        [browser, *options, f"--user-data-dir={path.parent / 'profile'}", "--dump-dom", path.resolve().as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | {"HOME": str(path.parent)},
    )
    return re.search("<title>(.*?)</title>", done.stdout)[1]
