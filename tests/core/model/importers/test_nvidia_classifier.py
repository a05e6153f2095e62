"""The classifiers in NVIDIA's files: which become ours, with which decision, and what is said of the others."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from sentneuron.core.config import GenerateConfig, ModelConfig
from sentneuron.core.errors import DataError, UsageError
from sentneuron.core.generation.generate import generate
from sentneuron.core.model.assembly import ModelParts, assemble
from sentneuron.core.model.checkpoint import load_model, save_model
from sentneuron.core.model.classifier_parts import feature_weights, run_network
from sentneuron.core.model.exporters.nvidia import export_nvidia
from sentneuron.core.model.exporters.safetensors import export_safetensors
from sentneuron.core.model.importers.nvidia import import_nvidia
from sentneuron.core.model.importers.nvidia_classifier import read_classifier
from sentneuron.core.transfer.classifier import Classifier
from sentneuron.core.transfer.probe import Probe

UNITS = 8
CONFIG = ModelConfig(nhid=UNITS, emsize=4, nlayers=2)
WEIGHT = torch.tensor([[0.5, -2.0, 0.0, 1.0, 0.25, 0.0, -1.0, 0.75]])


def head(weight: torch.Tensor = WEIGHT, **more: Any) -> dict[str, Any]:
    """A regression, as the earlier generation keeps it."""
    return {"weight": weight, "bias": torch.full((len(weight),), 0.5), **more}


def module(*sizes: int) -> torch.nn.Module:
    """The later generation's, as its `MultiLayerBinaryClassifier` puts it together."""
    torch.manual_seed(2)
    made, bend, drop = torch.nn.Module(), torch.nn.PReLU(init=0.3), torch.nn.Dropout(0.3)
    hidden = [torch.nn.Linear(*pair) for pair in itertools.pairwise(sizes[:-1])]
    made.nonlinearity, made.final_layer = bend, torch.nn.Linear(*sizes[-2:])
    layers = itertools.chain.from_iterable((layer, bend, drop) for layer in hidden)
    made.model = torch.nn.Sequential(drop, *layers, made.final_layer, torch.nn.Sigmoid())
    return made.eval()


def network(*sizes: int, **more: Any) -> dict[str, Any]:
    """What a file holds of it, by dotted names; the last layer stands there twice."""
    found = {f"sd.{name}": tensor.clone() for name, tensor in module(*sizes).state_dict().items()}
    return found | {"thresholds": torch.full((sizes[-1],), 0.5), **more}


def read(values: dict[str, Any], **settings: Any) -> dict[str, Any]:
    classifier, noted = read_classifier(values, settings, CONFIG, name="it.clf")
    assert "left_out" not in noted
    assert classifier is not None
    return classifier


def left_out(values: dict[str, Any], **settings: Any) -> str:
    classifier, noted = read_classifier(values, settings, CONFIG, name="it.clf")
    assert classifier is None
    return noted["left_out"]


def test_a_regression_becomes_ours_with_its_heaviest_neuron():
    found = read(head(neurons=None))
    assert torch.equal(found["all"]["weight"], WEIGHT)
    assert found["all"]["bias"].tolist() == [0.5]
    assert (found["classes"], found["multi_label"], found["pooling"]) == (["negative", "positive"], False, "last")
    assert (found["sentiment_neuron"], found["scale"], found["all"]["C"], found["all_layers"]) == (1, None, None, False)
    # As NVIDIA's --neurons 1: the heaviest weight alone, and the same bias.
    assert (found["neurons"]["indices"], found["neurons"]["weight"].tolist()) == ([1], [[-2.0]])
    assert found["neurons"]["bias"].tolist() == [0.5]


@pytest.mark.parametrize("weight", [WEIGHT, WEIGHT[:, [6, 3]]])
def test_a_regression_restricted_to_neurons_is_zero_elsewhere(weight):
    found = read(head(weight, neurons=torch.tensor([6, 3])))
    assert found["all"]["weight"].tolist() == [[0, 0, 0, 1.0, 0, 0, -1.0, 0]]
    assert (found["neurons"]["indices"], found["neurons"]["weight"].tolist()) == ([6, 3], [[-1.0, 1.0]])


