"""Ctrl-C ends `classify` on several processes and `generate` with 130 and one line, and leaves nothing half-written."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

import sentneuron

PATIENCE = 100

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")]


def start(words: Sequence[str]) -> "subprocess.Popen[str]":
    settings = {name: value for name, value in os.environ.items() if not name.startswith("SENTNEURON_")}
    settings |= {"PYTHONPATH": str(Path(sentneuron.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "sentneuron", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=settings,
        start_new_session=True,
    )


def feed(fifo: Path) -> None:
    """Write rows until nobody reads them."""
    with suppress(BrokenPipeError), open(fifo, "w") as file:
        file.write("text\n")
        while True:
            file.write("good\n" * 1000)


def wait_until(is_reached: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("gpus", [(), ("--gpus", "2")])
def test_an_interrupted_classify_leaves_no_file_of_any_process(tmp_path: Path, gpus: tuple[str, ...]):
    fifo, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    os.mkfifo(fifo)
    process = start(["classify", str(fifo), "-o", str(output), "--device", "cpu", *gpus])
    feeder = threading.Thread(target=feed, args=(fifo,), daemon=True)
    feeder.start()
    wait_until(lambda: any(path.name.endswith(".tmp") for path in tmp_path.iterdir()), process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    feeder.join(timeout=PATIENCE)
    assert process.returncode == 130
    assert [line for line in err.splitlines() if line.startswith(("error", "Traceback"))] == ["error: interrupted"]
    assert err.splitlines()[-1] == "error: interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_an_interrupted_generate_keeps_what_was_written_and_says_so_on_a_line_of_its_own():
    process = start(["generate", "--text", "I loved", "--gen-length", "1000000000000", "--device", "cpu"])
    assert process.stdout is not None
    begun = process.stdout.read(40)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert begun.startswith("I loved")
    assert out.endswith("\n")
    assert err.splitlines() == ["model: the pretrained model", "error: interrupted"]
