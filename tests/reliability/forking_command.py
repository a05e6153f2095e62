"""Run one command of `sentneuron` again and again in forks of one process, which has paid for the imports once.

Its argument is the command. Reads a list of arguments as JSON; starts the command with them in a session of its own,
its output in the file named by the first one; writes the process id. Reads an empty line; waits for the end and writes
the exit status (negative: the signal). Until then the id is not given to another process.
"""

import contextlib
import importlib
import io
import json
import os
import sys
import time
from collections.abc import Callable

FLUSH_SECONDS = 0.02
"""What a flush of a run's files takes at least, so that there is time to kill it meanwhile."""
BLOCK_BYTES = 50_000
"""So that a small input is many blocks and many parts, and no work too little for workers."""
IMPORTED_AT_FIRST_NEED = {
    "shard": ("pandas", "pyarrow.compute", "sentneuron.commands.console", "sentneuron.core.data.sharding"),
    "train": ("torch._dynamo", "pyarrow.parquet", "sentneuron.commands.console", "sentneuron.core.training.loop"),
}


def main() -> None:
    from sentneuron import cli
    from sentneuron.core.data import blocks, merging, spilling

    blocks.BLOCK_BYTES = spilling.BLOCK_BYTES = merging.PART_BYTES = BLOCK_BYTES
    command = sys.argv[1]
    for name in IMPORTED_AT_FIRST_NEED[command]:
        importlib.import_module(name)
    if command == "train":
        os.fsync = slow(os.fsync)
    with contextlib.redirect_stdout(io.StringIO()):
        cli.main([command, "--help"])
    while line := sys.stdin.readline():
        log, *arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.exit(cli.main([command, *arguments]))
        print(pid, flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def slow(flush: Callable[[int], None]) -> Callable[[int], None]:
    """Have a flush take its time."""

    def waiting(descriptor: int) -> None:
        time.sleep(FLUSH_SECONDS)
        flush(descriptor)

    return waiting


if __name__ == "__main__":
    main()
