"""What dropout draws, as a pure function of where a run stands: no generator has to be saved."""

import hashlib

import torch


def seed_generators(seed: int, *, step: int, stream: int) -> None:
    """Seed torch's generators, the GPUs' too, for the window at `step` of the streams from `stream` on.

    The numbers drawn depend on how streams are shared among ranks and passes.
    """
    digest = hashlib.blake2b(f"{seed} {step} {stream}".encode(), digest_size=8).digest()
    torch.manual_seed(int.from_bytes(digest, "little") >> 1)
