import numpy as np

from sentneuron.core.transfer import unit_scale
from sentneuron.core.transfer.unit_scale import sample, typical_range

UNITS = np.array([1e-3, 2e-3, 3e-3])


def test_the_typical_range_is_a_percentile_over_all_bytes(sum_runner):
    sizes = [ord("a"), ord("a") + ord("b"), ord("z")]
    expected = np.percentile(np.outer(sizes, UNITS), 50, axis=0)
    found = typical_range(sum_runner, [b"ab", b"z"], percentile=50)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float32


def test_the_typical_range_of_nothing_is_one(sum_runner):
    np.testing.assert_array_equal(typical_range(sum_runner, []), [1, 1, 1])
    np.testing.assert_array_equal(typical_range(sum_runner, [b"", b"\0"]), [1, 1, 1])


def test_of_more_bytes_than_are_kept_evenly_many_count(sum_runner, monkeypatch):
    texts = [bytes([n % 250]) for n in range(5000)]
    monkeypatch.setattr(unit_scale, "VALUES", 3 * 700)  # every seventh byte
    found = typical_range(sum_runner, texts, percentile=50)
    np.testing.assert_allclose(found, 125 * UNITS, rtol=0.05)
    np.testing.assert_array_equal(typical_range(sum_runner, texts, percentile=50), found)


def test_the_sample_is_taken_from_all_over_and_has_an_end(monkeypatch):
    texts = [b"%04d" % n for n in range(1000)]
    picked = sample(texts)
    assert picked[:2] == [b"0000", b"0006"]  # of 200 places at most
    assert picked[-1] > b"0990"
    monkeypatch.setattr(unit_scale, "SCALE_BYTES", 10)
    assert b"".join(sample(texts)) == b"0000000600"
