"""Features computed by several ranks: the first hands out texts and gets their rows, the others serve it.

The share of a rank is balanced by bytes, whatever the input: row groups handed out whole would leave ranks idle at the
end, and only Parquet has them. It follows from the texts and the number of ranks alone, and a text's features from the
text alone, up to rounding.

Rank 0 reads, fits, scores, writes and speaks between the rounds, for as long as it takes: a thread tells the others
once a second that they are still wanted. Within a round all ranks add up what they have done once a second, so that
one that is merely slow is waited for, and one that hangs is not.

Every rank holds the bytes of a round's texts, and rank 0 all of its rows.
"""

import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from sentneuron.core.config import Pooling
from sentneuron.core.errors import LostRankError
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.transfer.features import ByteRunner, Progress, featurize, no_progress, require_finite
from sentneuron.core.transfer.packing import pack

BEAT = 1.0
"""Seconds between two signs of life."""
PIECE = 4096
"""Rows of each rank that are gathered at a time: 64 MB of a device's memory a rank at 4,096 units."""
NOTHING_YET, END = -1, -2
"""What rank 0 sends in place of a number of texts."""


class FeaturePool:
    """Within its block, rank 0 calls `featurize` as often as it likes, and the others call `serve` once.

    A rank that stands alone works by itself.
    """

    def __init__(self, ranks: Ranks | None = None) -> None:
        self._ranks = ranks or Ranks()
        self._has_servers = self._ranks.is_first and self._ranks.size > 1
        self._turn = threading.Lock()
        """Held by whoever talks to the servers."""
        self._is_waited_on = True
        """The servers wait for a number of texts, and for nothing else."""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep_waiting, daemon=True)

    def __enter__(self) -> Self:
        if self._has_servers:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Send the servers home; where one is lost, or a round broke off, they notice that by themselves."""
        if not self._has_servers:
            return
        self._is_over.set()
        self._thread.join()
        if self._is_waited_on:
            with suppress(LostRankError):
                self._send(END)

    def featurize(
        self,
        runner: ByteRunner,
        texts: list[bytes],
        *,
        pooling: Pooling = "last",
        progress: Progress = no_progress,
    ) -> NDArray[np.float32]:
        """Return what `features.featurize` does; all ranks work on it, on the same model with the same pooling.

        Raises:
            DataError: a feature is not finite.
            LostRankError: another rank is gone, or hangs.
        """
        if not self._has_servers:
            return require_finite(featurize(runner, texts, pooling=pooling, progress=progress))
        if not any(texts):
            return np.zeros((len(texts), runner.num_units), np.float32)
        with self._turn:
            self._is_waited_on = False
            self._send(len(texts))
            lengths = torch.tensor([len(text) for text in texts], device=self._ranks.device)
            content = torch.frombuffer(bytearray().join(texts), dtype=torch.uint8)
            self._ranks.broadcast_(lengths)
            self._ranks.broadcast_(content.to(self._ranks.device))
            features = self._work(runner, texts, pooling, progress)
            self._is_waited_on = True
        return require_finite(features)

    def serve(self, runner: ByteRunner, *, pooling: Pooling) -> None:
        """Compute features for rank 0 until it needs no more.

        Raises:
            LostRankError: another rank is gone, or hangs.
        """
        while (num_texts := self._send(NOTHING_YET)) != END:
            if num_texts == NOTHING_YET:
                continue
            lengths = torch.zeros(num_texts, dtype=torch.long, device=self._ranks.device)
            sizes = self._ranks.broadcast_(lengths).tolist()
            content = torch.empty(sum(sizes), dtype=torch.uint8, device=self._ranks.device)
            parts = self._ranks.broadcast_(content).cpu().split(sizes)
            self._work(runner, [part.numpy().tobytes() for part in parts], pooling, no_progress)

    def _send(self, number: int) -> int:
        """Return the number that rank 0 sends; what the others give does not count."""
        return int(self._ranks.broadcast_(torch.tensor([number], device=self._ranks.device)))

    def _keep_waiting(self) -> None:
        """Give signs of life; where a rank is lost, the next round, or the end, meets the same error."""
        while not self._is_over.wait(BEAT):
            with self._turn, suppress(LostRankError):
                self._send(NOTHING_YET)

    def _work(
        self, runner: ByteRunner, texts: list[bytes], pooling: Pooling, progress: Progress
    ) -> NDArray[np.float32]:
        """Compute this rank's share; return all rows on rank 0, and zeros on the others."""
        ranks = self._ranks
        shares = pack([len(text) for text in texts], num_streams=ranks.size)
        shares += [[] for _ in range(ranks.size - len(shares))]
        mine = [texts[place] for place in shares[ranks.rank]]
        beat = _Beat(ranks, progress, total=sum(map(len, texts)))
        rows = torch.from_numpy(featurize(runner, mine, pooling=pooling, progress=beat.step))
        beat.finish()
        features = np.zeros((len(texts) if ranks.is_first else 0, runner.num_units), np.float32)
        for start in range(0, max(map(len, shares)), PIECE):
            piece = slice(start, start + PIECE)
            for share, found in zip(shares, ranks.gather(rows[piece].to(ranks.device)), strict=False):
                features[share[piece]] = found.cpu().numpy()
        return features


class _Beat:
    """What all ranks have done, added up once a second until the last has finished: all do so equally often."""

    def __init__(self, ranks: Ranks, progress: Progress, *, total: int) -> None:
        self._ranks = ranks
        self._progress = progress
        self._total = total
        self._done = 0
        self._due = time.monotonic() + BEAT

    def step(self, done: int, total: int | None) -> None:
        """Take note of this rank's progress."""
        self._done = done
        if time.monotonic() >= self._due:
            self._add_up(num_busy=1)

    def finish(self) -> None:
        """Wait for the others."""
        while self._add_up(num_busy=0):
            pass

    def _add_up(self, *, num_busy: int) -> int:
        """Report the progress of all ranks; return how many are busy."""
        sums = torch.tensor([num_busy, self._done], device=self._ranks.device)
        num_busy, done = self._ranks.sum_(sums).tolist()
        self._progress(done, self._total)
        self._due = time.monotonic() + BEAT
        return num_busy
