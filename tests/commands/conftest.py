"""What tests of many command lines share."""

from pathlib import Path

import pytest
import typer

from sentneuron.cli import app
from sentneuron.core.training.report import TrainReport


@pytest.fixture(scope="session")
def _command_line():
    return typer.main.get_command(app)


@pytest.fixture
def built_once(_command_line, monkeypatch):
    """Keep Typer from building the same commands for every run, which is half of the time of one that is refused."""
    monkeypatch.setattr("typer.main.get_command", lambda app: _command_line)


@pytest.fixture
def train_report():
    """What a run of training came to."""
    return TrainReport(
        save=Path("model.pt"),
        steps=30,
        epochs=0.5,
        bytes=7680,
        tail_bytes=12,
        bits_per_byte=2.25,
        valid_bits_per_byte=2.5,
        test_bits_per_byte=None,
        seconds=60.0,
        was_finished=False,
    )
