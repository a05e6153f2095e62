"""Writing a large file: its beginning goes to the disk while its end is still being made.

Left alone, the system keeps what is written in memory, and the disk starts when all is there and is flushed. Making a
checkpoint, of which checksums are most, then takes its time and the disk takes its own after it.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import IO, Self

STRETCH = 32 << 20
"""Bytes between two flushes: a tenth of a second or so of a disk's time."""


class EarlyFlushing:
    """A binary file open for writing, flushed by a thread on the way; the last stretch is the caller's to flush."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, "flush")
        self._flush: Future[None] | None = None
        self._waiting = 0
        """Bytes written since the last flush began."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the thread.

        Raises:
            OSError: the disk could not take it.
        """
        self._thread.shutdown()
        if self._flush is not None and error is None:
            self._flush.result()

    def write(self, data: bytes | memoryview) -> int:
        """Write it all; return its length.

        Raises:
            OSError: the disk is full, or could not take what was written before.
        """
        whole = memoryview(data).cast("B")
        for start in range(0, len(whole), STRETCH):
            self._waiting += self._file.write(whole[start : start + STRETCH])
            if self._waiting >= STRETCH and (self._flush is None or self._flush.done()):
                if self._flush is not None:
                    self._flush.result()
                self._file.flush()
                self._flush = self._thread.submit(os.fsync, self._file.fileno())
                self._waiting = 0
        return len(whole)

    def flush(self) -> None:
        """Hand over to the system what Python still holds."""
        self._file.flush()