def test_features_of_all_layers_are_found_by_their_number():
    found = read(head(torch.cat([WEIGHT, 2 * WEIGHT], dim=1)))
    assert (found["all_layers"], found["sentiment_neuron"]) == (True, 9)


@pytest.mark.parametrize("threshold", [0.12, 0.5, 0.93])
def test_a_threshold_in_the_bias_decides_the_same(threshold):
    plain, moved = read(head()), read(head(thresholds=[threshold]))
    scores = np.linspace(-6, 6, 1001)
    says_yes = 1 / (1 + np.exp(-(scores + float(plain["all"]["bias"])))) > threshold
    assert (says_yes == (scores + float(moved["all"]["bias"]) > 0)).all()
    assert moved["neurons"]["bias"] == moved["all"]["bias"]


def test_a_threshold_of_one_says_never_and_the_file_stays_usable():
    found = read(head(thresholds=torch.tensor([1.0])))
    assert float(found["all"]["bias"]) < -1000
    assert math.isfinite(float(found["all"]["bias"]))


def test_thresholds_that_were_moved_are_noted():
    assert read_classifier(head(thresholds=[0.5]), {}, CONFIG, name="")[1] == {}
    assert read_classifier(head(thresholds=[0.35]), {}, CONFIG, name="")[1] == {"thresholds": [0.35]}


def test_three_rows_of_a_regression_are_exclusive_classes():
    found = read(head(WEIGHT.repeat(3, 1)))
    assert (found["classes"], found["multi_label"]) == (["0", "1", "2"], False)
    assert read(head(WEIGHT.repeat(3, 1)), classes=["bad", "odd", "good"])["classes"] == ["bad", "odd", "good"]


@pytest.mark.parametrize(
    ("classes", "names", "multi_label"),
    [
        (None, ["negative", "positive"], False),
        (["label"], ["negative", "positive"], False),
        (["anger"], ["anger"], True),
        (["sad", "glad"], ["sad", "glad"], False),
    ],
)
def test_a_single_row_is_named_by_the_settings(classes, names, multi_label):
    found = read(network(UNITS, 1), classes=classes)
    assert (found["classes"], found["multi_label"]) == (names, multi_label)


def test_a_network_of_one_layer_is_a_regression_of_labels_that_may_hold_together():
    values = network(UNITS, 3, thresholds=torch.tensor([0.5, 0.5, 0.25]))
    found = read(values, classes=["anger", "joy", "trust"], heads_per_class=1, use_softmax=False)
    assert (found["classes"], found["multi_label"]) == (["anger", "joy", "trust"], True)
    assert torch.equal(found["all"]["weight"], values["sd.final_layer.weight"])
    moved = (found["all"]["bias"] - values["sd.final_layer.bias"]).tolist()
    assert moved == pytest.approx([0, 0, math.log(3)], abs=1e-6)


@pytest.mark.parametrize("sizes", [(UNITS, 6, 3), (UNITS, 4, 5, 6, 3), (2 * UNITS, 6, 3)])
def test_a_network_computes_what_its_modules_do(sizes):
    found = read(network(*sizes), classes=["anger", "joy", "trust"])
    features = torch.randn(20, sizes[0]) * 3
    with torch.no_grad():
        expected = module(*sizes).model(features).numpy()
    seen = run_network(found, features).numpy()
    probabilities = Probe.from_dict(found["all"], multi_label=True).probabilities(seen)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert (found["neurons"], found["all_layers"]) == (None, sizes[0] > UNITS)


def test_the_heaviest_neuron_of_a_network_is_that_of_its_layers_multiplied():
    found = read(network(UNITS, 6, 1))
    first, last = found["network"]["layers"]["0"]["weight"], found["all"]["weight"]
    assert torch.allclose(feature_weights(found), last @ first)
    assert found["sentiment_neuron"] == int((last @ first).abs().argmax())


