import os
import signal

import pytest

from sentneuron.core.launch import status


@pytest.fixture
def environ(tmp_path, monkeypatch):
    """What a launcher gives to a process; the process itself is left as it is."""
    monkeypatch.setattr(status, "_die_with", lambda launcher: None)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    return {
        status.FOLDER: str(tmp_path),
        status.LAUNCHER: "1",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "RANK": "3",
        "LOCAL_RANK": "1",
    }


def test_a_process_introduces_itself_and_tells_its_end(environ, tmp_path):
    assert status.begin(environ) is None
    (begun,) = status.read_all(tmp_path)
    assert (begun.pid, begun.rank, begun.local_rank, begun.code) == (os.getpid(), 3, 1, None)
    assert status.tell(environ, 65, message="what", hint="do")
    (ended,) = status.read_all(tmp_path)
    assert (ended.code, ended.message, ended.hint, ended.is_lost) == (65, "what", "do", False)
    assert ended.seconds > 0


def test_what_was_told_first_stands(environ, tmp_path):
    status.begin(environ)
    status.tell(environ, 74, message="lost", is_lost=True)
    status.tell(environ, 1)
    (ended,) = status.read_all(tmp_path)
    assert (ended.code, ended.message, ended.is_lost) == (74, "lost", True)


def test_a_process_that_something_else_started_tells_nothing():
    assert status.begin({}) is None
    assert not status.tell({}, 65, message="what")


@pytest.mark.parametrize("code", status.FINAL)
def test_an_end_that_cannot_be_mended_is_not_repeated(environ, tmp_path, code):
    status.begin(environ)
    status.tell(environ, code, message="what", hint="do")
    assert status.begin(environ | {"TORCHELASTIC_RESTART_COUNT": "1", "LOCAL_RANK": "0", "RANK": "2"}) == code
    first, second = status.read_all(tmp_path)
    assert (second.attempt, second.code, second.message, second.seconds) == (1, code, "what", first.seconds)


def test_a_process_whose_launcher_has_gone_ends_at_once(environ, tmp_path):
    assert status.begin(environ | {status.FOLDER: str(tmp_path / "removed")}) == 75


def test_after_a_lost_process_another_attempt_is_made(environ):
    status.begin(environ)
    status.tell(environ, 74, message="lost", is_lost=True)
    assert status.begin(environ | {"TORCHELASTIC_RESTART_COUNT": "1"}) is None


def test_processes_that_made_room_for_another_machine_go_on(environ):
    status.begin(environ)
    status.tell(environ, 75, message="stopped")
    assert status.begin(environ) is None  # the same attempt again
    assert status.begin(environ | {"TORCHELASTIC_RESTART_COUNT": "1"}) is None
