"""A run that starts from a model's weights."""

from dataclasses import replace

import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.errors import DataError, InputNotFoundError, OutputError
from sentneuron.core.model.checkpoint import load_model, save_model
from sentneuron.core.model.locate import PRETRAINED, find_start
from sentneuron.core.training import loop


@pytest.fixture
def trained(config):
    """A trained model's file, with a classifier's architecture that is none of the defaults."""
    loop.train(replace(config, max_steps=10))
    return config.save


@pytest.fixture
def going_on(config, trained, tmp_path):
    return replace(config, init=str(trained), model=ModelConfig(), save=tmp_path / "second.pt", max_steps=4)


def test_it_has_that_models_architecture_and_starts_where_that_one_ended(going_on, trained, config):
    said = []
    report = loop.train(replace(going_on, lr=1e-9, log_interval=1), announce=said.append)
    first, second = load_model(trained), load_model(going_on.save)
    assert second.model.config == replace(first.model.config, dropout=0.0)
    for name, tensor in first.model.state_dict().items():
        torch.testing.assert_close(second.model.state_dict()[name], tensor, rtol=0, atol=1e-6)
    scratch = loop.train(replace(going_on, init=None, model=config.model, save=going_on.save.with_name("scratch.pt")))
    assert report.bits_per_byte < scratch.bits_per_byte
    assert f"starting from the weights of {trained}" in said


def test_a_stopped_one_goes_on_and_another_model_is_another_run(going_on, trained, tmp_path):
    loop.train(going_on)
    other = load_model(trained)
    with torch.no_grad():
        other.model.decoder.bias += 1
    save_model(tmp_path / "other.pt", other)
    assert loop.train(going_on).was_finished
    moved = trained.rename(tmp_path / "moved.pt")
    assert loop.train(replace(going_on, init=str(moved))).was_finished
    with pytest.raises(OutputError, match="init_fingerprint"):
        loop.train(replace(going_on, init=str(tmp_path / "other.pt")))
    with pytest.raises(OutputError, match="init_fingerprint"):
        loop.train(replace(going_on, init=None, model=other.model.config))


@pytest.mark.slow
def test_a_model_that_has_read_other_text_is_told(going_on, trained):
    saved = load_model(trained)
    saved.rule = replace(saved.rule, keep_unicode=True)
    save_model(trained, saved)
    said = []
    loop.train(going_on, announce=said.append)
    assert any("cleaned by another rule" in line for line in said)


@pytest.mark.slow
def test_a_model_without_a_decoder_cannot_go_on(going_on, trained):
    saved = load_model(trained)
    saved.training["imported"] = {"layout": "NVIDIA", "decoder": False}
    save_model(trained, saved)
    with pytest.raises(DataError, match="holds no decoder to train"):
        loop.train(going_on)


def test_the_pretrained_model_has_a_name_and_a_file_that_is_missing_is_one(config):
    assert find_start("pretrained") == (PRETRAINED, "the pretrained model")
    with pytest.raises(InputNotFoundError, match=r"none\.pt does not exist"):
        loop.train(replace(config, init="none.pt"))


@pytest.mark.slow
def test_two_ranks_start_from_the_file_of_the_first(going_on, train_ranks, tmp_path):
    alone = replace(going_on, save=tmp_path / "alone.pt")
    loop.train(alone)
    train_ranks(replace(going_on, batch_size=going_on.batch_size // 2), 2)
    one, two = (load_model(path).model.state_dict() for path in (alone.save, going_on.save))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-6)