def test_a_network_classifies_and_colours_and_has_no_second_regression(tmp_path):
    saved = assemble(parts(unwrapped(network(UNITS, 6, 3)), classes=["anger", "joy", "trust"]), name="it.clf")
    texts = ["It is fine.", "No.", ""]
    scored = Classifier(saved, name="it.clf").score(texts)
    assert scored.probabilities.shape == (3, 3)
    assert np.isnan(scored.probabilities[2]).all()
    assert generate(saved, GenerateConfig(text="It is fine.", heatmap=True)).scale is not None
    with pytest.raises(UsageError, match="a network on all neurons"):
        Classifier(saved, name="it.clf", neurons=1)
    save_model(tmp_path / "ours.pt", saved)
    export_safetensors(tmp_path / "ours.safetensors", saved)
    for name in ("ours.pt", "ours.safetensors"):
        again = Classifier(load_model(tmp_path / name), name=name).score(texts)
        np.testing.assert_array_equal(again.probabilities, scored.probabilities)
    with pytest.raises(DataError, match="hidden layers"):
        export_nvidia(tmp_path / "theirs.pt", saved)


@pytest.mark.parametrize(
    ("array", "shape", "what"),
    [
        ("model.1.weight", (6, 3), "classifier.weight stands on 3 features"),
        ("model.4.weight", (5, 3), "classifier.model.4.weight has 3 columns, not 6"),
        ("final_layer.weight", (1, 3), "classifier.final_layer.weight has 3 columns, not 5"),
        ("model.4.bias", (2,), "network.layers.1.bias is [2], not [5]"),
    ],
)
def test_a_network_with_a_misshapen_layer_names_it(array, shape, what):
    with pytest.raises(DataError) as error:
        assemble(parts(unwrapped(network(UNITS, 6, 5, 1)) | {array: torch.zeros(shape)}), name="it.clf")
    assert what in error.value.message


def unwrapped(values: dict[str, Any]) -> dict[str, Any]:
    return {key.removeprefix("sd."): part for key, part in values.items()}


def test_a_softmax_over_two_is_one_row():
    values = network(UNITS, 2, thresholds=None)
    found = read(values, use_softmax=True)
    state = torch.randn(5, UNITS)
    logits = torch.nn.functional.linear(state, values["sd.final_layer.weight"], values["sd.final_layer.bias"])
    ours = torch.nn.functional.linear(state, found["all"]["weight"], found["all"]["bias"])
    assert torch.allclose(logits.softmax(1)[:, 1:], ours.sigmoid(), atol=1e-6)
    assert (found["classes"], found["multi_label"]) == (["negative", "positive"], False)


def test_one_on_the_hidden_state_says_so():
    assert read(network(UNITS, 1), get_hidden=True)["pooling"] == "hidden"
    assert read(network(UNITS, 1), get_hidden=False)["pooling"] == "last"


def test_half_precision_is_widened():
    assert read(head(WEIGHT.half()))["all"]["weight"].dtype == torch.float32


