"""What info says of a model is what its file holds, whoever wrote it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sentneuron.core.config import ReadConfig
from sentneuron.core.errors import DataError, InputNotFoundError
from sentneuron.core.info import describe
from sentneuron.core.info.model import MAX_WEIGHTS, ModelInfo, RunInfo
from sentneuron.core.model.checkpoint import load_model, save_contents, save_model
from sentneuron.core.model.locate import PRETRAINED
from sentneuron.core.training.resume import RunState, save_run


def of(path: Path):
    return describe(str(path), ReadConfig())


def test_a_language_model_is_told_by_architecture_parameters_and_record(make_model_file):
    path = make_model_file(())
    saved = load_model(path)
    saved.training = {"steps": 7, "bytes": 900}
    save_model(path, saved)
    found = of(path)
    assert isinstance(found, ModelInfo)
    assert (found.kind, found.bytes, found.precision) == ("language-model", path.stat().st_size, "fp32")
    assert found.config == saved.model.config.to_dict()
    assert found.parameters == sum(parameter.numel() for parameter in saved.model.parameters())
    assert (found.text, found.imported) == (saved.rule.to_dict(), {})
    assert found.training == {"steps": 7, "bytes": 900}
    assert (found.classifier, found.sentiment_neuron) == (None, None)


@pytest.mark.parametrize(("dtype", "name"), [(torch.float16, "fp16"), (torch.bfloat16, "bf16")])
def test_the_precision_is_that_of_the_file(make_model_file, dtype, name):
    path = make_model_file(())
    save_model(path, load_model(path), dtype=dtype)
    assert of(path).precision == name


def test_a_classifier_is_told_by_its_classes_and_heaviest_neurons(make_model_file):
    path = make_model_file(("awful", "fine"))
    classifier = load_model(path).classifier
    found = of(path).classifier
    assert (found.classes, found.multi_label, found.pooling, found.features) == (["awful", "fine"], False, "mean", 12)
    assert (found.few, found.is_dropped) == (2, False)
    assert found.all_neurons.C == 0.5
    assert found.all_neurons.neurons == int((classifier["all"]["weight"] != 0).sum())
    weights = classifier["all"]["weight"][0].tolist()
    order = sorted(range(12), key=lambda neuron: -abs(weights[neuron]))[:MAX_WEIGHTS]
    assert [one.neuron for one in found.all_neurons.heaviest] == order
    assert found.all_neurons.heaviest[0].weight == [weights[order[0]]]
    assert {one.neuron for one in found.few_neurons.heaviest} == {4, 7}


def test_a_classifier_on_all_but_a_few_neurons_says_how_few(make_model_file):
    path = make_model_file()
    saved = load_model(path)
    kept = [index for index in range(12) if index not in (4, 7)]
    saved.classifier["neurons"] |= {"indices": kept, "weight": saved.classifier["all"]["weight"][:, kept].contiguous()}
    save_model(path, saved)
    assert (of(path).classifier.few, of(path).classifier.is_dropped) == (2, True)


def test_what_transfer_leaves_is_its_classifier(make_model_file, tmp_path):
    path = make_model_file(name="classifier.pt")
    (tmp_path / "results.json").write_text("{}")
    assert of(tmp_path).path == str(path)


def test_the_model_that_ships_is_known_by_its_name():
    found = of(Path("pretrained"))
    assert (found.path, found.kind, found.precision) == (str(PRETRAINED), "classifier", "fp16")


@pytest.fixture
def run_file(tmp_path):
    identity = {"lr": 0.1, "nhid": 3, "num_streams": 64, "data_fingerprint": "abc"}
    weights = {"embedding.weight": torch.full((5, 2), torch.nan), "bias": torch.zeros(3)}
    run = RunState(identity=identity, step=12, hidden=[], model=weights, optimizer={}, seconds=60.5, best_valid=2.5)
    save_run(tmp_path / "model.resume.pt", run)
    return tmp_path / "model.resume.pt"


def test_a_run_is_told_by_its_step_and_settings_and_its_numbers_are_not_read(run_file):
    found = of(run_file)
    assert isinstance(found, RunInfo)
    assert (found.step, found.is_finished, found.streams, found.parameters) == (12, False, 64, 13)
    assert (found.seconds, found.bits_per_byte, found.valid_bits_per_byte) == (60.5, None, 2.5)
    assert found.settings["data_fingerprint"] == "abc"
    content = bytearray(run_file.read_bytes())
    at = content.index(np.float32(np.nan).tobytes() * 10)
    content[at : at + 8] = b"\0" * 8  # loading would find it by the checksum
    run_file.write_bytes(content)
    assert of(run_file) == found


@pytest.mark.parametrize("state", [{}, 5, {"identity": {}, "model": {}, "step": 1}, {"identity": 1, "model": 2}])
def test_a_run_that_does_not_say_where_it_stands_is_refused(tmp_path, state):
    path = tmp_path / "model.resume.pt"
    save_contents(path, {"format": "sentneuron", "version": 1, "kind": "resume", "state": state})
    with pytest.raises(DataError, match="cannot be gone on with"):
        of(path)


def test_a_model_that_cannot_be_used_is_refused_as_every_command_refuses_it(make_model_file):
    path = make_model_file()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError) as expected:
        load_model(path)
    with pytest.raises(DataError) as told:
        of(path)
    assert told.value.message == expected.value.message


def test_a_pickle_that_would_run_something_is_refused_and_not_run(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"\x80\x02cos\nsystem\nX\x05\x00\x00\x00touchx\x85R.")
    with pytest.raises(DataError):
        of(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt"]


def test_what_is_not_there_or_nothing_known_is_said(tmp_path):
    with pytest.raises(InputNotFoundError):
        of(tmp_path / "none")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(32)) * 20)
    with pytest.raises(DataError, match="is neither a model nor data; info knows models") as told:
        of(tmp_path / "x.png")
    assert told.value.exit_code == 65
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is a folder without a model or data"):
        of(tmp_path / "empty")
