"""Where a model runs."""

import pytest
import torch

from sentneuron.core.errors import UsageError
from sentneuron.core.model.device import pick_device


def test_auto_takes_the_gpu_only_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("auto").type == "cuda"
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UsageError, match="there are 2 GPUs"):
        pick_device("cuda:2")


def test_cuda_without_a_gpu_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="sees no CUDA device"):
        pick_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:1", ""])
def test_a_name_that_is_no_device_is_wrong_usage(name):
    with pytest.raises(UsageError, match="--device"):
        pick_device(name)
