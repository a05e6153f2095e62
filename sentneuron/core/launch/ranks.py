"""The processes of a run, and what they tell each other.

Alone, a process is rank 0 of 1, and everything here is free. Tensors go through NCCL where they lie on GPUs, else
through gloo. Whoever waits in vain for another process gets a LostRankError.
"""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor

from sentneuron.core.errors import LostRankError
from sentneuron.core.launch.place import Place


class Ranks:
    """This process's number among those of the run, and what they exchange; each calls the same methods in turn."""

    def __init__(self, rank: int = 0, size: int = 1, *, device: torch.device | None = None) -> None:
        """Describe a process that stands alone, or one that `join` has connected."""
        self.rank = rank
        self.size = size
        self.device = device or torch.device("cpu")
        """Where small tensors of the exchange lie."""

    @property
    def is_first(self) -> bool:
        """True for rank 0, which alone writes files and speaks."""
        return self.rank == 0

    @classmethod
    @contextmanager
    def join(cls, place: Place | None, device: torch.device, *, timeout: float) -> Iterator[Self]:
        """Connect to the other processes for the time of a block; without a place, or alone in it, stand alone.

        Raises:
            LostRankError: not all of them came within `timeout` seconds, or one was lost within the block.
        """
        if place is None or place.size == 1:
            yield cls(device=device)
            return
        backend = "nccl" if device.type == "cuda" else "gloo"
        where = f"{place.master_addr}:{place.master_port}"
        try:
            store = _launchers_store(place, timeout)
            dist.init_process_group(
                backend,
                init_method=None if store else f"tcp://{where}",
                store=store,
                rank=place.rank,
                world_size=place.size,
                timeout=timedelta(seconds=timeout),
                device_id=device if device.type == "cuda" else None,
            )
        except (RuntimeError, ValueError) as error:
            raise LostRankError(
                f"rank {place.rank} of {place.size} did not meet the others at {where} within {timeout:.0f} s: "
                f"{_first_line(error)}",
                hint="start all of them, and check that this machine reaches that one",
            ) from error
        yield cls(place.rank, place.size, device=device)
        dist.destroy_process_group()

    def sum_(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over all ranks, in place; bitwise the same on all."""
        if self.size > 1:
            with self._others():
                dist.all_reduce(tensor)
        return tensor

    def broadcast_(self, tensor: Tensor) -> Tensor:
        """Overwrite a tensor with rank 0's."""
        if self.size > 1:
            with self._others():
                dist.broadcast(tensor, 0)
        return tensor

    def share(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return rank 0's plain values, such as JSON holds, on all ranks."""
        if self.size == 1:
            return values
        content = bytearray(json.dumps(values).encode())
        size = self.broadcast_(torch.tensor([len(content)], device=self.device))
        buffer = torch.zeros(int(size), dtype=torch.uint8, device=self.device)
        if self.is_first:
            buffer.copy_(torch.frombuffer(content, dtype=torch.uint8))
        return json.loads(bytes(self.broadcast_(buffer).tolist()))

    def gather(self, rows: Tensor) -> list[Tensor]:
        """Return every rank's rows [N, ...] on rank 0, where N may differ, and nothing on the others."""
        if self.size == 1:
            return [rows]
        with self._others():
            counts = torch.zeros(self.size, dtype=torch.long, device=self.device)
            counts[self.rank] = len(rows)
            dist.all_reduce(counts)
            longest = int(counts.max())
            padded = rows.new_zeros(longest, *rows.shape[1:])
            padded[: len(rows)] = rows
            found = [torch.empty_like(padded) for _ in range(self.size)] if self.is_first else None
            if longest:
                dist.gather(padded, found)
        return [part[:count] for part, count in zip(found or [], counts.tolist(), strict=False)]

    def gather_text(self, text: str) -> list[str]:
        """Return every rank's text on rank 0, and nothing on the others."""
        content = torch.frombuffer(bytearray(text.encode() or b"\0"), dtype=torch.uint8).to(self.device)
        return [bytes(part.tolist()).decode().rstrip("\0") for part in self.gather(content)]

    def wait(self) -> None:
        """Return when every rank is here."""
        self.sum_(torch.zeros(1, device=self.device))

    @contextmanager
    def _others(self) -> Iterator[None]:
        """Name the reason where an exchange fails.

        Raises:
            LostRankError: another rank is gone, or did not answer in time.
        """
        try:
            yield
        except RuntimeError as error:
            raise LostRankError(
                f"rank {self.rank} of {self.size} on {socket.gethostname()} lost another one: {_first_line(error)}",
                hint="look for the first error of the others; run again to go on",
            ) from error


def _launchers_store(place: Place, timeout: float) -> dist.Store | None:
    """Return the store of torch's launcher, where that listens at the meeting place already.

    The names of one attempt are kept from the next, which would connect to processes that are gone.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    store = dist.TCPStore(place.master_addr, place.master_port, is_master=False, timeout=timedelta(seconds=timeout))
    return dist.PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


def _first_line(error: Exception) -> str:
    """Return what is of use in torch's message: neither its source files nor its advice."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"\[/\S+\] ", "", line).partition(". This is typically")[0].rstrip(".")
