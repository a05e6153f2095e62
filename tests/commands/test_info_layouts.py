"""`info` on a model in each layout that is read: whose it is, and what is worth knowing of it, also as JSON."""

import argparse
import itertools
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sentneuron.cli import main

H, E = 8, 4
SHAPES = {"w_ih": (4 * H, E), "w_hh": (4 * H, H), "w_mih": (H, E), "w_mhh": (H, H)}
OPENAI = [(256, E), (E, 4 * H), *[(H, H)] * 4, (E, H), (H, H), *[(4 * H,)] * 3, (H,), (H,), (H, 256), (256,)]
PORT = {"embd": (256, E), "wx": (E, 4 * H), "wh": (H, 4 * H), "b0": (4 * H,), "wmx": (E, H), "wmh": (H, H)}
PORT |= {"w": (H, 256), "b": (256,)}


def folder(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    path.mkdir()
    for name, shape in shapes.items():
        np.save(path / f"{name}.npy", np.ones(shape, np.float32))
    return path


def openai(path: Path) -> Path:
    return folder(path, {str(number): shape for number, shape in enumerate(OPENAI)})


def openai_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in openai(path.with_name("arrays")).iterdir():
            archive.write(file, f"model/{file.name}")
    return path


def port(path: Path) -> Path:
    return folder(path, PORT)


def port_state_dicts(path: Path) -> Path:
    rnn = {f"layer_0.{name}.weight": torch.ones(PORT[name][::-1]) for name in ("wx", "wh", "wmx", "wmh")}
    rnn |= {"layer_0.wh.bias": torch.ones(4 * H), "h2o.weight": torch.ones(256, H), "h2o.bias": torch.ones(256)}
    torch.save({"rnn": rnn, "embed": {"weight": torch.ones(256, E)}}, path)
    return path


def encoder(num_ids: int, *, normed: bool) -> dict:
    torch.manual_seed(4)
    rnn = {f"rnns.0.{name}" + "_v" * normed: torch.randn(shape) for name, shape in SHAPES.items()}
    rnn |= {f"rnns.0.{name}_g": torch.ones(shape[0], 1) for name, shape in SHAPES.items()} if normed else {}
    return {"encoder": {"weight": torch.randn(num_ids, E)}, "rnn": rnn}


def nvidia(path: Path) -> Path:
    decoder = {"weight": torch.randn(257, H), "bias": torch.zeros(257)}
    values = {"sd": {"encoder": encoder(257, normed=True), "decoder": decoder}, "args": argparse.Namespace(nhid=H)}
    torch.save(values, path, _use_new_zipfile_serialization=False)
    return path


def nvidia_classifier(path: Path) -> Path:
    regression = {"weight": torch.arange(1.0, H + 1).unsqueeze(0), "bias": torch.zeros(1), "neurons": None}
    values = {"encoder": encoder(256, normed=False), "classifier": regression}
    torch.save(values, path, _use_new_zipfile_serialization=False)
    return path


def later_classifier(path: Path, *hidden: int, **settings: object) -> Path:
    """Of three labels, with hidden layers of these widths."""
    sizes = [H, *hidden, 3]
    layers = {"nonlinearity.weight": torch.tensor([0.25])}
    for place, (below, above) in enumerate(itertools.pairwise(sizes)):
        layers |= {f"model.{3 * place + 1}.weight": torch.ones(above, below)}
        layers |= {f"model.{3 * place + 1}.bias": torch.zeros(above)}
    layers |= {"final_layer.weight": torch.ones(3, sizes[-2]), "final_layer.bias": torch.zeros(3)}
    args = argparse.Namespace(classes=["anger", "joy", "trust"], get_hidden=True, **settings)
    torch.save({"lm_encoder": encoder(257, normed=True), "classifier": {"sd": layers}, "args": args}, path)
    return path


def softmax_classifier(path: Path) -> Path:
    return later_classifier(path, use_softmax=True)


def safetensors(path: Path) -> Path:
    model = str(nvidia(path.with_name("model.pt")))
    assert main(["export", model, "--format", "safetensors", "-o", str(path), "--quiet"]) == 0
    return path


LAYOUTS: list[tuple[Callable[..., Path], tuple[int, ...], str, str, dict]] = [
    (openai, (), "openai", "OpenAI's layout", {"id_offset": 0}),
    (openai_zip, (), "openai", "OpenAI's layout", {}),
    (port, (), "openai", "guillitte's layout", {"layout": "guillitte"}),
    (port_state_dicts, (), "openai", "guillitte's layout", {}),
    (nvidia, (), "nvidia", "NVIDIA's layout, ids shifted by 1", {"id_offset": 1, "decoder": True}),
    (safetensors, (), "nvidia", "NVIDIA's layout, ids shifted by 1", {"id_offset": 1}),
    (nvidia_classifier, (), "nvidia", "NVIDIA's layout, no decoder", {"decoder": False}),
    (later_classifier, (), "nvidia", "NVIDIA's layout, ids shifted by 1, no decoder", {}),
    (later_classifier, (6, 5), "nvidia", "NVIDIA's layout, ids shifted by 1, no decoder", {}),
    (
        softmax_classifier,
        (),
        "nvidia",
        "NVIDIA's layout, ids shifted by 1, no decoder, its classifier left out: a softmax over 3 classes",
        {"left_out": "a softmax over 3 classes"},
    ),
]


@pytest.mark.parametrize(
    ("write", "sizes", "rule", "origin", "noted"), LAYOUTS, ids=lambda part: getattr(part, "__name__", "")
)
def test_a_model_of_another_origin_is_described(write, sizes, rule, origin, noted, tmp_path, capsys, built_once):
    path = write(tmp_path / "it", *sizes)
    assert main(["info", str(path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"mLSTM, {H} units, 1 layer, embedding of {E}" in told
    assert f"text rule {rule}, version 1" in told
    assert imported_of(told) == origin
    assert main(["info", str(path), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["config"]["nhid"] == H
    assert values["text"]["name"] == rule
    assert values["imported"].items() >= noted.items()
    assert values["training"] == {}


def imported_of(told: str) -> str:
    """What stands beside `imported`; a sentiment neuron may follow it."""
    return told.partition(" imported ")[2].partition(" sentiment neuron ")[0]


def test_a_classifier_of_another_origin_is_told_by_its_classes_features_and_neurons(tmp_path, capsys, built_once):
    assert main(["info", str(nvidia_classifier(tmp_path / "old.clf"))]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "sentiment neuron 7 classes negative, positive features final cell state of 8 neurons" in told
    assert "1 by weight 1 used: 7 +8" in told
    assert main(["info", str(later_classifier(tmp_path / "new.clf", 3))]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "labels, any may hold anger, joy, trust features final hidden state of 8 neurons" in told


def test_the_hidden_layers_of_a_classifier_have_a_row_and_no_second_regression(tmp_path, capsys, built_once):
    assert main(["info", str(later_classifier(tmp_path / "it", 6, 5))]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "hidden layers 6, 5 all neurons" in told
    assert "by weight" not in told
