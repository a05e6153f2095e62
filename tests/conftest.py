"""Every test: no settings from the outside, no named data set by accident, no network but loopback."""

import os
import socket

import pytest


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch, tmp_path_factory):
    for name in list(os.environ):
        if name.startswith("SENTNEURON_") or name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SENTNEURON_DATA", str(tmp_path_factory.getbasetemp() / "no-data"))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    connect = socket.socket.connect

    def connect_to_loopback(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"a test tried to reach {address[0]}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_to_loopback)
