"""What tests of many command lines share."""

import pytest
import typer

from sentneuron.cli import app


@pytest.fixture(scope="session")
def _command_line():
    return typer.main.get_command(app)


@pytest.fixture
def built_once(_command_line, monkeypatch):
    """Keep Typer from building the same commands for every run, which is half of the time of one that is refused."""
    monkeypatch.setattr("typer.main.get_command", lambda app: _command_line)
