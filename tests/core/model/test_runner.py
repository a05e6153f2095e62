"""The runner's buffers: in place, whatever the batch does, and the same equations as the reference."""

import pytest
import torch

from sentneuron.core.config import ModelConfig
from sentneuron.core.kernels.mlstm_reference import mlstm_step
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner


def make_runner(**settings) -> Runner:
    torch.manual_seed(1)
    return Runner(LanguageModel(ModelConfig(nhid=12, emsize=6, **settings)))


def test_a_step_is_the_references_step():
    runner = make_runner()
    layer = runner.model.recurrent_layers[0]
    weights = layer.weights()
    rows_m, rows_x = layer.project(weights, runner.model.embedding.weight)
    ids = torch.tensor([3, 200, 97])
    h, c = torch.randn(3, 12).tanh(), torch.randn(3, 12)
    expected = mlstm_step(rows_m[ids], rows_x[ids], weights["weight_mhh"], weights["weight_hh"], h, c)
    found = runner.step(ids, [(h.clone(), c.clone())])
    torch.testing.assert_close(found[0], tuple(part.detach() for part in expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_batch_may_shrink_and_grow_between_steps(num_layers):
    runner = make_runner(nlayers=num_layers)
    ids = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12, 13, 14, 15]])
    state = runner.initial_state(5)
    state = runner.step(ids[0], state)
    state = runner.step(ids[1, :2], [tuple(part[:2] for part in layer) for layer in state])
    grown = [tuple(part.repeat(4, 1) for part in layer) for layer in state]
    grown = runner.step(torch.tensor([11, 11, 11, 12, 12, 12, 13, 13]), grown)

    for row, (stream, byte) in enumerate([(0, 11), (1, 11), (0, 11), (1, 12), (0, 12), (1, 12), (0, 13), (1, 13)]):
        alone = runner.initial_state(1)
        for one in (ids[0, stream], ids[1, stream], byte):
            alone = runner.step(torch.tensor([int(one)]), alone)
        torch.testing.assert_close(grown[-1][-1][row], alone[-1][-1][0], rtol=0, atol=1e-6)


def test_the_state_is_overwritten_and_its_cells_are_not_copied():
    runner = make_runner()
    state = runner.initial_state(2)
    new_state = runner.step(torch.tensor([1, 2]), state)
    assert new_state[0][0].data_ptr() == state[0][0].data_ptr()
    assert runner.cells(new_state).data_ptr() == state[0][1].data_ptr()


@pytest.mark.parametrize("cell", ["mLSTM", "GRU"])
def test_the_cells_of_all_layers_stand_side_by_side_bottom_layer_first(cell):
    torch.manual_seed(1)
    model = LanguageModel(ModelConfig(model=cell, nhid=12, emsize=6, nlayers=2))
    runner = Runner(model, all_layers=True)
    state = runner.step(torch.tensor([7, 9]), runner.initial_state(2))
    assert (runner.num_units, Runner(model).num_units) == (24, 12)
    cells = runner.cells(state)
    for layer in (0, 1):
        torch.testing.assert_close(cells[:, 12 * layer : 12 * (layer + 1)], state[layer][-1], rtol=0, atol=0)
    torch.testing.assert_close(Runner(model).cells(state), state[1][-1], rtol=0, atol=0)


def test_the_only_layer_is_all_layers():
    model = make_runner().model
    runner = Runner(model, all_layers=True)
    state = runner.step(torch.tensor([7]), runner.initial_state(1))
    assert runner.num_units == 12
    assert runner.cells(state).data_ptr() == state[0][1].data_ptr()
