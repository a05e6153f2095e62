"""guillitte's port, as eight arrays and as two state dicts: it computes what the paper's equations do."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError
from sentneuron.core.model.checkpoint import load_model

WITHIN = 1e-5


def make_port(nhid: int = 64, emsize: int = 16, seed: int = 3) -> dict[str, np.ndarray]:
    """The eight arrays of random numbers; matrices are effective ones, (in, out)."""
    random = np.random.default_rng(seed)
    shapes = {"wx": (emsize, 4 * nhid), "wh": (nhid, 4 * nhid), "wmx": (emsize, nhid), "wmh": (nhid, nhid)}
    arrays = {key: random.normal(size=shape) * 1.2 / np.sqrt(shape[0]) for key, shape in shapes.items()}
    arrays |= {"embd": random.normal(size=(256, emsize)), "b0": random.normal(size=4 * nhid)}
    arrays |= {"w": random.normal(size=(nhid, 256)) / 4, "b": random.normal(size=256)}
    return {key: array.astype("f4") for key, array in arrays.items()}


def reader(oracle, port, *, gates="ifou", shift=0):
    """What the equations make of a text; at times with a fault."""
    a = {key: array.astype(np.float64) for key, array in port.items()}
    layer = {key: a[key] for key in ("wx", "wh", "wmx", "wmh")} | {"b": a["b0"]}
    embedding = np.roll(a["embd"], shift, axis=0)
    return lambda text: oracle.read(text, embedding=embedding, layers=[layer], gates=gates, w=a["w"], b=a["b"])


def state_dicts(port, *, like_its_loader: bool = False, dtype: torch.dtype = torch.float32) -> dict:
    """The same model as state dicts; its loader leaves matrices as transposed views of the arrays."""
    turned = {key: torch.from_numpy(array).to(dtype).t() for key, array in port.items() if array.ndim == 2}
    if not like_its_loader:
        turned = {key: tensor.contiguous() for key, tensor in turned.items()}
    rnn = {f"layer_0.{key}.weight": turned[key] for key in ("wx", "wh", "wmx", "wmh")}
    rnn |= {"layer_0.wh.bias": torch.from_numpy(port["b0"]).to(dtype), "h2o.weight": turned["w"]}
    rnn["h2o.bias"] = torch.from_numpy(port["b"]).to(dtype)
    return {"rnn": rnn, "embed": {"weight": torch.from_numpy(port["embd"]).to(dtype)}, "epoch": 0}


def saved_to(path: Path, values: dict, *, legacy: bool = False) -> Path:
    torch.save(values, path, _use_new_zipfile_serialization=not legacy)
    return path


def test_the_arrays_compute_what_the_equations_do(write_arrays, oracle, observe, deviation) -> None:
    port = make_port()
    assert deviation(observe(write_arrays(port, "weights")), reader(oracle, port)) < WITHIN


def test_another_gate_order_or_a_shifted_embedding_would_show(write_arrays, oracle, observe, deviation) -> None:
    port = make_port(nhid=16, emsize=4)
    observed = observe(write_arrays(port), 5)
    assert deviation(observed, reader(oracle, port)) < WITHIN
    for fault in ({"gates": "ifuo"}, {"gates": "fiou"}, {"shift": 1}):
        assert deviation(observed, reader(oracle, port, **fault)) > 1000 * WITHIN, fault


@pytest.mark.parametrize("like_its_loader", [False, True])
@pytest.mark.parametrize("legacy", [False, True])
def test_its_state_dicts_are_the_same_model_as_its_arrays(
    write_arrays, tmp_path, like_its_loader, legacy, assert_same_model
) -> None:
    port = make_port(nhid=8, emsize=4)
    values = state_dicts(port, like_its_loader=like_its_loader)
    assert_same_model(load_model(saved_to(tmp_path / "lm.pt", values, legacy=legacy)), load_model(write_arrays(port)))


@pytest.mark.parametrize(("dtype", "stored"), [(torch.float16, "f2"), (torch.float64, "f8")])
def test_state_dicts_of_halves_and_doubles_are_read(tmp_path, write_arrays, dtype, stored, assert_same_model) -> None:
    port = make_port(nhid=8, emsize=4)
    found = load_model(saved_to(tmp_path / "lm.pt", state_dicts(port, dtype=dtype)))
    assert_same_model(found, load_model(write_arrays({key: array.astype(stored) for key, array in port.items()})))


def test_weights_that_share_their_numbers_stay_what_they_are(tmp_path, write_arrays, assert_same_model) -> None:
    port = make_port(nhid=8, emsize=4)
    port["b0"] = port["b"][:32].copy()
    values = state_dicts(port)
    values["rnn"]["layer_0.wh.bias"] = values["rnn"]["h2o.bias"][:32]
    assert_same_model(load_model(saved_to(tmp_path / "lm.pt", values)), load_model(write_arrays(port)))


def test_it_reads_text_as_openais_model_does_and_names_its_neuron(write_arrays, monkeypatch) -> None:
    folder = write_arrays(make_port(nhid=8, emsize=4))
    saved = load_model(folder)
    assert saved.rule == TextRule(name="openai")
    assert saved.training == {"imported": {"layout": "guillitte", "id_offset": 0}}
    assert saved.model.config.weight_norm is False
    monkeypatch.setattr("sentneuron.core.model.importers.openai.PUBLISHED", {"E": 4, "H": 8})
    monkeypatch.setattr("sentneuron.core.model.importers.openai.SENTIMENT_NEURON", 5)
    assert load_model(folder).sentiment_neuron == 5


@pytest.mark.parametrize(
    ("key", "array", "message"),
    [
        ("wh", None, r"wh\.npy \(m to gates, \[8, 32\]\) is missing; guillitte's port is 8 \.npy files, embd, wx, wh"),
        ("wh", np.zeros((8, 24), "f4"), r"wh\.npy \(m to gates\) is \[8, 24\], not \[8, 32\]"),
        ("wmh", np.zeros((9, 9), "f4"), r"wmh\.npy \(state to m\) is \[9, 9\], not \[8, 8\]"),
        ("gx", np.zeros(32, "f4"), r"holds gx\.npy as well; guillitte's port is 8"),
    ],
)
def test_a_broken_folder_is_told_in_one_line(write_arrays, key, array, message) -> None:
    port = make_port(nhid=8, emsize=4)
    port.pop(key, None)
    if array is not None:
        port[key] = array
    with pytest.raises(DataError, match=message):
        load_model(write_arrays(port))


@pytest.mark.parametrize(
    ("part", "key", "tensor", "message"),
    [
        ("rnn", "layer_0.wmh.weight", None, r"rnn has no layer_0\.wmh\.weight"),
        ("embed", "weight", "words", r"embed has no weight"),
        ("rnn", "layer_1.wx.weight", torch.zeros(2), r"rnn holds layer_1\.wx\.weight; .* a single mLSTM layer is read"),
        ("rnn", "layer_0.wx.weight", torch.zeros(3, 4), r"not a usable model"),
        ("rnn", "layer_0.wx.weight", torch.tensor(0.0), r"not a usable model"),
        ("rnn", "layer_0.wmh.weight", torch.tensor(0.0), r"not a usable model"),
        ("embed", "weight", torch.zeros(256), r"not a usable model"),
        ("rnn", "layer_0.wh.weight", torch.zeros(28, 8), r"layers\.0\.weight_hh is \[28, 8\], not \[32, 8\]"),
        ("rnn", "h2o.bias", torch.zeros(256, dtype=torch.int64), r"decoder\.bias is of type torch\.int64"),
    ],
)
def test_broken_state_dicts_are_told_in_one_line(tmp_path, part, key, tensor, message) -> None:
    values = state_dicts(make_port(nhid=8, emsize=4))
    values[part].pop(key, None)
    if tensor is not None:
        values[part][key] = tensor
    path = saved_to(tmp_path / "lm.pt", values)
    with pytest.raises(DataError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_its_pickled_modules_are_refused(tmp_path) -> None:
    values = {"rnn": torch.nn.Linear(2, 2), "embed": torch.nn.Embedding(2, 2), "epoch": 0}
    for legacy in (False, True):
        with pytest.raises(DataError):
            load_model(saved_to(tmp_path / "mlstm_ns.pt", values, legacy=legacy))
