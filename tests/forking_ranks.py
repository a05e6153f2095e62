"""Run the ranks of a test in forks of one process, which has paid for the imports once.

Reads requests, a JSON object a line: `script`, a file with a function `run(place, request, result)`; `size`, the number
of ranks; `folder` for results; and whatever else the script understands. Writes one JSON list a line: each rank's
`result` as its `run` has filled it, with an `error` and its `code` where it raised one, or the `signal` that killed it.
"""

import importlib.util
import json
import os
import signal
import socket
import sys
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType

import pyarrow.parquet  # noqa: F401  a rank would import it at its first shard

from sentneuron.core.errors import SentneuronError
from sentneuron.core.launch.place import Place

SECONDS = 60
"""A rank that takes longer is ended."""


def main() -> None:
    while line := sys.stdin.readline():
        request = json.loads(line)
        script = load(request["script"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        paths = [Path(request["folder"]) / f"result.{rank}.json" for rank in range(request["size"])]
        pids = []
        for rank, path in enumerate(paths):
            path.unlink(missing_ok=True)
            pid = os.fork()
            if pid == 0:
                signal.alarm(SECONDS)
                path.write_text(json.dumps(run_rank(script, rank, port, request)))
                os._exit(0)
            pids.append(pid)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        results = [
            {"signal": -code} if code else json.loads(path.read_text()) for code, path in zip(codes, paths, strict=True)
        ]
        print(json.dumps(results), flush=True)


@cache
def load(path: str) -> ModuleType:
    """Import a script, and all that it imports, into this process."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def run_rank(script: ModuleType, rank: int, port: int, request: dict) -> dict:
    """Run one rank; return what became of it."""
    size = request["size"]
    place = Place(rank=rank, size=size, local_rank=rank, local_size=size, master_addr="127.0.0.1", master_port=port)
    result: dict = {}
    try:
        script.run(place, request, result)
    except SentneuronError as error:
        result |= {"error": str(error), "code": error.exit_code}
    except Exception:
        result |= {"error": traceback.format_exc(), "code": 1}
    return result


if __name__ == "__main__":
    main()
