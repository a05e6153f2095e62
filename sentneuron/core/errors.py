"""The errors a user can cause, each with its exit code (sysexits).

A message says WHAT and WHERE; the hint says WHAT TO DO. `cli.main` prints them on one line and ends the process;
nothing in `core` does. A programming error is any other exception, and ends with code 1.
"""


class SentneuronError(Exception):
    """Stop the command with one line: `error: {message}; {hint}`."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(SentneuronError):
    """Wrong usage: options that cannot be combined, values out of range."""

    exit_code = 2


class DataError(SentneuronError):
    """Data or a model that cannot be used, more bad records than allowed, or a run that diverged."""

    exit_code = 65


class InputNotFoundError(SentneuronError):
    """An input that does not exist."""

    exit_code = 66


class OutputError(SentneuronError):
    """An output that exists already, or cannot be made."""

    exit_code = 73


class StorageError(SentneuronError):
    """An input/output error, or a full disk."""

    exit_code = 74


class StoppedError(SentneuronError):
    """Stopped by SIGTERM or SIGUSR1 after saving; run again to go on."""

    exit_code = 75


class InterruptedRunError(SentneuronError):
    """Stopped by Ctrl-C after saving."""

    exit_code = 130


class LostRankError(SentneuronError):
    """A process of the run is gone, hangs, or never came; the processes that are left end with this."""

    exit_code = 74
