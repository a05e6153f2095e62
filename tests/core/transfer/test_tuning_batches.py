"""What fine-tuning reads: each text once an epoch, beside others of like length, and of a long one a stretch."""

import numpy as np

from sentneuron.core.transfer.tuning_batches import BATCH_SIZE, STRETCH, epoch_batches, stretches


def test_an_epoch_has_each_text_once_with_others_of_like_length():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 3000, 5000).tolist()
    batches = epoch_batches(lengths, draw=rng)
    assert sorted(np.concatenate(batches).tolist()) == list(range(5000))
    assert max(map(len, batches)) == BATCH_SIZE
    read = [np.minimum([lengths[place] for place in batch], STRETCH) for batch in batches]
    padded = sum(part.max() * len(part) for part in read)
    assert sum(part.sum() for part in read) > 0.9 * padded
    assert [part.mean() for part in read] != sorted(part.mean() for part in read)
    again = epoch_batches(lengths, draw=rng)
    assert not all(np.array_equal(one, two) for one, two in zip(batches, again, strict=True))


def test_of_a_long_text_another_stretch_is_read_each_time():
    text = bytes(range(256)) * 5
    found = {stretches([text, b"short"], draw=np.random.default_rng(seed))[0] for seed in range(50)}
    assert all(len(part) == STRETCH and part in text for part in found)
    assert len(found) > 40
    assert stretches([text, b"short"], draw=np.random.default_rng(0))[1] == b"short"
    ends = {stretches([text[: STRETCH + 1]], draw=np.random.default_rng(seed))[0] for seed in range(20)}
    assert ends == {text[:STRETCH], text[1 : STRETCH + 1]}
