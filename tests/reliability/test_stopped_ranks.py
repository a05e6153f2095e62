"""R5: a signal to the launcher stops all ranks at the same step, saved; run again, it ends as if none had come."""

import os
import signal
from pathlib import Path

import pytest

from sentneuron.core.training.resume import load_run, resume_path

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at /proc")]


def test_a_run_that_was_stopped_and_interrupted_ends_as_if_it_had_not(
    start, make_words, tmp_path, assert_as_whole, soon
):
    words = make_words(tmp_path)
    stopped = start(words, "--json")
    stopped.reach(30)
    stopped.process.terminate()
    assert stopped.wait(soon) == 75
    step = load_run(resume_path(stopped.save)).step
    assert stopped.last_step == step
    assert f"stopped by SIGTERM after step {step}, saved " in stopped.error
    assert stopped.result["hint"] == "run again to go on"

    interrupted = start(words, has_terminal=True)
    interrupted.reach(60)
    interrupted.press_ctrl_c()
    assert interrupted.wait(soon) == 130
    step = load_run(resume_path(interrupted.save)).step
    assert interrupted.last_step == step >= 60
    assert f"stopped by SIGINT after step {step}, saved " in interrupted.error

    twice = start(words, has_terminal=True)
    twice.reach(90)
    every = int(words[words.index("--save-every") + 1])
    os.kill(twice.ranks[1], signal.SIGSTOP)  # so that the first Ctrl-C cannot end it
    twice.press_ctrl_c()
    twice.wait_until(lambda: "press Ctrl-C again" in twice.err)
    twice.press_ctrl_c()
    assert twice.wait(soon) == 130
    assert twice.error == "error: interrupted; run again"
    step = load_run(resume_path(twice.save)).step
    assert step % every == 0
    assert 90 - every < step <= twice.last_step  # the last save; the run may have gone on before its rank was stopped

    again = start(words)
    assert again.wait() == 0, again.err
    assert again.errors == []
    assert_as_whole(again.save)


@pytest.mark.parametrize("moment", ["starting 2 processes", "rank 1 "])
def test_a_stop_before_training_ends_all_at_once(start, make_words, tmp_path, moment, soon):
    command = start(make_words(tmp_path), "--json")
    command.wait_until(lambda: moment in command.err)
    command.process.terminate()
    assert command.wait(soon) == 75
    assert command.error.startswith("error: stopped by SIGTERM ")
    assert command.error == f"error: {command.result['error']}; {command.result['hint']}"
    assert [path.name for path in tmp_path.glob("model*")] == []


def test_ranks_that_torchrun_started_stop_together_and_say_so_once(start, make_words, tmp_path, soon):
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    command = start(make_words(tmp_path), launcher=torchrun)
    command.reach(30)
    command.process.terminate()
    command.wait(soon)
    step = load_run(resume_path(command.save)).step
    assert [f"after step {step}" in line for line in command.errors if line.startswith("error: ")] == [True]
