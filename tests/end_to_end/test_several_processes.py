"""`classify` and `transfer` with --gpus give what they give without it."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sentneuron
from sentneuron.cli import main
from sentneuron.core.model.locate import PRETRAINED

pytestmark = pytest.mark.slow


@pytest.fixture
def reviews(tmp_path, monkeypatch):
    """A small labelled file in an empty folder, where the test stands."""
    monkeypatch.chdir(tmp_path)
    kinds = ("Loved it, a warm and funny film", "Hated it: dull, long and badly played"), ("my mother", "the cat", "I")
    with open("reviews.csv", "w", newline="") as file:
        rows = [(number % 2, f"{kinds[0][number % 2]}. {kinds[1][number % 3]} {number}!") for number in range(60)]
        csv.writer(file).writerows([("label", "text"), *rows, (0, " ")])
    return "reviews.csv"


def on_two_processes(*words, given=None):
    """Run a command with --gpus 2, as it is typed."""
    command = [sys.executable, "-m", "sentneuron", *words, "--gpus", "2", "--device", "cpu"]
    settings = os.environ | {"PYTHONPATH": str(Path(sentneuron.__file__).parents[1])}
    run = subprocess.run(command, capture_output=True, text=True, input=given, env=settings, timeout=120)
    assert run.returncode == 0, run.stderr
    return run


def test_classify_on_two_processes_writes_the_same_file(reviews):
    assert main(["classify", reviews, "--device", "cpu", "-o", "alone.csv", "--quiet"]) == 0
    told = on_two_processes("classify", reviews, "-o", "shared.csv").stderr
    assert [line.split()[:2] for line in told.splitlines()[1:3]] == [["rank", "0"], ["rank", "1"]]
    with open("alone.csv", newline="") as one, open("shared.csv", newline="") as two:
        alone, shared = list(csv.DictReader(one)), list(csv.DictReader(two))
    for name in ("label", "text", "prediction"):
        assert [row[name] for row in shared] == [row[name] for row in alone]
    for name in ("probability", "neuron"):
        numbers = [np.array([float(row[name] or "nan") for row in rows]) for rows in (shared, alone)]
        np.testing.assert_allclose(*numbers, atol=1e-5)


def test_classify_on_two_processes_reads_stdin_once_and_writes_stdout_once(reviews):
    run = on_two_processes("classify", "-", given="good\nbad\n")
    rows = list(csv.DictReader(run.stdout.splitlines()))
    assert [row["text"] for row in rows] == ["good", "bad"]


def test_transfer_on_two_processes_finds_the_same(reviews):
    words = ["transfer", str(PRETRAINED), "--data", reviews, "--device", "cpu", "--quiet"]
    assert main([*words, "-o", "alone"]) == 0
    told = on_two_processes(*words, "-o", "shared", "--json").stdout
    alone = json.loads(Path("alone/results.json").read_text())
    shared = json.loads(Path("shared/results.json").read_text())
    assert json.loads(told)["all_neurons"] == shared["all_neurons"]
    assert shared["rows"] == alone["rows"]
    assert shared["sentiment_neuron"] == alone["sentiment_neuron"]
    for probe in ("all_neurons", "neurons"):
        for part in ("train", "valid", "test"):
            assert shared[probe][part]["accuracy"] == alone[probe][part]["accuracy"]
    for part in ("train", "valid", "test"):
        one, two = (np.load(f"{folder}/features_{part}.npz")["features"] for folder in ("alone", "shared"))
        np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-5)
