"""What is exported to OpenAI's layout is what their program would read, and comes back to the bit."""

import numpy as np
import pytest
import torch

from sentneuron.core.config import ExportConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError, OutputError, StorageError, UsageError
from sentneuron.core.model import exporters
from sentneuron.core.model.checkpoint import load_model
from sentneuron.core.model.exporters.openai import export_openai

SHAPES = [(256, 3), (3, 32), *[(8, 8)] * 4, (3, 8), (8, 8), (32,), (32,), (32,), (8,), (8,), (8, 256), (256,)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model.openai"


def normalized(v: np.ndarray, g: np.ndarray) -> np.ndarray:
    """A matrix (in, out) as TensorFlow's l2_normalize over axis 0 and the gains make it."""
    v = v.astype(np.float64)
    return v / np.sqrt(np.maximum((v**2).sum(axis=0), 1e-12)) * g


def their_matrices(folder) -> dict[str, np.ndarray]:
    """The four products of the recurrent layer, as their program computes them, in our order and our direction."""
    arrays = [np.load(folder / f"{number}.npy", allow_pickle=False) for number in range(15)]
    wh = np.concatenate(arrays[2:6], axis=1)
    i, f, o, u = np.arange(4 * len(wh)).reshape(4, -1)
    order = np.concatenate([i, f, u, o])
    return {
        "weight_ih": normalized(arrays[1], arrays[9]).T[order],
        "weight_hh": normalized(wh, arrays[10]).T[order],
        "weight_mih": normalized(arrays[6], arrays[11]).T,
        "weight_mhh": normalized(arrays[7], arrays[12]).T,
        "bias": arrays[8][order],
    }


@pytest.mark.parametrize("weight_norm", [True, False])
def test_their_program_would_compute_with_our_matrices(weight_norm, make_saved, folder):
    saved = make_saved(weight_norm=weight_norm)
    export_openai(folder, saved)
    arrays = [np.load(folder / f"{number}.npy", allow_pickle=False) for number in range(15)]
    assert [array.shape for array in arrays] == SHAPES
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert all(array.flags.c_contiguous for array in arrays)
    found = their_matrices(folder)
    for name, matrix in saved.model.layers[0].double().weights().items():
        np.testing.assert_allclose(found[name], matrix.detach(), rtol=1e-6, err_msg=name)
    np.testing.assert_array_equal(arrays[0], saved.model.embedding.weight.detach())
    np.testing.assert_array_equal(arrays[13], saved.model.decoder.weight.detach().T)
    np.testing.assert_array_equal(arrays[14], saved.model.decoder.bias.detach())


def test_the_same_parameters_and_features_come_back(make_saved, features_of, assert_same, folder):
    saved = make_saved(rule=TextRule(name="openai"))
    export_openai(folder, saved)
    loaded = load_model(folder)
    assert_same(loaded.model.state_dict(), saved.model.state_dict())
    assert loaded.rule == saved.rule
    np.testing.assert_array_equal(features_of(loaded), features_of(saved))


def test_without_weight_norm_the_products_come_back_to_the_bit(make_saved, features_of, folder):
    saved = make_saved(weight_norm=False)
    with torch.no_grad():
        saved.model.layers[0].weight_hh[3] = 0
        saved.model.layers[0].weight_hh[20] *= 1e-9
    export_openai(folder, saved)
    loaded = load_model(folder)
    for name, matrix in saved.model.layers[0].weights().items():
        assert torch.equal(loaded.model.layers[0].weights()[name], matrix), name
    np.testing.assert_array_equal(features_of(loaded), features_of(saved))


@pytest.mark.parametrize("weight_norm", [True, False])
def test_a_direction_too_short_for_their_weight_norm_means_the_same_there(weight_norm, make_saved, folder):
    saved = make_saved(weight_norm=weight_norm)
    name = "weight_ih_v" if weight_norm else "weight_ih"
    with torch.no_grad():
        saved.model.layers[0].get_parameter(name)[5] *= 1e-9
    export_openai(folder, saved)
    expected = saved.model.layers[0].double().weights()["weight_ih"].detach()
    np.testing.assert_allclose(their_matrices(folder)["weight_ih"], expected, rtol=1e-6)


def test_a_row_without_a_direction_is_one_of_zeros_there(make_saved, folder):
    saved = make_saved(weight_norm=True)
    with torch.no_grad():
        saved.model.layers[0].weight_ih_v[5] = 0
    export_openai(folder, saved)
    assert not their_matrices(folder)["weight_ih"][5].any()


def test_what_the_layout_has_no_place_for_is_named(make_saved, folder):
    assert export_openai(folder, make_saved(with_classifier=True)) == [
        "the text rule (sentneuron)",
        "the classifier",
        "the training record",
    ]
    plain = make_saved(rule=TextRule(name="openai"))
    plain.training = {}
    assert export_openai(folder, plain) == []


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"model": "LSTM"}, "the model has LSTM cells"),
        ({"nlayers": 2}, "the model has 2 layers"),
        ({"tied": True, "emsize": 8}, r"the model has one matrix for embedding and decoder \(--tied\)"),
    ],
)
def test_a_model_that_the_layout_cannot_hold_is_refused(settings, what, make_saved, folder):
    with pytest.raises(DataError, match=f"{what}; give --format safetensors"):
        export_openai(folder, make_saved(**settings))
    assert not folder.exists()


