"""Poisoned memory for every kernel, and Triton's interpreter where there is no GPU.

The interpreter's variable counts when triton is first imported: here, if not before.
"""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(autouse=True)
def poisoned_memory():
    """Fill new memory with NaN, so that a value nothing wrote cannot pass."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)
