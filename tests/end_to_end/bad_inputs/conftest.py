"""A folder with models to stand in, and commands that meet malformed inputs there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sentneuron.cli import main
from sentneuron.core.config import ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.model.checkpoint import SavedModel, save_model
from sentneuron.core.model.language_model import LanguageModel

TRAIN = ["--nhid", "4", "--emsize", "2", "--batch-size", "2", "--seq-length", "8", "--max-steps", "1", "--split", "1"]


@pytest.fixture
def commands() -> Callable[[str], dict[str, list[str]]]:
    """Give the words of each command for a source."""

    def words(source: str) -> dict[str, list[str]]:
        return {
            "train": ["train", source, "--device", "cpu", *TRAIN],
            "transfer": ["transfer", "lm.pt", "--data", source, "--device", "cpu"],
            "classify": ["classify", source, "--model", "clf.pt", "--device", "cpu", "-o", "out.csv"],
            "info": ["info", source],
        }

    return words


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a language model and a classifier."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(1)
    model = LanguageModel(ModelConfig(nhid=4, emsize=2)).eval()
    save_model(folder / "lm.pt", SavedModel(kind="language-model", model=model, rule=TextRule()))
    probe = {"weight": torch.ones(1, 4), "bias": torch.zeros(1), "C": 1.0}
    few = {"indices": [3], "weight": torch.ones(1, 1), "bias": torch.zeros(1), "C": 1.0}
    classifier = {
        "classes": ["0", "1"],
        "multi_label": False,
        "pooling": "mean",
        "all_layers": False,
        "all": probe,
        "neurons": few,
        "sentiment_neuron": 3,
        "scale": torch.full((4,), 0.25),
    }
    save_model(folder / "clf.pt", SavedModel(kind="classifier", model=model, rule=TextRule(), classifier=classifier))
    return folder


@pytest.fixture(autouse=True)
def _here(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("lm.pt", "clf.pt"):
        os.link(models / name, name)


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Callable[[list[str], int, str], None]:
    """Run a command: an error is one line that says so, on stderr, and leaves nothing; else there is none, and what is
    to be said stands anywhere, on a line or more."""

    def run(words: list[str], code: int, said: str) -> None:
        before = sorted(os.listdir())
        assert main(words) == code
        out, err = capsys.readouterr()
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert said in (errors[0] if code else " ".join((err + out).split()))
        assert len(errors) == (code != 0)
        assert "Traceback" not in err
        if code:
            assert out == ""
            # A lock and the folder of sharded texts stay; neither is an output.
            assert sorted(set(os.listdir()) - {".sentneuron", ".model.pt.lock"}) == before
            assert not list(Path().rglob("*.tmp"))

    return run
