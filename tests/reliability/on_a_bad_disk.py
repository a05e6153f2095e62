"""Run commands of `sentneuron` in one process, and say of each how it ended and what lay in a folder then.

Reads a JSON list of steps on stdin: {"words": [...]} runs a command; {"fill": path, "leave": bytes} fills a disk up to
some room; {"remove": path} frees it; {"limit": bytes} bounds the size of files; {"blind": true} forgets to look for
room first. Writes a JSON list: `code`, `err`, and `files` (name and hash of each in the folder of the first argument).
"""

import contextlib
import hashlib
import io
import json
import os
import resource
import shutil
import sys
from pathlib import Path


def main() -> None:
    from sentneuron.cli import main as run
    from sentneuron.core.training.files import RunFiles

    folder, results = Path(sys.argv[1]), []
    for step in json.load(sys.stdin):
        code, err = 0, io.StringIO()
        if "words" in step:
            with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
                code = run(step["words"])
        elif "fill" in step:
            with open(step["fill"], "wb", buffering=0) as file:
                while (free := shutil.disk_usage(folder).free - step["leave"]) > 0:
                    file.write(bytes(min(free, 65536)))
        elif "limit" in step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (step["limit"], resource.RLIM_INFINITY))
        elif "blind" in step:
            RunFiles.require_room = lambda self, num_bytes: None
        elif "remove" in step:
            os.unlink(step["remove"])
        files = {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        results.append({"code": code, "err": err.getvalue(), "files": files})
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
