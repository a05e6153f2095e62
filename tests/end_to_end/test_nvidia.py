"""NVIDIA's files through the command line, as their users have them: no option says what they are."""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sentneuron
from sentneuron.cli import main

NHID, EMSIZE = 16, 8
OPINIONS = (("I loved it, truly", 1), ("dull & flat", 0), ("so good", 1), ("never again", 0))
ROWS = [(f"{text} {number}", label) for number in range(10) for text, label in OPINIONS]


def language_model(num_ids: int = 257) -> dict[str, Any]:
    """What `RNNModel.state_dict` returns, weight-normed as after training."""
    torch.manual_seed(3)
    shapes = {"w_ih": (4 * NHID, EMSIZE), "w_hh": (4 * NHID, NHID), "w_mih": (NHID, EMSIZE), "w_mhh": (NHID, NHID)}
    rnn = {f"rnns.0.{name}_v": torch.randn(shape) for name, shape in shapes.items()}
    rnn |= {f"rnns.0.{name}_g": torch.ones(shape[0], 1) for name, shape in shapes.items()}
    rnn |= {f"rnns.0.{name}": torch.randn(4 * NHID) / 4 for name in ("b_ih", "b_hh")}
    return {
        "encoder": {"encoder": {"weight": torch.randn(num_ids, EMSIZE)}, "rnn": rnn},
        "decoder": {"weight": torch.randn(num_ids, NHID), "bias": torch.zeros(num_ids)},
    }


def classifier() -> dict[str, Any]:
    """What `finetune_classifier.py` saves with a single layer."""
    weight = torch.randn(2, NHID)
    layer = {"model.1.weight": weight, "model.1.bias": torch.zeros(2)}
    layer |= {"final_layer.weight": weight, "final_layer.bias": layer["model.1.bias"]}
    network = {"sd": layer, "thresholds": torch.tensor([0.5, 0.25]), "dual_threshold": False, "double_threshold": False}
    settings = argparse.Namespace(model="mLSTM", classes=["anger", "joy"], heads_per_class=1, use_softmax=False)
    return {"sd": {"lm_encoder": {"encoder": language_model()["encoder"]}, "classifier": network}, "args": settings}


@pytest.fixture(params=[pytest.param(True, id="zip", marks=pytest.mark.slow), pytest.param(False, id="legacy")])
def here(request, tmp_path, monkeypatch) -> Path:
    """A folder with both kinds of file, in the format of torch today or of 2018, and data."""
    for name, values in (("nvidia.pt", language_model()), ("nvidia.clf", classifier())):
        torch.save(values, tmp_path / name, _use_new_zipfile_serialization=request.param)
    with open(tmp_path / "data.csv", "w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *ROWS])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_classifier_of_the_later_generation_classifies(here, capsys):
    assert main(["classify", "--model", "nvidia.clf", "data.csv", "-o", "out.csv"]) == 0
    with open("out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(ROWS)
    found = sentneuron.load("nvidia.clf", device="cpu").classify([text for text, _ in ROWS])
    np.testing.assert_allclose([float(row["probability_joy"]) for row in rows], found.probabilities[:, 1], atol=1e-6)


@pytest.mark.slow
def test_a_language_model_transfers_generates_and_its_transfer_too(here, capsys):
    assert main(["transfer", "nvidia.pt", "--data", "data.csv", "--json"]) == 0
    capsys.readouterr()
    words = ["generate", "--text", "I loved", "--gen-length", "20", "--json"]
    for model in ("nvidia.pt", "nvidia_transfer/classifier.pt"):
        assert main([*words, "--model", model]) == 0
        made = json.loads(capsys.readouterr().out)
        assert "error" not in made
    saved = sentneuron.load("nvidia_transfer/classifier.pt", device="cpu")
    assert saved.training["imported"] == {"layout": "NVIDIA", "id_offset": 1, "decoder": True}


def test_a_classifier_without_a_decoder_says_so_when_asked_to_generate(here, capsys):
    assert main(["generate", "--model", "nvidia.clf", "--text", "I", "--json"]) == 65
    assert "holds no decoder" in json.loads(capsys.readouterr().out)["error"]
    assert main(["generate", "--model", "nvidia.clf", "--text", "I loved it", "--heatmap", "--json"]) == 0
