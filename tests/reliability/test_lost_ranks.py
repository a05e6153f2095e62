"""R2: whichever process of a run is killed or hangs, all end soon, one line says why, and run again it goes on."""

import os
import signal
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at /proc")]


def test_run_again_after_processes_were_lost_a_run_ends_as_if_none_had_been(
    start, make_words, tmp_path, assert_as_whole, soon
):
    words = make_words(tmp_path)
    killed = start(words, "--json")
    killed.reach(30)
    os.kill(killed.ranks[1], signal.SIGKILL)
    assert killed.wait(soon) == 74
    assert "rank 1 on " in killed.error
    assert "was killed by SIGKILL; " in killed.error
    assert killed.error.startswith(f"error: {killed.result['error']}; ")

    orphaned = start(words)
    orphaned.reach(60)
    assert len(orphaned.ranks) == 2
    orphaned.process.kill()
    orphaned.wait(soon)

    hung = start(words, "--rank-timeout", "5")
    hung.reach(90)
    os.kill(hung.ranks[1], signal.SIGSTOP)
    assert hung.wait(5 + 2 * soon) == 74
    assert "rank 1 on " in hung.error
    assert " hung and was killed; " in hung.error

    again = start(words)
    assert again.wait() == 0, again.err
    assert again.errors == []
    assert_as_whole(again.save)


def test_with_restarts_a_run_that_lost_a_rank_goes_on_by_itself(start, make_words, tmp_path, assert_as_whole):
    command = start(make_words(tmp_path), "--max-restarts", "1", "--json")
    command.reach(60)
    os.kill(command.ranks[0], signal.SIGKILL)
    assert command.wait() == 0, command.err
    assert "warning: a process was lost: all were started again, restart 1" in command.err
    assert "going on from step" in command.err
    assert command.result["steps"] == 160
    assert command.errors == []
    assert_as_whole(command.save)
