"""The model in the package: its card and the README say what was measured, and excerpts are whole sentences."""

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from sentneuron.core.data.examples import Example
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.locate import PRETRAINED

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MOST_BYTES = 16_000_000


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """Scripts import one another by their bare names, as they do when they are run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield


def test_card_and_readme_say_what_the_figures_say():
    card = importlib.import_module("pretrained_card")
    pieces = importlib.import_module("pieces").PIECE
    named = set()
    for path in card.PAGES:
        text = path.read_text("utf-8")
        assert card.filled(text, card.figures()) == text, path
        named |= {(kind, name) for kind, name, _ in pieces.findall(text)}
    assert named == {("table", name) for name in card.TABLES} | {("value", name) for name in card.VALUES}


def test_no_measured_number_stands_in_the_card_by_hand():
    card = importlib.import_module("pretrained_card")
    text = importlib.import_module("pieces").prose(card.PAGES[0].read_text("utf-8"))
    assert not re.findall(r"\d+(?:\.\d+)? ?%|\d+\.\d{2,}", text)


def test_the_figures_are_those_of_the_file_that_ships():
    figures = importlib.import_module("pretrained_card").figures()
    assert figures["shipped"]["file_bytes"] == PRETRAINED.stat().st_size < MOST_BYTES
    kept = json.loads(json.dumps(figures["training"]))
    saved = load_model(PRETRAINED)
    assert json.loads(json.dumps(saved.training)) == kept


SENTENCES = ["One is short.", "Two is longer than one!", "Three?", "x" * 400 + "."]


@pytest.mark.parametrize("place", range(3))
def test_an_excerpt_is_whole_sentences_in_a_row(place, monkeypatch):
    data = importlib.import_module("pretrained_data")
    monkeypatch.setattr(data, "EXCERPT", 40)
    drawn = data.excerpt(" ".join(SENTENCES[:3]), draw=np.random.default_rng(place))
    assert drawn in {"One is short. Two is longer than one!", "Two is longer than one! Three?", "Three?"}
    assert data.excerpt(" ".join(SENTENCES[:3]), draw=None) == "Two is longer than one! Three?"
    assert data.excerpt(" ".join(SENTENCES), draw=None) == SENTENCES[3][-40:]
    assert data.excerpt(SENTENCES[3], draw=np.random.default_rng(place)) == SENTENCES[3][:40]


def test_no_text_is_in_two_parts_and_held_out_ones_are_in_the_scored_part_only():
    data = importlib.import_module("pretrained_data")
    examples = [
        Example(row=number, text=f"text {number}", clean=f"\n text {number} ".encode(), label="1")
        for number in range(7000)
    ]
    held_out = {f"text {number}" for number in range(1000)}
    parts = data.split_imdb(examples, held_out)
    texts = {part: {data.plain(example) for example in some} for part, some in parts.items()}
    assert len(texts["test"]) == data.FIFTH
    assert len(texts["valid"]) == data.VALID_TEXTS
    assert not texts["test"] & texts["valid"]
    assert not texts["test"] & texts["train"]
    assert not texts["valid"] & texts["train"]
    assert not held_out & (texts["valid"] | texts["train"])


def test_scores_are_those_of_their_definitions():
    pretrained = importlib.import_module("pretrained")
    probability = np.array([0.1, 0.4, 0.45, 0.9])
    found = pretrained.scores(probability, np.array([0, 1, 1, 1]))
    assert found["accuracy"] == 0.5
    assert found["best_accuracy"] == 1.0
    assert found["best_threshold"] == 0.4
    assert found["brier"] == pytest.approx((0.1**2 + 0.6**2 + 0.55**2 + 0.1**2) / 4)
    assert found["calibration_error"] == pytest.approx((0.1 + 2 * (1 - 0.425) + 0.1) / 4)


def test_bits_per_byte_are_those_of_the_model_whatever_the_window(make_model_file):
    pretrained = importlib.import_module("pretrained")
    path = make_model_file()
    model = load_model(path).model.eval()
    text = np.frombuffer(b"a good film, and a bad one " * 600, np.uint8)
    length = (len(text) - 1) // pretrained.STREAMS
    total = 0.0
    with torch.no_grad():
        for stream in range(pretrained.STREAMS):
            part = torch.from_numpy(text[stream * length : (stream + 1) * length + 1].astype(np.int64))[None]
            loss, _ = model.loss(part[:, :-1], part[:, 1:], model.initial_state(1), None)
            total += loss.item() / np.log(2) / pretrained.STREAMS
    assert pretrained.bits_per_byte(path, text) == pytest.approx(total, rel=1e-5)
