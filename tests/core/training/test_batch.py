"""How the global batch is shared among ranks and cut into passes."""

import pytest

from sentneuron.core.errors import UsageError
from sentneuron.core.training.batch import share_batch


@pytest.mark.parametrize(
    ("num_streams", "num_ranks", "batch_size", "num_passes", "pass_size"),
    [
        (128, 1, 128, 1, 128),
        (128, 1, 64, 2, 64),
        (128, 8, 128, 1, 16),
        (96, 2, 32, 2, 24),
        (14, 1, 5, 7, 2),
        (7, 1, 5, 7, 1),
    ],
)
def test_every_stream_is_in_one_pass_of_one_rank(num_streams, num_ranks, batch_size, num_passes, pass_size):
    seen = []
    for rank in range(num_ranks):
        batch = share_batch(num_streams, rank=rank, num_ranks=num_ranks, batch_size=batch_size)
        assert (batch.num_passes, batch.pass_size) == (num_passes, pass_size)
        seen += [stream for part in batch.passes for stream in batch.streams[part]]
    assert seen == list(range(num_streams))


def test_streams_that_cannot_be_shared_equally_are_wrong_usage():
    with pytest.raises(UsageError, match="3 processes cannot share the run's global batch of 128 streams"):
        share_batch(128, rank=0, num_ranks=3, batch_size=128)
