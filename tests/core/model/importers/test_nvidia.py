"""NVIDIA's language models: every layout of random weights computes what the oracle does, and a wrong file says why."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sentneuron.core.errors import DataError
from sentneuron.core.model.assembly import SavedModel, assemble
from sentneuron.core.model.importers import import_values
from sentneuron.core.model.importers.nvidia import import_nvidia
from sentneuron.core.model.runner import Runner
from sentneuron.core.transfer.features import featurize

NHID, EMSIZE = 64, 16
MATRICES = {"w_ih": "wx", "w_hh": "wh", "w_mih": "wmx", "w_mhh": "wmh"}
ALL = tuple(MATRICES)
BIASES = ("b_ih", "b_hh")

File = dict[str, Any]


def make_file(
    *,
    num_ids: int = 256,
    nlayers: int = 1,
    normed: tuple[str, ...] = (),
    biases: tuple[str, ...] = BIASES,
    cell: str = "mLSTM",
    emsize: int = EMSIZE,
) -> File:
    """A language model, as NVIDIA's `RNNModel.state_dict` returns it; `normed` names weight-normed matrices."""
    torch.manual_seed(0)
    rows = {"mLSTM": 4, "LSTM": 4, "GRU": 3, "plain": 1}[cell] * NHID
    rnn: dict[str, torch.Tensor] = {}
    for number in range(nlayers):
        width = NHID if number else emsize
        shapes = {"w_ih": (rows, width), "w_hh": (rows, NHID), "w_mih": (NHID, width), "w_mhh": (NHID, NHID)}
        for name in ALL if cell == "mLSTM" else ALL[:2]:
            matrix = torch.randn(shapes[name]) / shapes[name][1] ** 0.5
            key = f"rnns.{number}.{name}"
            lengths = {f"{key}_g": 1 + torch.rand(len(matrix), 1), f"{key}_v": matrix}
            rnn |= lengths if name in normed else {key: matrix * 1.4}
        rnn |= {f"rnns.{number}.{name}": torch.randn(rows) / 4 for name in biases}
    return {
        "encoder": {"encoder": {"weight": torch.randn(num_ids, emsize)}, "rnn": rnn},
        "decoder": {"weight": torch.randn(num_ids, NHID) / 4, "bias": torch.randn(num_ids) / 4},
    }


def in_half(values: Any) -> Any:
    """The same in fp16, as `FP16_Module` keeps it."""
    return {key: in_half(part) for key, part in values.items()} if isinstance(values, dict) else values.half()


def loaded(values: Any) -> SavedModel:
    parts = import_values(copy.deepcopy(values), name="it.pt")
    assert parts is not None
    return assemble(parts, name="it.pt")


