"""Text from strangers, wherever it is shown: it cannot steer a terminal, a figure or a page, and nothing of it is lost.

The page is checked in a real browser where one is installed; CHROMIUM names those looked for.
"""

import csv
import html.parser
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from sentneuron.cli import main
from sentneuron.commands.console import Console
from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.generation.heatmap import CharacterValues, ColourScale
from sentneuron.core.model.checkpoint import SavedModel, save_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.printable import BIDI_CONTROLS, printable
from sentneuron.core.report.figure import escaped
from sentneuron.core.report.heatmap_image import draw_heatmap
from sentneuron.core.report.plots import plot_neuron

CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")

HOSTILE = {
    "CSI": "\x1b[31m\x1b[2J\x1b[H red",
    "OSC 8 link": "\x1b]8;;https://example.org\x1b\\click\x1b]8;;\x1b\\",
    "OSC 52 clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "title": "\x1b]0;title\x07",
    "bell and backspace": "\x07\x08\x08\x7f",
    "carriage return": "good\rbad",
    "C1 controls": "\x9b31m\x9d0;x\x9c\x85\x90",
    "Rich markup": "[/b][bold red]x[/][link=https://example.org]y[/link] :smile:",
    "mathematics": r"$x^2$ \frac{1}{ $$ _ ^ {",
    "right to left override": "\u202eevil\u202c \u2066x\u2069 \u200f \u061c",
    "Hebrew": "שלום עולם abc",
    "zero width": "a\u200bb\u2060c\ufeffd\u2028e",
    "NUL": "a\x00b",
    "tags": '<script>document.title="owned"</script><img src=x onerror="document.title=1">&amp;</div>',
}
NOT_SHOWN = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{''.join(BIDI_CONTROLS)}]")
OWN_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A classifier whose classes are called what a stranger called them."""
    path = tmp_path_factory.mktemp("models") / "clf.pt"
    torch.manual_seed(1)
    model = LanguageModel(ModelConfig(nhid=4, emsize=2)).eval()
    few = {"indices": [3], "weight": torch.ones(1, 1), "bias": torch.zeros(1), "C": 1.0}
    values: dict[str, Any] = {
        "classes": ["\x1b[31m$a_b$", "<b>\u202egood</b>"],
        "multi_label": False,
        "pooling": "mean",
        "all_layers": False,
        "all": {"weight": torch.ones(1, 4), "bias": torch.zeros(1), "C": 1.0},
        "neurons": few,
        "sentiment_neuron": 3,
        "scale": torch.full((4,), 0.25),
    }
    save_model(path, SavedModel(kind="classifier", model=model, rule=TextRule(), classifier=values))
    return str(path)


def check_shown(text: str) -> None:
    """Check what a terminal would get: nothing that steers, but for colours of our own."""
    assert NOT_SHOWN.search(OWN_COLOURS.sub("", text)) is None


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_printable_text_keeps_its_length_and_steers_nothing(text: str):
    assert NOT_SHOWN.search(printable(text)) is None
    assert len(printable(text)) == len(text)
    assert [b for a, b in zip(text, printable(text), strict=True) if a != b] == ["\ufffd"] * sum(
        a != b for a, b in zip(text, printable(text), strict=True)
    )


def test_what_is_spelled_with_joiners_stays():
    for text in ("👨‍👩‍👧", "می‌خواهم", "né\n\ttab", "שלום"):
        assert printable(text) == text


@pytest.mark.parametrize("colours", [True, False])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_heatmap_on_a_terminal_is_steered_by_nothing(classifier, capsys, monkeypatch, text, colours):
    if colours:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLORTERM", "truecolor")
        monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sentneuron.commands.generate.write_files", lambda made, settings: [])
    assert main(["generate", "--model", classifier, "--heatmap", "--text", f"I said {text}"]) == 0
    out, err = capsys.readouterr()
    check_shown(out)
    assert ("\x1b[" in out) == colours
    if not colours:  # with colours there is a progress bar, too, which moves the cursor
        assert "I said" in out
        check_shown(err)


def test_a_stream_to_a_terminal_is_steered_by_nothing(classifier, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["generate", "--model", classifier, "--gen-length", "0", "--text", "".join(HOSTILE.values())]) == 0
    check_shown(capsys.readouterr().out)


def test_lone_surrogates_are_written_as_replacement_characters(classifier, capsys):
    words = ["generate", "--model", classifier, "--heatmap", "--text", "a\udcffb", "--save", "x.jsonl"]
    assert main(words) == 0
    assert json.loads(Path("x.jsonl").read_text("utf-8"))["text"] == "a\ufffdb"
    check_shown(capsys.readouterr().out)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_stdout_without_unicode_gets_escapes(classifier, monkeypatch, encoding):
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr("sys.stdout", out)
    assert main(["generate", "--model", classifier, "--gen-length", "0", "--text", "né 中"]) == 0
    assert main(["generate", "--model", classifier, "--heatmap", "--text", "né 中"]) == 0
    out.flush()
    assert b"\\u4e2d" in out.buffer.getvalue()  # type: ignore[attr-defined]


# Tables, messages and files


@pytest.mark.slow
def test_tables_and_messages_of_a_transfer_are_steered_by_nothing_and_its_files_keep_the_text(classifier, capfd):
    texts = [f"{text} {number}" for number in range(8) for text in HOSTILE.values()]
    with open("in\u202e\x1b[31m.csv", "w", newline="", encoding="utf-8") as file:
        rows = [(text, "\x1b]0;a\x07" if number % 2 else "$b$") for number, text in enumerate(texts)]
        csv.writer(file).writerows([("text", "label"), *rows])
    assert main(["transfer", classifier, "--data", "in\u202e\x1b[31m.csv", "-o", "out"]) == 0
    out, err = capfd.readouterr()
    check_shown(out + err)
    written = list(csv.DictReader(io.StringIO(Path("out/predictions.csv").read_bytes().decode(), newline="")))
    assert sorted(row["text"] for row in written) == sorted(texts)
    assert {path.suffix for path in Path("out").iterdir()} == {".pt", ".json", ".csv", ".png", ".npz", ".html"}
    assert NOT_SHOWN.search(Path("out/report.html").read_text("utf-8")) is None

    assert main(["classify", "in\u202e\x1b[31m.csv", "--model", "out/classifier.pt", "-o", "c.csv"]) == 0
    out, err = capfd.readouterr()
    check_shown(out + err)
    assert "called" in err


def test_what_shard_says_and_its_rejects_are_steered_by_nothing(capfd):
    Path("in\x1b[31m.json").write_bytes(b'{"t\\u001b[31mxt": "a", "text": "good"}\n' * 99 + b'{"text": "\x1b\xff\n')
    words = [
        "shard",
        "in\x1b[31m.json",
        "-o",
        "o\u202e",
        "--shards",
        "1",
        "--split",
        "1",
        "--workers",
        "1",
        "--verbose",
    ]
    assert main(words) == 0
    assert main(["shard", "in\x1b[31m.json", "-o", "p", "--text-key", "\x1b]0;x\x07"]) == 65
    assert main(["shard", "none\x1b[31m\u202e.json", "-o", "x"]) == 66
    assert main(["shard", "--\x1b[31m"]) == 2
    check_shown("".join(capfd.readouterr()))
    assert NOT_SHOWN.search(Path("o\u202e/rejects.ndjson").read_text("utf-8")) is None
    assert NOT_SHOWN.search(Path("o\u202e/manifest.json").read_text("utf-8")) is None


def test_titles_names_of_columns_and_cells_of_a_table_are_steered_by_nothing(capsys):
    hostile = "".join(HOSTILE.values())
    console = Console()
    console.table(hostile, [(hostile, hostile)], (hostile, hostile))
    console.warn(hostile)
    console.say(hostile)
    console.error(hostile, hint=hostile)
    err = capsys.readouterr().err
    check_shown(err)
    assert "[bold red]" in err


def test_the_traceback_of_an_error_is_steered_by_nothing(capsys):
    assert main(["shard", "none\x1b[31m\u202e.json", "-o", "x", "--debug"]) == 66
    err = capsys.readouterr().err
    assert "Traceback" in err
    check_shown(err)


# Figures


def test_dollars_and_backslashes_are_drawn_and_not_set_as_mathematics(tmp_path):
    scale = ColourScale(neuron=1, limit=1.0, direction=1)

    def drawn(text: str) -> Image.Image:
        return draw_heatmap([CharacterValues(text=text, values=[0.0] * len(text), neuron=1)], scale)

    first, second = drawn("$x^2$"), drawn("x")
    assert ImageChops.difference(first, second).getbbox() is not None
    # Five characters take five cells: the last dollar is where it stands in the text.
    blank = drawn("$x^2 ")
    left, _, right, _ = ImageChops.difference(first, blank).getbbox()
    assert 18 * 4 + 44 - 2 <= left < right <= 18 * 5 + 44 + 2
    assert escaped("$x^2$") == r"\$x^2\$"


@pytest.mark.filterwarnings("error")
def test_classes_of_any_names_can_be_drawn():
    own_class = np.eye(len(HOSTILE), dtype=bool)
    plot_neuron(Path("n.png"), np.zeros(len(HOSTILE)), own_class, list(HOSTILE.values()), 0, pooling="last")
    with Image.open("n.png") as image:
        assert image.width == 1200


# The page


class Reader(html.parser.HTMLParser):
    """The tags of a page, and the text of its paragraphs."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def make_page(classifier: str) -> str:
    """Write generated.html of all hostile texts; return it."""
    assert main(["generate", "--model", classifier, "--heatmap", "--text", "\n".join(HOSTILE.values())]) == 0
    return Path("generated.html").read_text("utf-8")


