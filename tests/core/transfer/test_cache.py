import numpy as np
import torch

from sentneuron.core.model.fingerprint import weights_fingerprint
from sentneuron.core.transfer.cache import cached_features, features_key, save_features

FEATURES = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_features_come_back_under_their_key_only(tmp_path):
    path = tmp_path / "features_train.npz"
    save_features(path, "a", FEATURES)
    np.testing.assert_array_equal(cached_features(path, "a"), FEATURES)
    assert cached_features(path, "b") is None


def test_a_file_that_is_missing_or_damaged_is_no_cache(tmp_path):
    path = tmp_path / "features_train.npz"
    assert cached_features(path, "a") is None
    save_features(path, "a", FEATURES)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert cached_features(path, "a") is None
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    found = cached_features(path, "a")
    assert found is None or np.array_equal(found, FEATURES)


def test_the_key_follows_weights_texts_and_how_features_are_taken():
    keys = {
        features_key(fingerprint, texts, pooling=pooling, all_layers=all_layers, precision=precision)
        for fingerprint in ("x", "y")
        for texts in ([b"a", b"b"], [b"ab"], [b"b", b"a"], [b"a b", b""])
        for pooling in ("last", "mean")
        for all_layers in (False, True)
        for precision in ("fp32", "bf16")
    }
    assert len(keys) == 64


def test_the_fingerprint_follows_every_weight():
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    before = weights_fingerprint(model)
    assert weights_fingerprint(model) == before
    with torch.no_grad():
        model.bias[1] += 1e-6
    assert weights_fingerprint(model) != before
