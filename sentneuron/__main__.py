"""`sentneuron` and `python -m sentneuron`.

Worker processes import this file again before they are given work: it must stay light.
"""

import sys


def main() -> int:
    """Run the command line; return the exit code."""
    from sentneuron.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
