"""What is read equals what `torch.load` reads; any bit that flips and any cut is found, or changes nothing.

`SENTNEURON_FLIPS=10000` flips so many bits, and cuts a tenth as often.
"""

import os
import random
from argparse import Namespace

import numpy as np
import pytest
import torch

from sentneuron.core.config import ModelConfig, TrainConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError
from sentneuron.core.launch.ranks import Ranks
from sentneuron.core.model import envelope, stored_zip
from sentneuron.core.model.checkpoint import SavedModel, load_model, save_model
from sentneuron.core.model.envelope import check_plain, read_plain
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.training.optimizer import Optimizer

FLIPS = int(os.environ.get("SENTNEURON_FLIPS", "300"))


def is_same(found: object, expected: object) -> bool:
    if type(found) is not type(expected):
        return False
    if isinstance(expected, torch.Tensor):
        return found.dtype == expected.dtype and found.shape == expected.shape and torch.equal(found, expected)
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(is_same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(is_same, found, expected))
    return found == expected


def with_flips(content: bytes, *, num_flips: int, num_cuts: int):
    """Yield (what was done, the damaged content); a third of the flips is near the end, where the zip's list is."""
    draw = random.Random(0)
    for number in range(num_flips):
        first = len(content) * 2 // 3 if number % 3 == 0 else 0
        position, bit = draw.randrange(first, len(content)), draw.randrange(8)
        flipped = bytes([content[position] ^ 1 << bit])
        yield f"bit {bit} of byte {position}", content[:position] + flipped + content[position + 1 :]
    for _ in range(num_cuts):
        length = draw.randrange(len(content))
        yield f"cut to {length} bytes", content[:length]


def what_is_missed(path, scratch, *, num_flips: int = FLIPS, num_cuts: int = FLIPS // 10) -> tuple[list[str], int]:
    """Return the damage that was neither found nor harmless, and how often it was found."""
    expected, missed, num_found = read_plain(path), [], 0
    for what, content in with_flips(path.read_bytes(), num_flips=num_flips, num_cuts=num_cuts):
        scratch.write_bytes(content)
        try:
            if not is_same(read_plain(scratch), expected):
                missed.append(what)
        except DataError as error:
            num_found += 1
            if not str(error).startswith(str(scratch)) or not str(error).isprintable():
                missed.append(f"{what}: {error!r}")
    return missed, num_found


@pytest.fixture(params=["zip", "legacy"])
def rich(request, tmp_path):
    """A file of all that a file may hold: types, views of one storage, nothing, nesting, text of all kinds."""
    flat = torch.randn(40)
    dtypes = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.uint8)
    shared = (1, 2)
    contents = {
        "types": {str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in dtypes},
        "views": {"a": flat[:12].view(3, 4), "b": flat[12:12], "c": flat[20:].view(2, 10)},
        "elsewhere": foreign(),
        "single": torch.tensor(3.5),
        "numbers": [0, -1, 255, 65536, -(2**31), 2**62, 1.5, float("inf"), True, False, None],
        "text": ["", "é 🙂 \n \0", "\udc80", "x" * 300],
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), (shared, shared)],
        7: {"empty": [{}, [], ()]},
    }
    path = tmp_path / "rich.pt"
    torch.save(contents, path, _use_new_zipfile_serialization=request.param == "zip")
    return path


def foreign() -> dict[str, object]:
    """What files from elsewhere hold beside that; the first tensor is tied, as an embedding to its decoder."""
    module = torch.nn.Linear(3, 2)
    numbers = (np.float64(0.25), np.float32(0.5), np.int64(-7), np.bool_(True))
    space = Namespace(
        nhid=64, load="x/é.pt", lr=5e-4, cols=["a", "b"], thresholds=list(zip("abcd", numbers, strict=True))
    )
    weight = torch.randn(4, 6)
    return {
        "sd": module.state_dict(),
        "parameter": module.weight,
        "tied": [weight, weight],
        "halves": module.half().state_dict(),
        "turned": torch.randn(5, 4).t(),
        "columns": torch.randn(3, 8)[:, 1:4],
        "args": space,
    }


def read_by_torch(path):
    """What `torch.load` reads, which runs nothing either; a namespace as the dict of its values, and plain numbers."""
    numpy_kinds = [np.dtype, *(type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "?"))]
    with torch.serialization.safe_globals([Namespace, np._core.multiarray.scalar, *numpy_kinds]):
        return as_plain(torch.load(path, weights_only=True))