def imported(values: Any, texts: list[bytes]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Our features of the texts [N, H] and the next byte's logits after each byte."""
    model = loaded(values).model
    with torch.inference_mode():
        logits = [model(torch.tensor([list(text)]), model.initial_state(1))[0][0].numpy() for text in texts]
    return featurize(Runner(model), texts), logits


def computed(oracle, file: File, texts: list[bytes]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The same by the oracle."""
    rnn = {name: part.double().numpy() for name, part in file["encoder"]["rnn"].items()}
    embedding, decoder = file["encoder"]["encoder"]["weight"], file["decoder"]
    shift = len(embedding) - 256  # command tokens come first
    layers = []
    for number in range(1 + max(int(name.split(".")[1]) for name in rnn)):
        mine = {name.split(".")[2]: part for name, part in rnn.items() if name.startswith(f"rnns.{number}.")}
        layer = {"b": sum((mine[name] for name in BIASES if name in mine), np.zeros(4 * NHID))}
        for name, theirs in MATRICES.items():
            is_normed = f"{name}_v" in mine
            layer[theirs] = (
                oracle.normalized(mine[f"{name}_v"].T, mine[f"{name}_g"][:, 0]) if is_normed else mine[name].T
            )
        layers.append(layer)
    numbers = {
        "embedding": embedding[shift:].double().numpy(),
        "layers": layers,
        "gates": "ifgo",
        "w": decoder["weight"][shift:].double().numpy().T,
        "b": decoder["bias"][shift:].double().numpy(),
    }
    read = [oracle.read(text, **numbers) for text in texts]
    return np.array([features for features, _ in read]), [logits for _, logits in read]


def furthest(found: tuple, expected: tuple) -> float:
    """The largest difference of a feature or a logit."""
    return max(
        np.abs(found[0] - expected[0]).max(),
        *(np.abs(ours - theirs).max() for ours, theirs in zip(found[1], expected[1], strict=True)),
    )


def with_wide_lengths(file: File) -> File:
    """In fp16, but for the lengths."""
    rnn = {name: part if name.endswith("_g") else part.half() for name, part in file["encoder"]["rnn"].items()}
    return in_half(file) | {"encoder": in_half({"encoder": file["encoder"]["encoder"]}) | {"rnn": rnn}}


LAYOUTS: dict[str, Callable[[], File]] = {
    "plain": lambda: make_file(),
    "weight-normed, without biases": lambda: make_file(normed=ALL, biases=()),
    "weight-normed in part, one bias": lambda: make_file(normed=("w_hh", "w_mhh"), biases=("b_hh",)),
    "two layers": lambda: make_file(nlayers=2, normed=ALL),
    "257 ids": lambda: make_file(num_ids=257),
    "fp16": lambda: in_half(make_file(normed=ALL)),
    "all at once": lambda: with_wide_lengths(make_file(nlayers=2, normed=ALL, num_ids=259)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_features_and_logits_are_those_of_the_equations(layout, oracle, texts):
    file = LAYOUTS[layout]()
    # In half precision too: the weights are the same numbers to both.
    assert furthest(imported(file, texts), computed(oracle, file, texts)) < 1e-5


def swap_gates(file: File) -> None:
    rnn = file["encoder"]["rnn"]
    for name in ("w_ih_v", "w_ih_g", "w_hh_v", "w_hh_g", "b_ih", "b_hh"):
        i, f, g, o = rnn[f"rnns.0.{name}"].chunk(4)
        rnn[f"rnns.0.{name}"] = torch.cat([i, f, o, g])


def drop_gain(file: File) -> None:
    file["encoder"]["rnn"]["rnns.0.w_mhh_g"].fill_(1)


def drop_shift(file: File) -> None:
    file["encoder"]["encoder"]["weight"] = file["encoder"]["encoder"]["weight"][:256]
    file["decoder"] = {name: part[:256] for name, part in file["decoder"].items()}


def drop_bias(file: File) -> None:
    del file["encoder"]["rnn"]["rnns.0.b_hh"]


@pytest.mark.parametrize("mistake", [swap_gates, drop_gain, drop_shift, drop_bias])
def test_a_mistake_in_reading_shows(mistake, oracle, texts):
    file = make_file(normed=ALL, num_ids=257)
    wrong = copy.deepcopy(file)
    mistake(wrong)
    assert furthest(imported(wrong, texts[:3]), computed(oracle, file, texts[:3])) > 0.01


def flat(values: Any, prefix: str = "") -> File:
    """Dotted names, as `nn.Module.state_dict` has them."""
    if not isinstance(values, dict):
        return {prefix[:-1]: values}
    return {name: part for key, inner in values.items() for name, part in flat(inner, f"{prefix}{key}.").items()}


WRAPPINGS: dict[str, Callable[[File], Any]] = {
    "sd": lambda file: {"sd": file, "optim": {"lr": 0.1}, "iter": 3},
    "state_dict": lambda file: {"state_dict": file},
    "a namespace": lambda file: {"sd": file, "args": {"model": "mLSTM", "nhid": 4096, "classes": None}},
    "module.": lambda file: {f"module.{name}": part for name, part in flat(file).items()},
    "module": lambda file: {"module": file},
    "module. inside": lambda file: file | {"decoder": {f"module.{key}": part for key, part in file["decoder"].items()}},
    "a module's own": lambda file: (
        {name.removeprefix("encoder."): part for name, part in flat(file).items()}
        | {"encoder.weight": file["encoder"]["encoder"]["weight"]}
    ),
    "lm_encoder": lambda file: {"lm_encoder": file},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_what_a_model_is_wrapped_in_does_not_matter(wrapping):
    file = make_file(num_ids=257)
    wrapped = WRAPPINGS[wrapping](file)
    expected, found = loaded(file), loaded(wrapped)
    assert found.imported == {"layout": "NVIDIA", "id_offset": 1, "decoder": True}
    assert found.model.config == expected.model.config
    for name, part in expected.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], part), name


def test_the_model_carries_nvidias_text_rule_and_names_no_neuron():
    saved = loaded(make_file())
    assert (saved.kind, saved.rule.name, saved.sentiment_neuron) == ("language-model", "nvidia", None)


def test_weight_norm_is_kept_where_every_matrix_has_it():
    assert loaded(make_file(normed=ALL)).model.config.weight_norm
    assert not loaded(make_file(normed=("w_hh",))).model.config.weight_norm


def test_lengths_may_be_of_one_dimension():
    file = make_file(normed=ALL)
    rnn = file["encoder"]["rnn"]
    expected = loaded(file).model.state_dict()
    file["encoder"]["rnn"] = {name: part.flatten() if name.endswith("_g") else part for name, part in rnn.items()}
    found = loaded(file).model.state_dict()
    assert all(torch.equal(part, found[name]) for name, part in expected.items())


def test_tied_weights_are_one():
    file = make_file(emsize=NHID, num_ids=257)
    assert not loaded(file).model.config.tied
    file["decoder"]["weight"] = file["encoder"]["encoder"]["weight"].clone()
    saved = loaded(file)
    assert saved.model.config.tied
    assert saved.model.decoder.weight is saved.model.embedding.weight
    assert torch.equal(saved.model.decoder.weight, file["decoder"]["weight"][1:])


@pytest.mark.parametrize(
    ("cell", "said", "module"),
    [
        ("LSTM", None, torch.nn.LSTM),
        ("GRU", None, torch.nn.GRU),
        ("plain", "ReLU", lambda *sizes: torch.nn.RNN(*sizes, nonlinearity="relu")),
        ("plain", "RNNTanh", torch.nn.RNN),
    ],
)
@pytest.mark.parametrize("is_torchs", [False, True])
def test_other_cells_compute_what_torchs_modules_do(cell, said, module, is_torchs):
    file = make_file(cell=cell, nlayers=2)
    rnn = file["encoder"]["rnn"]
    if cell == "GRU":
        for number in range(2):
            rnn[f"rnns.{number}.b_hh"][2 * NHID :] = 0
    theirs = module(EMSIZE, NHID, 2)
    names = {
        f"{'bias' if kind[0] == 'b' else 'weight'}_{kind[2:]}_l{n}": f"rnns.{n}.{kind}" for n, kind in two_layers()
    }
    theirs.load_state_dict({torchs: rnn[name] for torchs, name in names.items()})
    if is_torchs:
        file["encoder"]["rnn"] = theirs.state_dict()
    model = loaded({"sd": file, "args": {"model": said}}).model
    ids = torch.tensor([list(b"It is fine.")])
    with torch.no_grad():
        expected = theirs(file["encoder"]["encoder"]["weight"][ids[0]])[0]
        found = model.hidden(ids, model.initial_state(1))[0][:, 0]
    assert torch.allclose(found, expected, atol=1e-5)


def two_layers() -> list[tuple[int, str]]:
    return [(number, kind) for number in range(2) for kind in (*ALL[:2], *BIASES)]


def without(name: str, **settings: Any) -> File:
    file = make_file(**settings)
    for part in (file["encoder"]["rnn"], file["decoder"], file["encoder"]["encoder"]):
        part.pop(name, None)
    return file


def with_array(name: str, *shape: int, **settings: Any) -> File:
    file = make_file(**settings)
    file["encoder"]["rnn"][name] = torch.zeros(shape)
    return file


WRONG: dict[str, tuple[Any, str]] = {
    "missing": (without("rnns.0.w_hh"), "rnn.rnns.0.w_hh is missing, which is [256, 64]"),
    "missing middle": (without("rnns.0.w_mih"), "rnn.rnns.0.w_mih is missing, which is [64, 16]"),
    "missing length": (without("rnns.0.w_mhh_g", normed=ALL), "w_mhh_g is missing, which is [64, 1] or [64]"),
    "missing layer": (without("rnns.1.w_ih", nlayers=3), "rnn.rnns.1.w_ih is missing, which is [256, 64]"),
    "missing decoder": (without("bias"), "decoder.bias is missing, which is [256]"),
    "missing embedding": (make_file() | {"encoder": {"rnn": make_file()["encoder"]["rnn"]}}, "encoder.weight, the emb"),
    "missing everything": ({"lm_encoder": {}}, "rnn.rnns.0.w_hh is missing"),
    "misshapen": (with_array("rnns.0.w_mhh", 64, 63), "rnn.rnns.0.w_mhh is [64, 63], not [64, 64]"),
    "misshapen bias": (with_array("rnns.0.b_ih", 64), "rnn.rnns.0.b_ih is [64], not [256]"),
    "transposed": (with_array("rnns.0.w_ih", 16, 256), "rnn.rnns.0.w_ih is [16, 256], not [256, 16]"),
    "projection": (with_array("rnns.0.w_ho", 64, 64), "holds rnn.rnns.0.w_ho, which no model here has"),
    "two directions": (with_array("rnns.0.rnns.0.w_ih", 4, 4), "holds rnn.rnns.0.rnns.0.w_ih, which no model"),
    "word pieces": (make_file(num_ids=32_001), "reads 32,001 ids, not 256 bytes"),
    "fewer ids": (make_file(num_ids=128), "reads 128 ids, not 256 bytes"),
    "GRU": (make_file(cell="GRU"), "a GRU with a bias inside its reset gate"),
    "plain RNN": (make_file(cell="plain"), "a plain RNN, and does not say whether of tanh or ReLU"),
    "Transformer": ({"lm_encoder": {"layers.0.self_attn.in_proj_weight": torch.zeros(3, 3)}}, "is a Transformer"),
    "two models": (make_file() | {"lm_encoder": make_file()}, "twice"),
    "no array": (make_file() | {"decoder": {"weight": 3, "bias": "x"}}, "decoder.weight is missing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_names_the_array_and_what_was_expected(case):
    values, what = WRONG[case]
    with pytest.raises(DataError) as error:
        import_nvidia(values, name="x/it.pt")
    assert what in error.value.message
    assert error.value.message.startswith("x/it.pt ")
    assert error.value.hint


@pytest.mark.parametrize("odd", [None, 3, "x", [1], torch.tensor(1.0), torch.zeros(0), torch.zeros(4, 0), torch.eye(2)])
def test_whatever_stands_in_an_arrays_place_the_file_is_refused(odd):
    file = make_file(normed=("w_hh",), nlayers=2)
    encoder, rnn, decoder = file["encoder"]["encoder"], file["encoder"]["rnn"], file["decoder"]
    exchanged = [file | {"decoder": decoder | {name: odd}} for name in decoder]
    exchanged += [file | {"encoder": {"encoder": encoder | {"weight": odd}, "rnn": rnn}}]
    exchanged += [file | {"encoder": {"encoder": encoder, "rnn": rnn | {name: odd}}} for name in rnn]
    for values in exchanged:
        with pytest.raises(DataError):
            import_nvidia(values, name="it.pt")


def test_weights_that_are_not_finite_are_refused():
    file = make_file()
    file["decoder"]["weight"][3, 3] = torch.nan
    with pytest.raises(DataError, match=r"decoder\.weight holds numbers that are not finite"):
        loaded(file)


@pytest.mark.parametrize("values", [None, [], {}, {1: 2}, {"rnn": {"wx.weight": torch.zeros(2, 2)}}, {"encoder": 3}])
def test_what_is_not_nvidias_is_left_to_others(values):
    assert import_nvidia(values, name="it.pt") is None


def test_a_dict_that_holds_itself_ends():
    values: dict[str, Any] = {}
    values |= {f"k{number}": values for number in range(100)}
    assert import_nvidia(values, name="it.pt") is None
