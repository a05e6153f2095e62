"""Every test: no settings from the outside, no named data set by accident, no network but loopback.

For those that ask for it, a `bucket` on a real S3 server, in a process of its own.
"""

import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sentneuron
from sentneuron.cli import main
from sentneuron.core import config

# Before torch is imported anywhere. The models of the tests are tiny: a second thread mostly waits, and on a busy
# machine they take three times as long with it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


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


def settings_of(words: list[str]) -> Any:
    """What a command line of one of the commands that run a model asks for, read by the command itself."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for command in ("train", "transfer", "classify", "generate"):
            name = f"{command.capitalize()}Config"
            kind: type = getattr(config, name)

            class Stopping(kind):
                def __init__(self, **settings: object) -> None:
                    super().__init__(**settings)
                    found.append(self)
                    raise SystemExit(0)

            patch.setattr(f"sentneuron.commands.{command}.{name}", Stopping)
        with pytest.raises(SystemExit):
            assert main(words) == 0, words
    return found[0]


@pytest.fixture(name="settings_of")
def _settings_of() -> Callable[[list[str]], Any]:
    return settings_of


@pytest.fixture(scope="session")
def _rank_server():
    """A process that runs ranks in forks of itself; see forking_ranks.py."""
    package = str(Path(sentneuron.__file__).parents[1])
    settings = {name: value for name, value in os.environ.items() if not name.startswith("SENTNEURON_")}
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("forking_ranks.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**settings, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"},
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def run_ranks(_rank_server, tmp_path):
    """Run a script in several ranks, and return what became of each; see forking_ranks.py."""

    def run(script: Path, size: int, **options: object) -> list[dict]:
        request = {"script": str(script), "size": size, "folder": str(tmp_path), **options}
        _rank_server.stdin.write(json.dumps(request, default=str) + "\n")
        _rank_server.stdin.flush()
        return json.loads(_rank_server.stdout.readline())

    return run


class Bucket:
    """A bucket, filled and looked at with plain HTTP, so that pyarrow is not its own witness."""

    numbers = itertools.count()

    def __init__(self, endpoint: str, log: Path) -> None:
        self.endpoint = endpoint
        self._log = log
        self.name = f"bucket-{next(self.numbers)}"
        self.uri = f"s3://{self.name}"
        self._ask("PUT", "")

    def put(self, name: str, content: bytes) -> str:
        """Store an object; returns its URI."""
        self._ask("PUT", name, content)
        return f"{self.uri}/{name}"

    def put_folder(self, folder: Path, name: str) -> str:
        """Store all files of a folder; returns its URI."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(f"{name}/{path.relative_to(folder)}", path.read_bytes())
        return f"{self.uri}/{name}"

    def get(self, name: str) -> bytes:
        return self._ask("GET", name)

    def delete(self, name: str) -> None:
        self._ask("DELETE", name)

    def names(self) -> list[str]:
        """All objects, but for the empty ones that stand for folders."""
        listing = self._ask("GET", "?list-type=2").decode()
        return [name for name in re.findall("<Key>(.*?)</Key>", listing) if not name.endswith("/")]

    def requests(self, method: str) -> list[str]:
        """Names of the objects that were asked for with a method, from the server's log."""
        asked = re.findall(rf"{method} /{self.name}/?(\S*) HTTP", self._log.read_text())
        return [name for name in asked if name and not name.startswith("?")]

    def _ask(self, method: str, name: str, content: bytes | None = None) -> bytes:
        url = f"{self.endpoint}/{self.name}/{name if name.startswith('?') else urllib.parse.quote(name)}"
        headers = {
            "Content-Type": "application/octet-stream",
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request",
        }
        request = urllib.request.Request(url, data=content, method=method, headers=headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            return answer.read()


@pytest.fixture(scope="session")
def _s3_server(tmp_path_factory):
    """The address and the log of moto's S3 server."""
    log = tmp_path_factory.mktemp("s3") / "server.log"
    keys = {"AWS_ACCESS_KEY_ID": "server", "AWS_SECRET_ACCESS_KEY": "server", "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with open(log, "wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | keys) as server:
        try:
            deadline = time.monotonic() + 60
            while not (started := re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text())):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, "the S3 server did not start"
                time.sleep(0.05)
            yield started[1], log
        finally:
            server.terminate()


