"""How large a unit's cell value typically is: where a heatmap's colour is full.

A percentile for each unit, over a sample of bytes whose size does not grow with the text: VALUES numbers in all, held
in memory twice. What is sampled follows from the texts alone.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sentneuron.core.transfer.features import BATCH_SIZE, ByteRunner, sweep
from sentneuron.core.transfer.packing import pack

SCALE_BYTES = 32_768
"""Text that is read."""
VALUES = 1 << 23
"""Numbers that are kept: at 4,096 units those of 2,048 bytes, 34 MB."""


@torch.inference_mode()
def typical_range(runner: ByteRunner, texts: Sequence[bytes], *, percentile: float = 99) -> NDArray[np.float32]:
    """Return for each unit [F] the percentile of its value's size over the bytes of the texts; above zero.

    1 for a unit that is zero everywhere. Give tens of kilobytes, not a corpus.
    """
    num_bytes = sum(map(len, texts))
    if num_bytes == 0:
        return np.ones(runner.num_units, np.float32)
    # Odd, so that no stream of a full batch is left out at every step.
    stride = -(-num_bytes * runner.num_units // VALUES) | 1
    sizes = np.empty((-(-num_bytes // stride), runner.num_units), np.float32)
    seen = filled = 0
    for step in sweep(runner, texts, pack([len(text) for text in texts], num_streams=BATCH_SIZE)):
        picked = step.values[-seen % stride :: stride]
        sizes[filled : filled + len(picked)] = picked.abs().cpu().numpy()
        filled += len(picked)
        seen += len(step.values)
    found = np.percentile(sizes, percentile, axis=0, overwrite_input=True).astype(np.float32)
    return np.where(found > 0, found, np.float32(1))


def sample(texts: Sequence[bytes]) -> list[bytes]:
    """Return some texts from all over the list, SCALE_BYTES long together."""
    picked: list[bytes] = []
    room = SCALE_BYTES
    for text in texts[:: len(texts) // 200 + 1]:
        picked.append(text[:room])
        room -= len(picked[-1])
    return picked
