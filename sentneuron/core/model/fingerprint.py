"""A hash that stands for a model's weights."""

import hashlib

from torch import nn


def weights_fingerprint(model: nn.Module) -> str:
    """Return a hash of a model's parameters, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().data)
    return digest.hexdigest()