@pytest.fixture
def bucket(_s3_server, monkeypatch) -> Bucket:
    """An empty bucket, and an environment that leads to it."""
    endpoint, log = _s3_server
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint,
    }.items():
        monkeypatch.setenv(name, value)
    return Bucket(endpoint, log)


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    """A small corpus with three splits; the text has something to learn."""
    from sentneuron.core.config import ShardConfig
    from sentneuron.core.data.sharding import write_shards

    folder = tmp_path_factory.mktemp("corpus")
    texts = [f"review {number}: the film was {'very ' * (number % 4)}good, I say" for number in range(400)]
    (folder / "reviews.txt").write_text("\n".join(texts))
    config = ShardConfig(
        inputs=(str(folder / "reviews.txt"),), output=folder / "reviews.shards", shards=80, split=(78, 1, 1)
    )
    write_shards(config)
    return folder / "reviews.shards"


@pytest.fixture
def make_model_file(tmp_path):
    """Return a function that writes a model of 12 untrained units, with a classifier for `classes`, if any."""
    import torch

    from sentneuron.core.config import ModelConfig
    from sentneuron.core.data.text import TextRule
    from sentneuron.core.model.checkpoint import SavedModel, save_model
    from sentneuron.core.model.language_model import LanguageModel

    def make(
        classes: tuple[str, ...] = ("0", "1"),
        *,
        name: str = "model.pt",
        pooling: str = "mean",
        multi_label: bool = False,
        nlayers: int = 1,
        seed: int = 3,
    ) -> Path:
        torch.manual_seed(seed)
        model = LanguageModel(ModelConfig(nhid=12, emsize=8, nlayers=nlayers)).eval()
        num_rows = 1 if len(classes) == 2 and not multi_label else len(classes)
        num_features = 12 * nlayers
        weight, neurons = torch.randn(num_rows, num_features) * 20, [4, 7]
        bias = torch.linspace(-0.2, 0.2, num_rows)
        classifier = {
            "classes": list(classes),
            "multi_label": multi_label,
            "pooling": pooling,
            "all_layers": nlayers > 1,
            "all": {"weight": weight, "bias": bias, "C": 0.5},
            "neurons": {"indices": neurons, "weight": weight[:, neurons], "bias": bias.clone(), "C": 0.25},
            "sentiment_neuron": neurons[0],
            "scale": torch.ones(num_features),
        }
        saved = SavedModel(kind="classifier" if classes else "language-model", model=model, rule=TextRule())
        saved.classifier = classifier if classes else None
        save_model(tmp_path / name, saved)
        return tmp_path / name

    return make


@pytest.fixture
def assert_same_run():
    """Hold a run's model, its log without the clocks and its resume file against another run's, to the bit."""
    import torch

    from sentneuron.core.model.checkpoint import load_model
    from sentneuron.core.training.journal import log_path, read_lines
    from sentneuron.core.training.resume import load_run, resume_path

    def without_clock(save: Path) -> list[dict]:
        return [
            {name: value for name, value in line.items() if name not in ("seconds", "bytes_per_second")}
            for line in read_lines(log_path(save))
        ]

    def compare(expected: Path, save: Path) -> None:
        weights = load_model(save).model.state_dict()
        for name, tensor in load_model(expected).model.state_dict().items():
            assert torch.equal(tensor, weights[name]), name
        assert without_clock(save) == without_clock(expected)
        run, whole = load_run(resume_path(save)), load_run(resume_path(expected))
        for name, tensor in whole.model.items():
            assert torch.equal(tensor, run.model[name]), name
        assert run.optimizer["num_updates"] == whole.optimizer["num_updates"]

    return compare
