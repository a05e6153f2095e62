import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentneuron.core.data.splits import shard_paths, split_shards
from sentneuron.core.errors import UsageError


@pytest.mark.parametrize(
    ("num_shards", "parts", "counts"),
    [
        (1002, (1000, 1, 1), [1000, 1, 1]),
        (10, (1000, 1, 1), [8, 1, 1]),
        (3, (1000, 1, 1), [1, 1, 1]),
        (2004, (1000, 1, 1), [2000, 2, 2]),
        (10, (8, 1, 1), [8, 1, 1]),
        (10, (1,), [10, 0, 0]),
        (10, (3, 0, 1), [8, 0, 2]),
        (5, (1, 1), [3, 2, 0]),
    ],
)
def test_shards_are_dealt_in_proportion_with_one_at_least_for_each_named_part(num_shards, parts, counts):
    assert list(split_shards(num_shards, parts).values()) == counts


@given(num_shards=st.integers(3, 3000), first=st.integers(1, 2000), rest=st.lists(st.integers(0, 2000), max_size=2))
def test_every_shard_is_dealt_and_no_part_is_further_than_its_guaranteed_shards_from_its_share(num_shards, first, rest):
    parts = [first, *rest]
    counts = list(split_shards(num_shards, parts).values())[: len(parts)]
    assert sum(counts) == num_shards
    for part, count in zip(parts, counts, strict=True):
        assert (count > 0) == (part > 0)
        assert abs(count - num_shards * part / sum(parts)) < 3


def test_more_named_parts_than_shards_are_wrong_usage():
    with pytest.raises(UsageError, match="--shards 3 or more"):
        split_shards(2, (8, 1, 1))


def test_paths_are_numbered_from_zero_in_each_split():
    assert list(shard_paths({"train": 2, "valid": 0, "test": 1})) == [
        "train/00000.parquet",
        "train/00001.parquet",
        "test/00000.parquet",
    ]
