"""A small world to run commands in: reviews made of good and bad words, and a tiny Stanford Sentiment Treebank."""

import csv
import json
import random
from pathlib import Path

import pytest

WORDS = {
    1: ("wonderful", "a joy", "brilliant", "I loved it", "moving and funny", "great"),
    0: ("awful", "a bore", "stupid", "I hated it", "dull and long", "terrible"),
}
FRAMES = ("The film was {}.", "Well, {}, from start to end!", "My aunt says: {}", "{}. Enough.", "It is {} & {}.")


def make_reviews(count: int, *, seed: int) -> list[tuple[int, str]]:
    """Labelled sentences, as many of each; the label can be read off their words."""
    draw = random.Random(seed)
    reviews = []
    for number in range(count):
        label = number % 2
        text = " ".join(
            draw.choice(FRAMES).format(draw.choice(WORDS[label]), draw.choice(WORDS[label]))
            for _ in range(draw.randint(1, 4))
        )
        reviews.append((label, text))
    return reviews


def write_csv(path: Path, rows: list[tuple[int, str]], *, header: tuple[str, str] = ("label", "sentence")) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    """An empty folder to stand in, `reviews.json` and `data.csv` in it, data sets elsewhere, and small settings."""
    folder, data = tmp_path / "here", tmp_path / "data"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SENTNEURON_DATA", str(data))
    small = {"NHID": 32, "BATCH_SIZE": 16, "SEQ_LENGTH": 32, "MAX_STEPS": 300, "LOG_INTERVAL": 100, "LR": 0.05}
    for name, value in small.items():
        monkeypatch.setenv(f"SENTNEURON_TRAIN_{name}", str(value))
    for seed, (part, count) in enumerate([("train", 400), ("val", 80), ("test", 120)]):
        write_csv(data / "sst" / f"{part}.csv", make_reviews(count, seed=seed))
    write_csv(folder / "data.csv", make_reviews(30, seed=7), header=("label", "text"))
    with open(folder / "reviews.json", "w", encoding="utf-8") as file:
        for label, text in make_reviews(2500, seed=8):
            file.write(json.dumps({"reviewText": text, "overall": 1.0 + 4 * label}) + "\n")
    return folder
