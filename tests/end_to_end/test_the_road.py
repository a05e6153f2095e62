"""The five commands, one after another in an empty folder, with no other argument than the README gives."""

import csv
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sentneuron.cli import main


@pytest.mark.slow
def test_the_five_commands_work_one_after_another(world, capsys):
    assert main(["shard", "reviews.json"]) == 0
    assert (world / "reviews.shards" / "manifest.json").exists()
    assert "documents read" in capsys.readouterr().err

    assert main(["train"]) == 0
    log = [json.loads(line) for line in (world / "model.log.jsonl").read_text().splitlines()]
    steps = [line for line in log if "learning_rate" in line]
    assert steps[-1]["step"] == 300
    assert steps[-1]["bits_per_byte"] < steps[0]["bits_per_byte"]
    assert "data: reviews.shards" in capsys.readouterr().err

    assert main(["transfer", "model.pt", "--neurons", "2", "--pooling", "mean", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    made = {path.name for path in (world / "model_transfer").iterdir()}
    assert {"classifier.pt", "results.json", "predictions.csv", "weights.png", "features_train.npz"} <= made
    assert sum(name.startswith("neuron_") for name in made) == 2
    assert json.loads((world / "model_transfer" / "results.json").read_text()) == {
        name: value for name, value in results.items() if name not in ("output", "files")
    }
    test = results["all_neurons"]["test"]
    assert test["majority_share"] < 0.55
    assert test["accuracy"] > 0.62  # of 200 texts: chance gets there once in 3,000 times

    assert main(["classify", "data.csv"]) == 0
    said = capsys.readouterr()
    assert "model_transfer/classifier.pt" in said.err.splitlines()[0]
    with open("data.csv", newline="") as before, open("data.classified.csv", newline="") as after:
        given, found = list(csv.DictReader(before)), list(csv.DictReader(after))
    assert [(row["label"], row["text"]) for row in found] == [(row["label"], row["text"]) for row in given]
    assert set(found[0]) == {"label", "text", "prediction", "probability", "neuron"}
    probabilities = np.load("data.probs.npy")
    assert probabilities.dtype == np.float32
    assert probabilities.tolist() == pytest.approx([float(row["probability"]) for row in found], abs=1e-6)

    assert main(["generate", "--heatmap", "--text", "I loved it, I hated it."]) == 0
    shown = capsys.readouterr()
    assert "I loved it, I hated it." in shown.out.replace("\n", "")
    assert Image.open("generated.png").size[0] > 200
    assert "I" in (world / "generated.html").read_text()

    assert main(["generate", "--text", "The film", "--gen-length", "25", "--save", "out.jsonl", "--heatmap"]) == 0
    sample = json.loads((world / "out.jsonl").read_text())
    assert len(sample["values"]) == len(sample["characters"]) == len(sample["text"])
    assert all(math.isfinite(value) for value in sample["values"])


@pytest.mark.slow
def test_the_same_commands_give_the_same_files(world, capsys):
    def run() -> list[bytes]:
        assert main(["shard", "reviews.json", "--force"]) == 0
        assert main(["train", "--resume", "never", "--max-steps", "5"]) == 0
        assert main(["transfer", "model.pt"]) == 0
        assert main(["classify", "data.csv"]) == 0
        names = ("model.pt", "data.classified.csv", "data.probs.npy", "model_transfer/predictions.csv")
        return [(world / name).read_bytes() for name in names[1:]]

    assert run() == run()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["classify", "missing.csv"], 66, ["missing.csv"]),
        (["classify", "data.csv", "--text-key", "nowhere"], 65, ["nowhere", "label, text"]),
        (["classify", "data.csv", "--model", "language.pt"], 65, ["language.pt", "sentneuron transfer language.pt"]),
        (["classify", "broken.csv"], 65, ["broken.csv"]),
        (["classify", "empty.csv"], 65, ["empty.csv is empty"]),
        (["classify", "data.csv", "--model", "data.csv"], 65, ["data.csv is not a model file"]),
        (["classify", "data.csv", "--model", "missing.pt"], 66, ["missing.pt"]),
        (["shard", "missing.json"], 66, ["missing.json"]),
        (["shard", "empty.csv"], 65, ["empty.csv"]),
        (["shard", "data.csv", "--text-key", "nowhere"], 65, ["nowhere"]),
        (["train"], 2, ["no *.shards folder here", "sentneuron train imdb"]),
        (["train", "missing.shards"], 66, ["missing.shards"]),
        (["train", "data.csv", "--lr", "0"], 2, ["--lr"]),
        (["transfer", "missing.pt"], 66, ["missing.pt"]),
        (["transfer", "language.pt", "--neurons", "999"], 2, ["999"]),
        (["generate", "--model", "language.pt", "--heatmap", "--text", "x"], 2, ["--neuron"]),
        (["generate", "--model", "missing.pt"], 66, ["missing.pt"]),
        (["generate", "--temperature", "-1"], 2, ["--temperature"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_gives_one_line_and_its_code_and_writes_nothing(world, capsys, arguments, code, words):
    from sentneuron.core.config import ModelConfig
    from sentneuron.core.data.text import TextRule
    from sentneuron.core.model.checkpoint import SavedModel, save_model
    from sentneuron.core.model.language_model import LanguageModel

    model = LanguageModel(ModelConfig(nhid=8))
    save_model(world / "language.pt", SavedModel(kind="language-model", model=model, rule=TextRule()))
    (world / "empty.csv").touch()
    (world / "broken.csv").write_text('label,text\n1,"never closed\n0,fine\n')
    before = sorted(world.rglob("*"))
    assert main(arguments) == code
    said = capsys.readouterr()
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in said.err
    assert said.out == ""
    for word in words:
        assert word in errors[0]
    assert sorted(world.rglob("*")) == before


def test_the_command_starts_as_a_module_too():
    done = subprocess.run([sys.executable, "-m", "sentneuron", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("sentneuron ")
