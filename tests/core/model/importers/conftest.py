"""The computation that every layout is held against, and the texts."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """The plain functions of oracle.py; pytest's importlib mode has no other way to a file beside a test."""
    spec = importlib.util.spec_from_file_location("oracle", Path(__file__).with_name("oracle.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def texts() -> list[bytes]:
    """Fifty texts of 4 to 60 bytes, every value of a byte among them."""
    random = np.random.default_rng(5)
    lengths = [4, *random.integers(20, 60, 48).tolist(), 60]
    everything = random.permutation(np.resize(np.arange(256, dtype=np.uint8), sum(lengths)))
    return [piece.tobytes() for piece in np.split(everything, np.cumsum(lengths)[:-1])]


@pytest.fixture(scope="session")
def observe(texts):
    """Return a function that gives the features of the first texts by the model at a path, and each text's logits."""
    import torch

    from sentneuron.core.model.checkpoint import load_model
    from sentneuron.core.model.runner import Runner
    from sentneuron.core.transfer.features import featurize

    def run(path: Path, num_texts: int = 50) -> list[tuple]:
        model, read = load_model(path).model, texts[:num_texts]
        with torch.inference_mode():
            logits = [model(torch.tensor([list(text)]), model.initial_state(1))[0][0].numpy() for text in read]
        return list(zip(featurize(Runner(model), read), logits, strict=True))

    return run


@pytest.fixture(scope="session")
def deviation(texts):
    """Return the largest difference between what was observed of the first texts and what `read` makes of them."""

    def compare(observed: list[tuple], read: Callable[[bytes], tuple]) -> float:
        pairs = zip(observed, map(read, texts[: len(observed)]), strict=True)
        return max(float(np.abs(ours - theirs).max()) for one in pairs for ours, theirs in zip(*one, strict=True))

    return compare


@pytest.fixture(scope="session")
def make_arrays():
    """Return OpenAI's 15 arrays of random numbers, by their names."""

    def make(nhid: int = 64, emsize: int = 16, dtype: str = "f4", seed: int = 7) -> dict[str, np.ndarray]:
        random = np.random.default_rng(seed)
        square = (nhid, nhid)
        shapes = [(256, emsize), (emsize, 4 * nhid), *[square] * 4, (emsize, nhid), square, (4 * nhid,)]
        arrays = [random.normal(size=shape) for shape in shapes]
        arrays += [random.uniform(0.5, 2.0, length) for length in (4 * nhid, 4 * nhid, nhid, nhid)]
        arrays += [random.normal(size=(nhid, 256)) / 4, random.normal(size=256)]
        return {str(number): array.astype(dtype) for number, array in enumerate(arrays)}

    return make


@pytest.fixture
def write_arrays(tmp_path):
    """Return a function that writes arrays as `.npy` files into a folder, and returns it."""

    def write(arrays: dict[str, np.ndarray], name: str = "model") -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for key, array in arrays.items():
            np.save(folder / f"{key}.npy", array)
        return folder

    return write


@pytest.fixture(scope="session")
def assert_same_model():
    """Return a function that holds two loaded models against each other, to the bit."""
    import torch

    def compare(one, other) -> None:
        assert one.rule == other.rule
        assert one.training == other.training
        for name, weight in other.model.state_dict().items():
            assert torch.equal(one.model.state_dict()[name], weight), name

    return compare


@pytest.fixture(scope="session")
def assert_refused():
    """Return a function that loads what is no sound model: one line that begins with the path, with a hint."""
    from sentneuron.core.errors import DataError
    from sentneuron.core.model.checkpoint import load_model

    def refuse(path: Path, message: str) -> None:
        with pytest.raises(DataError, match=message) as caught:
            load_model(path)
        assert str(caught.value).startswith(str(path))
        assert str(caught.value).isprintable()
        assert caught.value.hint

    return refuse
