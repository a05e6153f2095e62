"""The model in the package: its card and the README say what was measured, and excerpts are whole sentences."""

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

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


def test_short_sentences_come_surest_first_with_their_reviews_label_and_each_once():
    data = importlib.import_module("pretrained_data")
    reviews = {"1": "A joy. Seen twice. " + "x" * 100 + ".", "0": "A bore? Seen twice. Word."}
    examples = [
        Example(row=number, text=text, clean=f"\n {text} ".encode(), label=label)
        for number, (label, text) in enumerate(reviews.items())
    ]
    positive = {"A joy.": 0.9, "A bore?": 0.2, "Seen twice.": 0.6}

    def sure(sentences):
        return np.array([[1 - positive[sentence], positive[sentence]] for sentence in sentences])

    rows = data.short_sentences(examples, sure)
    assert rows == [("1", "A joy."), ("0", "A bore?"), ("0", "Seen twice.")]
    assert data.balanced(rows, 2) == [("0", "A bore?"), ("1", "A joy.")]
    assert len(data.balanced(rows, 10)) == 3


def test_what_has_been_read_before_costs_a_compressor_and_a_count_less(monkeypatch):
    compressors = importlib.import_module("compressors")
    text = np.frombuffer(b"a good film, and a bad one, and another that I have not seen " * 3, np.uint8)
    other = np.frombuffer(b"0123456789" * 30, np.uint8)
    known, unknown = (
        compressors.bits_without_networks(text, trained_on=before[None], order=3) for before in (text, other)
    )
    assert known["ngram"]["bits_per_byte"] < unknown["ngram"]["bits_per_byte"]
    assert known["xz_primed"]["bits_per_byte"] < known["xz"] < known["gzip"] * 2
    assert known["xz_primed"]["training_bytes"] == len(text)
    assert known["gzip"] == compressors.gzip_bits(text.tobytes()) == unknown["gzip"]