def test_a_folder_of_such_arrays_is_replaced_whole(make_saved, folder):
    export_openai(folder, make_saved())
    saved = make_saved(nhid=12)
    export_openai(folder, saved)
    assert sorted(file.name for file in folder.iterdir()) == sorted(f"{number}.npy" for number in range(15))
    assert load_model(folder).model.config.nhid == 12
    assert [entry.name for entry in folder.parent.iterdir()] == ["model.openai"]


def test_any_other_folder_or_file_stays(make_saved, folder):
    folder.mkdir()
    (folder / "thesis.tex").write_text("all of it")
    with pytest.raises(OutputError, match=r"model\.openai is a folder that holds thesis\.tex"):
        export_openai(folder, make_saved())
    assert (folder / "thesis.tex").read_text() == "all of it"
    with pytest.raises(OutputError, match="is a file, and OpenAI's layout a folder"):
        export_openai(folder / "thesis.tex", make_saved())
    with pytest.raises(OutputError, match="does not exist"):
        export_openai(folder / "no" / "model", make_saved())


def test_a_disk_that_fills_leaves_the_old_folder(make_saved, folder, monkeypatch):
    export_openai(folder, make_saved())
    before = (folder / "0.npy").read_bytes()
    calls = []

    def fail(self, data):
        calls.append(data)
        if len(calls) > 20:
            raise OSError(28, "No space left on device")
        return self._file.write(data)

    monkeypatch.setattr("sentneuron.core.early_flush.EarlyFlushing.write", fail)
    with pytest.raises(StorageError, match="No space left"):
        export_openai(folder, make_saved(nhid=12))
    assert (folder / "0.npy").read_bytes() == before
    assert load_model(folder).model.config.nhid == 8


def test_an_imported_folder_becomes_a_file_of_ours(make_saved, assert_same, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    export_openai(folder, make_saved())
    report = exporters.export(ExportConfig(model=folder, layout="sentneuron"))
    assert report.output.name == "model.sentneuron.pt"
    one, two = load_model(folder), load_model(report.output)
    assert_same(vars(one) | {"model": one.model.state_dict()}, vars(two) | {"model": two.model.state_dict()})
    assert one.training["imported"]["layout"] == "OpenAI"
    assert two.rule == TextRule(name="openai")


def test_a_model_never_takes_its_own_place(make_saved, save, folder):
    path = save(make_saved())
    before = path.read_bytes()
    with pytest.raises(UsageError, match="is the model itself"):
        exporters.export(ExportConfig(model=path, layout="nvidia", output=path))
    assert path.read_bytes() == before