LEFT_OUT: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "bent": (network(UNITS, 6, 1, **{"sd.nonlinearity.weight": None}), {}, "a network with another nonlinearity"),
    "heads": (network(UNITS, 4), {"heads_per_class": 4}, "one of 4 heads a class"),
    "softmax": (network(UNITS, 3), {"use_softmax": True}, "a softmax over 3 classes"),
    "pools": (network(3 * UNITS, 1), {"concat_max": True, "concat_mean": True}, "one on pooled states (concat_max, c"),
    "warm": (network(UNITS, 1), {"num_hidden_warmup": 1}, "one on texts that are read more than once"),
    "neutral": (network(UNITS, 2, dual_threshold=True), {}, "one with a neutral class between two thresholds"),
    "thresholds": (head(thresholds=[0.2, 0.8]), {}, "one with 2 thresholds for 1 rows"),
    "two rows": (head(WEIGHT.repeat(2, 1)), {}, "a regression of two rows"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_a_classifier_that_is_no_such_regression_is_left_out_and_said_to_be(case):
    values, settings, what = LEFT_OUT[case]
    assert left_out(values, **settings).startswith(what)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no weight": ({"bias": torch.zeros(1)}, "classifier.weight is missing"),
    "no bias": ({"weight": WEIGHT}, "classifier.bias is missing, which is [1]"),
    "bias": (head() | {"bias": torch.zeros(2)}, "classifier.bias is [2], not [1]"),
    "width": (head(torch.zeros(1, 9)), "classifier.weight stands on 9 features, not 8 or 16"),
    "neurons": (head(neurons=torch.tensor([3, 8])), "stands on 8 features"),
    "neurons are words": (head(neurons=["a"]), "cannot be read"),
    "thresholds": (head(thresholds="half"), "cannot be read"),
    "network": ({"sd.nonlinearity.weight": torch.zeros(1), "sd.model.1.weight": WEIGHT}, "final_layer.weight is miss"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_classifier_names_its_array(case):
    values, what = WRONG[case]
    with pytest.raises(DataError) as error:
        read_classifier(values, {}, CONFIG, name="it.clf")
    assert what in error.value.message


def parts(classifier: dict[str, Any], **settings: Any) -> ModelParts:
    """A whole file without a decoder, as `transfer.py` and `finetune_classifier.py` write it."""
    torch.manual_seed(1)
    shapes = {"w_ih": (32, 4), "w_hh": (32, 8), "w_mih": (8, 4), "w_mhh": (8, 8), "b_ih": (32,), "b_hh": (32,)}
    rnn = {f"rnns.0.{name}": torch.randn(shape) for name, shape in shapes.items()}
    encoder = {"encoder": {"weight": torch.randn(257, 4)}, "rnn": rnn}
    found = import_nvidia({"encoder": encoder, "classifier": classifier, "args": settings}, name="it.clf")
    assert found is not None
    return found


def test_a_file_without_a_decoder_classifies_and_colours_but_cannot_generate():
    saved = assemble(parts(head()), name="it.clf")
    assert (saved.kind, saved.has_decoder, saved.sentiment_neuron) == ("classifier", False, 1)
    scored = Classifier(saved, name="it.clf").score(["It is fine.", ""])
    assert scored.probabilities[0].sum() == pytest.approx(1)
    assert np.isnan(scored.probabilities[1]).all()
    made = generate(saved, GenerateConfig(text="It is fine.", heatmap=True))
    assert made.scale is not None
    # Its weight is negative: low values are positive. NVIDIA's own heatmaps end at 1.
    assert (made.scale.neuron, made.scale.direction, made.scale.limit) == (1, -1, 1.0)
    with pytest.raises(DataError, match="holds no decoder"):
        generate(saved, GenerateConfig(text="It is"))


ODD = [None, 3, -1.5, "x", [], ["a"], {}, torch.tensor(1.0), torch.zeros(0), torch.zeros(3, 0), torch.zeros(1, 2, 3)]


def test_whatever_stands_in_a_place_the_file_is_taken_or_refused():
    layer = {"model.1.weight": WEIGHT, "final_layer.weight": WEIGHT, "final_layer.bias": torch.zeros(1)}
    refused = 0
    for odd in ODD:
        for name in ("weight", "bias", "neurons", "thresholds"):
            refused += is_refused(head() | {name: odd})
        for name in (*layer, "thresholds", "dual_threshold"):
            refused += is_refused(layer | {name: odd})
        for name in ("classes", "heads_per_class", "use_softmax", "get_hidden"):
            refused += is_refused(head(), **{name: odd})
    assert refused > 3 * len(ODD)


def is_refused(classifier: dict[str, Any], **settings: Any) -> bool:
    try:
        assemble(parts(classifier, **settings), name="it.clf")
    except DataError:
        return True
    return False


@pytest.mark.parametrize(
    "classifier", [head(neurons=torch.tensor([6, 3, 1])), head(WEIGHT.half().t().contiguous().t())]
)
def test_in_our_own_format_it_decides_the_same(classifier, tmp_path):
    saved = assemble(parts(classifier), name="it.clf")
    save_model(tmp_path / "ours.pt", saved)
    again = load_model(tmp_path / "ours.pt")
    assert (again.kind, again.rule, again.training) == (saved.kind, saved.rule, saved.training)
    for neurons in (None, len(saved.classifier["neurons"]["indices"])):
        scores = [Classifier(one, name="", neurons=neurons).score(["It is fine."]) for one in (saved, again)]
        np.testing.assert_array_equal(scores[0].probabilities, scores[1].probabilities)


def test_classifying_with_one_that_was_left_out_says_what_it_is_and_what_to_do():
    saved = assemble(parts(unwrapped(network(UNITS, 4)), heads_per_class=4), name="it.clf")
    assert saved.kind == "language-model"
    with pytest.raises(DataError) as error:
        Classifier(saved, name="it.clf")
    assert error.value.message == "it.clf: its classifier is one of 4 heads a class, which cannot be computed here"
    assert error.value.hint == "make one on its language model with 'sentneuron transfer it.clf'"
