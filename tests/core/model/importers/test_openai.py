"""OpenAI's folder of 15 arrays: it computes what the paper's equations do, and a wrong one is told in one line."""

import json

import numpy as np
import pytest
import torch

from sentneuron.cli import main
from sentneuron.core.data.text import TextRule
from sentneuron.core.model.checkpoint import load_model, save_model

WITHIN = 1e-5


def reader(oracle, arrays, *, gates="ifou", without_gain=None, shift=0):
    """What the equations make of a text, from the 15 arrays in their published layout; at times with a fault."""
    a = {int(key): array.astype(np.float64) for key, array in arrays.items()}
    if without_gain is not None:
        a[without_gain] = np.ones_like(a[without_gain])
    layer = {
        "wx": oracle.normalized(a[1], a[9]),
        "wh": oracle.normalized(np.concatenate([a[2], a[3], a[4], a[5]], axis=1), a[10]),
        "wmx": oracle.normalized(a[6], a[11]),
        "wmh": oracle.normalized(a[7], a[12]),
        "b": a[8],
    }
    embedding = np.roll(a[0], shift, axis=0)
    return lambda text: oracle.read(text, embedding=embedding, layers=[layer], gates=gates, w=a[13], b=a[14])


@pytest.mark.parametrize(("dtype", "num_texts"), [("f4", 50), ("f2", 5), ("f8", 5), (">f4", 5)])
def test_features_and_logits_are_those_of_the_papers_equations(
    make_arrays, write_arrays, oracle, observe, deviation, dtype, num_texts
) -> None:
    arrays = make_arrays(dtype=dtype)
    assert deviation(observe(write_arrays(arrays), num_texts), reader(oracle, arrays)) < WITHIN


FAULTS = [
    *({"gates": gates} for gates in ("ifuo", "fiou", "iofu", "ofiu")),
    *({"without_gain": gain} for gain in (9, 10, 11, 12)),
    {"shift": 1},
    {"shift": -1},
]


def test_another_gate_order_a_dropped_gain_or_a_shifted_embedding_would_show(
    make_arrays, write_arrays, oracle, observe, deviation
) -> None:
    arrays = make_arrays(nhid=16, emsize=4)
    observed = observe(write_arrays(arrays), 5)
    assert deviation(observed, reader(oracle, arrays)) < WITHIN
    for fault in FAULTS:
        assert deviation(observed, reader(oracle, arrays, **fault)) > 1000 * WITHIN, fault


def test_columns_that_hardly_have_a_length_mean_what_they_mean_to_tensorflow(
    make_arrays, write_arrays, oracle, observe, deviation, monkeypatch
) -> None:
    arrays = make_arrays(nhid=16, emsize=4)
    arrays["2"][:, 5] *= 1e-8
    arrays["6"][:, 3] = 0
    observed = observe(write_arrays(arrays), 5)

    def l2_normalized(v, g):
        return v / np.sqrt(np.maximum((v**2).sum(axis=0), 1e-12)) * g

    with np.errstate(invalid="ignore"):
        assert not deviation(observed, reader(oracle, arrays)) < WITHIN
    monkeypatch.setattr(oracle, "normalized", l2_normalized)
    assert deviation(observed, reader(oracle, arrays)) < WITHIN


def test_the_model_says_where_it_is_from_and_how_it_reads_text(make_arrays, write_arrays) -> None:
    saved = load_model(write_arrays(make_arrays(nhid=8, emsize=4)))
    assert saved.kind == "language-model"
    assert saved.rule == TextRule(name="openai")
    assert saved.training == {"imported": {"layout": "OpenAI", "id_offset": 0}}
    assert saved.sentiment_neuron is None
    assert saved.model.config.to_dict() == {
        "model": "mLSTM",
        "nhid": 8,
        "emsize": 4,
        "nlayers": 1,
        "dropout": 0.0,
        "tied": False,
        "weight_norm": True,
    }


def test_the_neuron_is_named_where_the_sizes_are_those_of_the_published_model(monkeypatch, make_arrays, write_arrays):
    monkeypatch.setattr("sentneuron.core.model.importers.openai.PUBLISHED", {"E": 4, "H": 8})
    monkeypatch.setattr("sentneuron.core.model.importers.openai.SENTIMENT_NEURON", 5)
    assert load_model(write_arrays(make_arrays(nhid=8, emsize=4))).sentiment_neuron == 5
    assert load_model(write_arrays(make_arrays(nhid=8, emsize=6), "wider")).sentiment_neuron is None


def test_saved_in_our_format_it_is_the_same_model(make_arrays, write_arrays, tmp_path, assert_same_model) -> None:
    saved = load_model(write_arrays(make_arrays(nhid=8, emsize=4)))
    save_model(tmp_path / "model.pt", saved)
    assert_same_model(load_model(tmp_path / "model.pt"), saved)


@pytest.mark.slow
def test_transfer_classify_and_heatmap_take_the_folder(
    make_arrays, write_arrays, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    write_arrays(make_arrays(nhid=8, emsize=4))
    words = ["bad", "good"]
    lines = [f"{number % 2},a {words[number % 2]} film <b>&amp;</b> no. {number} ä" for number in range(60)]
    (tmp_path / "small.csv").write_text("label,text\n" + "\n".join(lines) + "\n")

    assert main(["transfer", "model", "--data", "small.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "model"
    made = load_model(tmp_path / "model_transfer" / "classifier.pt")
    assert made.rule == TextRule(name="openai")
    assert made.imported == {"layout": "OpenAI", "id_offset": 0}
    assert_same_weights(made, load_model(tmp_path / "model"))

    assert main(["classify", "small.csv", "-q"]) == 0
    assert len(np.load("small.probs.npy")) == 60

    text = "Ä <b>&amp;</b> \U0001f600  good"
    words = ["--text", text, "--model", "model", "--neuron", "3", "--save", "out.jsonl"]
    assert main(["generate", "--heatmap", *words]) == 0
    [sample] = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sample["text"] == text
    assert len(sample["values"]) == len(text)
    assert len(set(sample["values"][5:10])) == 1  # `&amp;` is one byte
    assert len(set(sample["values"][14:18])) == 4  # an emoji is four, and each of three spaces one


def assert_same_weights(one, other) -> None:
    for name, weight in other.model.state_dict().items():
        assert torch.equal(one.model.state_dict()[name], weight), name
