"""`train --gpus`: the command is launched again, or is one of the processes that something else started."""

import json
import os
import shlex
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch

from sentneuron.cli import main
from sentneuron.core.errors import DataError, InterruptedRunError, LostRankError, StoppedError
from sentneuron.core.launch import launcher
from sentneuron.core.launch.outcome import Outcome
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.training import loop

TINY = "--nhid 8 --emsize 4 --batch-size 2 --seq-length 16 --max-steps 3 --resume never --device cpu"


@pytest.fixture
def launched(monkeypatch):
    """Replace the launcher; holds what it was asked for."""
    asked = []

    def launch(plan, words, *, verbose, announce):
        asked.append((plan.devices, list(words), verbose))
        return Outcome()

    monkeypatch.setattr(launcher, "launch", launch)
    return asked


@pytest.fixture
def rank(monkeypatch, train_report):
    """Make this process one of two; the engine and the exchange are replaced."""

    def become(number, **environ):
        place = {"RANK": number, "WORLD_SIZE": 2, "LOCAL_RANK": number, "LOCAL_WORLD_SIZE": 2}
        for name, value in (place | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1} | environ).items():
            monkeypatch.setenv(name, str(value))

        @contextmanager
        def join(place, device, *, timeout):
            ranks = Ranks(place.rank, place.size, device=device)
            ranks.gather_text = lambda text: [text, "h2  cpu"] if place.rank == 0 else []
            yield ranks

        def train(config, *, ranks, device, progress, announce):
            announce("a line")
            return train_report

        monkeypatch.setattr(Ranks, "join", join)
        monkeypatch.setattr(loop, "train", train)

    return become


def test_the_command_is_launched_again_with_the_same_words(launched, capsys):
    words = ["train", "a b.txt", "--gpus", "2", "--device", "cpu"]
    assert main(words) == 0
    assert launched == [(["cpu", "cpu"], words, False)]
    assert capsys.readouterr().err == "starting 2 processes on cpu, cpu\n"


def test_the_launched_processes_exit_code_and_error_are_the_commands(monkeypatch, capsys):
    outcome = Outcome(code=73, message="what", hint="do")
    monkeypatch.setattr(launcher, "launch", lambda plan, words, **how: outcome)
    assert main(["train", "--gpus", "2", "--device", "cpu", "--json", "--quiet"]) == 73
    said = capsys.readouterr()
    assert said.err == "error: what; do\n"
    assert json.loads(said.out) == {"error": "what", "hint": "do"}


def test_more_gpus_than_there_are_is_wrong_usage(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert main(["train", "--gpus", "8"]) == 2
    assert capsys.readouterr().err == "error: --gpus 8: this machine has 1 GPU; give fewer, or --device cpu\n"


def test_print_launch_prints_the_torchrun_line_only(launched, capsys):
    assert main(["train", "--gpus", "2", "--device", "cpu", "--lr", "0.1", "--print-launch", "a b.txt"]) == 0
    said = capsys.readouterr()
    line = "torchrun --standalone --nproc-per-node 2 -m sentneuron train --device cpu --lr 0.1 'a b.txt'\n"
    assert (said.out, said.err, launched) == (line, "", [])


def test_the_first_rank_speaks_and_names_every_ranks_device(rank, launched, capsys):
    rank(0)
    assert main(["train", "--device", "cpu", "--json", "--gpus", "2"]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines()[0].startswith("rank 0  ")
    assert said.err.splitlines()[1:3] == ["rank 1  h2  cpu", "a line"]
    assert json.loads(said.out)["steps"] == 30
    assert launched == []


def test_the_other_ranks_are_silent(rank, capsys):
    rank(1)
    assert main(["train", "--device", "cpu", "--json"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StoppedError("stopped", hint="run again"), 75, ""),
        (InterruptedRunError("stopped", hint="run again"), 130, ""),
        (LostRankError("rank 1 of 2 lost another one", hint="look"), 74, "error: rank 1 of 2 lost another one; look\n"),
        (DataError("shard 3 is damaged", hint="shard again"), 65, "error: rank 1: shard 3 is damaged; shard again\n"),
    ],
)
def test_the_other_ranks_say_what_the_first_cannot_know(rank, monkeypatch, capsys, error, code, said):
    rank(1)

    def train(*arguments, **options):
        raise error

    monkeypatch.setattr(loop, "train", train)
    assert main(["train", "--device", "cpu", "--json"]) == code
    assert capsys.readouterr() == ("", said)


def test_a_rank_takes_no_part_of_the_launch_but_the_number_of_gpus(rank, capsys):
    rank(1)
    words = "train --device cpu --gpus 2 --nnodes 2 --node-rank 1 --max-restarts 3 --print-launch"
    assert main(words.split()) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["train", "--device", "cpu", "--gpus", "3"]) == 2
    assert "--gpus 3, but 2 processes were started on this machine" in capsys.readouterr().err


def test_half_of_torchruns_variables_are_wrong_usage(rank, capsys):
    rank(1, MASTER_PORT="")
    assert main(["train", "--device", "cpu"]) == 2
    assert "without MASTER_PORT" in capsys.readouterr().err


@pytest.fixture
def corpus(tmp_path):
    lines = [f"review {number}: the film was {'very ' * (number % 4)}good, I say" for number in range(400)]
    (tmp_path / "reviews.txt").write_text("\n".join(lines))
    return tmp_path


def run(folder, *words):
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.slow
def test_the_printed_torchrun_line_trains_the_same_model(corpus, capsys):
    words = f"train reviews.txt {TINY} --gpus 2"
    assert main([*words.split(), "--save", "theirs.pt", "--print-launch"]) == 0
    theirs = shlex.split(capsys.readouterr().out)
    ours = run(corpus, sys.executable, "-m", "sentneuron", *words.split(), "--save", "ours.pt", "--json")
    assert (ours.returncode, json.loads(ours.stdout)["steps"]) == (0, 3), ours.stderr
    assert theirs[0] == "torchrun"
    done = run(corpus, sys.executable, "-m", "torch.distributed.run", *theirs[1:])
    assert done.returncode == 0, done.stderr
    weights = [load_model(corpus / name).model.state_dict() for name in ("ours.pt", "theirs.pt")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
def test_a_ranks_error_is_printed_once_and_its_code_is_the_launchers(corpus):
    os.mkdir(corpus / "model.pt")
    command = f"{sys.executable} -m sentneuron train reviews.txt {TINY} --gpus 2 --max-restarts 2"
    done = run(corpus, *command.replace("--resume never ", "").split())
    assert done.returncode == 73
    assert done.stderr.splitlines()[-1].startswith("error: model.pt")
    assert done.stderr.count("error") == 1
    assert "torch" not in done.stderr
