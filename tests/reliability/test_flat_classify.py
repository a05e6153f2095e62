"""R8: the memory of `classify` does not grow with its input; `benchmarks/classify_memory.py` goes to a million rows."""

import csv
import mmap
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sentneuron.core.config import ClassifyConfig, ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.model.checkpoint import SavedModel, save_model
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.transfer import classify as engine

ROWS = 40_000
CHUNK = 200
ALLOWED = 2e6
"""Bytes by which memory may grow from a quarter of the rows to the end: allocators breathe."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="looks at /proc")]


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClassifyConfig:
    """A tiny classifier, and rows in chunks as small as it is, through a FIFO."""
    torch.manual_seed(0)
    values: dict[str, Any] = {
        "classes": ["0", "1"],
        "multi_label": False,
        "pooling": "mean",
        "all_layers": False,
        "all": {"weight": torch.randn(1, 4), "bias": torch.zeros(1), "C": 1.0},
        "neurons": {"indices": [0], "weight": torch.ones(1, 1), "bias": torch.zeros(1), "C": 1.0},
        "sentiment_neuron": 0,
        "scale": torch.ones(4),
    }
    model = LanguageModel(ModelConfig(nhid=4, emsize=4))
    save_model(tmp_path / "c.pt", SavedModel(kind="classifier", model=model, rule=TextRule(), classifier=values))
    monkeypatch.setattr(engine, "CHUNK_ROWS", CHUNK)
    os.mkfifo(tmp_path / "rows.csv")
    return ClassifyConfig(
        data=str(tmp_path / "rows.csv"), model=str(tmp_path / "c.pt"), output=tmp_path / "out.csv", device="cpu"
    )


def growth(config: ClassifyConfig, monkeypatch: pytest.MonkeyPatch, *, leak: int = 0) -> float:
    """Bytes from a quarter of the rows to the end, by least squares; `leak` bytes are kept for each chunk."""
    sizes: list[int] = []
    kept: list[mmap.mmap] = []
    write = engine._Results.write

    def write_and_look(self: Any, rows: list[Any], scored: Any) -> None:
        write(self, rows, scored)
        if leak:
            kept.append(mmap.mmap(-1, leak))
            kept[-1].write(bytes(leak))
        sizes.append(resident())

    def feed() -> None:
        with open(str(config.data), "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["label", "text"])
            writer.writerows((row % 2, f"row {row}: {'so ' * (row % 9)}good, I say") for row in range(ROWS))

    monkeypatch.setattr(engine._Results, "write", write_and_look)
    thread = threading.Thread(target=feed)
    thread.start()
    report = engine.classify(config)
    thread.join()
    assert report is not None
    assert report.rows == ROWS
    assert report.scores is not None
    late = sizes[len(sizes) // 4 :]
    return float(np.polyfit(range(len(late)), late, 1)[0]) * len(late)


def test_memory_is_flat_over_the_rows_of_an_input(config, monkeypatch):
    found = growth(config, monkeypatch)
    print(f"{ROWS:,} rows: {found:,.0f} bytes")
    assert found < ALLOWED


def test_a_leak_of_a_hundred_bytes_a_row_would_be_seen(config, monkeypatch):
    assert growth(config, monkeypatch, leak=100 * CHUNK) > ALLOWED
