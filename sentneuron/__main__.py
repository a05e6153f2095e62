"""`sentneuron` and `python -m sentneuron`.

Worker processes import this file again before they are given work: it must stay light.
"""

import os
import sys


def main() -> int:
    """Run the command line; return the exit code."""
    from sentneuron.core.launch import status

    ended = status.begin(os.environ)
    if ended is not None:
        return ended

    from sentneuron.cli import main as run

    code = run()
    status.tell(os.environ, code)
    return code


if __name__ == "__main__":
    sys.exit(main())