def as_plain(value: object) -> object:
    if isinstance(value, Namespace):
        return as_plain(vars(value))
    if isinstance(value, dict):
        return {as_plain(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(as_plain, value))
    if isinstance(value, torch.Tensor):
        return value.detach().requires_grad_(False)
    return value.item() if isinstance(value, np.generic) else value


def test_what_is_read_is_what_torch_load_reads(rich, small_model):
    for path in (rich, small_model):
        assert is_same(read_plain(path), read_by_torch(path))


def test_what_is_ours_is_simpler_than_what_is_read(rich, small_model, tmp_path):
    check_plain(small_model, name="x")
    weight = torch.randn(4, 6)
    for contents, expected in ((weight.t(), "not contiguous"), ([weight, weight], "share their numbers")):
        torch.save(contents, tmp_path / "x.pt")
        with pytest.raises(DataError, match=f"model would hold .*{expected}"):
            check_plain(tmp_path / "x.pt", name="model")


def test_halves_are_widened_as_they_are_read(rich):
    """The memory of each is used twice: the numbers must be those that one gets one by one."""
    found, expected = (read_plain(rich, widen=widen) for widen in (True, False))
    for kind in ("torch.float16", "torch.bfloat16"):
        assert is_same(found["types"][kind], expected["types"][kind].float())
    assert found["types"]["torch.int32"].dtype == torch.int32
    torch.save(halves := torch.randn(3 * envelope.WIDENED // 2 + 1).half(), rich)
    assert is_same(read_plain(rich, widen=True), halves.float())


@pytest.mark.parametrize(
    ("dtype", "layout"),
    [
        (torch.float16, "legacy"),
        pytest.param(torch.float32, "legacy", marks=pytest.mark.slow),
        pytest.param(torch.float16, "zip", marks=pytest.mark.slow),
    ],
)
def test_loading_takes_the_memory_of_the_fp32_weights(dtype, layout, tmp_path, peak):
    """Half precision is never there beside what it is widened to, which would take 1.5 times that."""
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(nhid=1536, emsize=16))
    num_bytes = 4 * sum(part.numel() for part in model.parameters())
    path = tmp_path / "model.pt"
    save_model(path, SavedModel(kind="language-model", model=model, rule=TextRule()), dtype=dtype)
    if layout == "legacy":
        torch.save(read_plain(path), path, _use_new_zipfile_serialization=False)
    read = peak(lambda: load_model(path))
    assert 0.99 * num_bytes < read < 1.25 * num_bytes, f"{read / num_bytes:.2f} times the fp32 weights"


def test_views_of_one_storage_still_share_it(rich):
    views = read_plain(rich)["views"]
    assert views["a"].untyped_storage().data_ptr() == views["c"].untyped_storage().data_ptr()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_weights_and_moments_as_a_run_saves_them_are_read(tmp_path, precision):
    """They are views of one buffer, with gaps in between."""
    optimizer = Optimizer(LanguageModel(ModelConfig(nhid=6, emsize=5)), TrainConfig(precision=precision), Ranks())
    optimizer.step(torch.zeros(()), learning_rate=0.1)
    contents = {"model": optimizer.weights(), "optimizer": optimizer.state_dict()}
    torch.save(contents, tmp_path / "x.pt")
    assert is_same(read_plain(tmp_path / "x.pt"), contents)


@pytest.mark.parametrize("value", ["0", "1"])
def test_no_environment_variable_makes_code_run(tmp_path, monkeypatch, value):
    class Payload:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "canary"),))

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", value)
    torch.save({"format": "sentneuron", "encoder": Payload()}, tmp_path / "x.pt")
    with pytest.raises(DataError, match=r"holds code \(posix\.mkdir\)"):
        read_plain(tmp_path / "x.pt")
    assert not (tmp_path / "canary").exists()


@pytest.mark.slow
def test_any_flipped_bit_or_cut_is_found_or_changes_nothing(small_model, tmp_path):
    missed, num_found = what_is_missed(small_model, tmp_path / "damaged.pt")
    print(f"{num_found:,} of {FLIPS + FLIPS // 10:,} found, the others changed nothing")
    assert missed == []
    assert num_found > FLIPS // 4


def test_every_cut_is_found(small_model, tmp_path):
    _, num_found = what_is_missed(small_model, tmp_path / "damaged.pt", num_flips=0, num_cuts=FLIPS // 10)
    assert num_found == FLIPS // 10


@pytest.mark.slow
def test_without_checksums_damage_would_be_missed(small_model, tmp_path, monkeypatch):
    monkeypatch.setattr(stored_zip, "is_sound", lambda checksum, entry: True)
    missed, _ = what_is_missed(small_model, tmp_path / "damaged.pt", num_flips=200, num_cuts=0)
    assert missed


def test_without_a_comparison_of_sizes_memory_would_be_taken(sound_parts, change, zipped, tmp_path, monkeypatch):
    path, asked = tmp_path / "model.pt", []
    path.write_bytes(zipped(change(sound_parts, "archive/data/0", content=b"tiny")))

    def ask(read_into, place, *, widen):
        asked.append(place.num_bytes)
        return torch.zeros(place.count, dtype=place.dtype)

    monkeypatch.setattr(envelope, "_read_storage", ask)
    with pytest.raises(DataError, match=r"data/0 is not of the size"):
        read_plain(path)
    assert asked == []
    monkeypatch.setattr(envelope, "compare_sizes", lambda found, declared, *, name: None)
    monkeypatch.setattr(envelope, "MAX_SHARED", 1 << 20)  # the same lie is found by it, too
    read_plain(path)
    assert asked[0] > 4


def test_both_checksums_are_the_same(small_model, monkeypatch):
    from zlib import crc32

    expected = read_plain(small_model)
    monkeypatch.setattr(stored_zip, "crc32", crc32)
    assert is_same(read_plain(small_model), expected)