def test_the_page_has_no_tags_but_its_own_and_lets_no_script_run(classifier):
    page = make_page(classifier)
    reader = Reader(page)
    assert reader.tags == {"html", "head", "meta", "title", "style", "body", "div", "span"}
    assert not any(name.startswith("on") or name in ("src", "href") for name in reader.attributes)
    assert NOT_SHOWN.search(page) is None
    assert '<script>document.title="owned"</script>' in reader.text
    assert "default-src 'none'" in page


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, CHROMIUM)), reason="no Chromium is installed")
def test_a_real_browser_shows_the_page_as_text_and_runs_nothing(classifier):
    page = make_page(classifier)
    # The same page with a script of its own: were the policy of no use, the browser would run it.
    Path("with_script.html").write_text(
        page.replace("</body>", "<script>document.title='owned'</script></body>"), "utf-8"
    )
    without_policy = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert without_policy != page
    Path("open.html").write_text(without_policy, "utf-8")
    script = "<script>document.title='owned'</script></body>"
    Path("scripted.html").write_text(without_policy.replace("</body>", script), "utf-8")
    titles = {}
    for name in ("generated", "with_script", "open", "scripted"):
        shown = Reader(in_browser(Path(f"{name}.html")))
        titles[name] = re.search("(neuron 3|owned|1)", shown.text.strip())[0]  # type: ignore[index]
        if name in ("generated", "open"):
            assert shown.tags == {"html", "head", "meta", "title", "style", "body", "div", "span"}
            assert '<script>document.title="owned"</script><img src=x onerror="document.title=1">' in shown.text
    # Only the script that the test itself wrote, into the page without a policy, has run.
    assert titles == {"generated": "neuron 3", "with_script": "neuron 3", "open": "neuron 3", "scripted": "owned"}


def in_browser(path: Path) -> str:
    """Open a page in a headless Chromium; return its document as it stands after it was loaded."""
    browser = next(found for found in map(shutil.which, CHROMIUM) if found)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=1000", "--user-data-dir=profile"]
    done = subprocess.run(
        [browser, *options, "--dump-dom", path.resolve().as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | {"HOME": str(Path.cwd())},
    )
    return done.stdout
