"""The engine: what is read, continued, recorded and written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sentneuron.core.config import GenerateConfig, ModelConfig
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import UsageError
from sentneuron.core.generation.generate import Generated, generate, prompt_bytes, write_samples
from sentneuron.core.generation.heatmap import CharacterValues
from sentneuron.core.generation.neurons import ShownNeuron
from sentneuron.core.generation.sampling import sample
from sentneuron.core.generation.watch import make_watch
from sentneuron.core.model.checkpoint import SavedModel
from sentneuron.core.model.language_model import LanguageModel
from sentneuron.core.model.runner import Runner

ODD_TEXT = "  Café <b>n°5</b> &amp; 👍  中文 e\u0301 \x00\ud800 end"


@pytest.fixture(scope="module")
def language_model() -> SavedModel:
    torch.manual_seed(1)
    model = LanguageModel(ModelConfig(nhid=8, emsize=4))
    with torch.no_grad():
        model.decoder.weight.mul_(20)
    return SavedModel(kind="language-model", model=model, rule=TextRule())


@pytest.fixture(scope="module")
def classifier(language_model: SavedModel) -> SavedModel:
    regressions: dict[str, Any] = {
        "classes": ["negative", "positive"],
        "multi_label": False,
        "pooling": "mean",
        "all_layers": False,
        "all": {"weight": torch.full((1, 8), -1.0), "bias": torch.zeros(1), "C": 1.0},
        "neurons": {
            "indices": [3],
            "weight": torch.tensor([[-2.0]]),
            "bias": torch.zeros(1),
            "C": 1.0,
        },
        "sentiment_neuron": 3,
        "scale": torch.full((8,), 0.25),
    }
    return SavedModel(kind="classifier", model=language_model.model, rule=TextRule(), classifier=regressions)


def cells_after(saved: SavedModel, data: bytes, neuron: int) -> list[float]:
    runner = Runner(saved.model)
    state, values = runner.initial_state(1), []
    for byte in data:
        state = runner.step(torch.tensor([byte]), state)
        values.append(float(runner.cells(state)[0, neuron]))
    return values


def only(made: Generated) -> CharacterValues:
    (one,) = made.samples
    return one


def test_a_heatmap_alone_generates_nothing_and_colours_the_text_as_given(classifier: SavedModel):
    made = generate(classifier, GenerateConfig(text=ODD_TEXT, heatmap=True))
    assert only(made).text == ODD_TEXT.replace("\ud800", "\ufffd")
    assert len(only(made).values) == len(ODD_TEXT)
    assert made.scale is not None
    assert (made.scale.limit, made.scale.direction) == (0.25, -1)


def test_a_characters_value_is_the_neurons_cell_after_its_last_byte(classifier: SavedModel):
    made = generate(classifier, GenerateConfig(text="I née", heatmap=True))
    after = cells_after(classifier, b"\n I nee", 3)
    assert only(made).values == pytest.approx(after[2:], abs=1e-6)


def test_a_heatmap_with_a_length_colours_text_and_continuation(classifier: SavedModel):
    made = generate(classifier, GenerateConfig(text="It is", heatmap=True, gen_length=30, top_k=2))
    assert only(made).text.startswith("It is")
    assert 5 < len(only(made).text) <= 35
    assert len(only(made).values) == len(only(made).text)


def test_two_hundred_bytes_follow_the_text_by_default(language_model: SavedModel):
    pieces: list[str] = []
    made = generate(language_model, GenerateConfig(text="abc"), on_text=pieces.append)
    assert pieces[0] == "abc"
    assert len(pieces) == 1 + 200 + 1  # the text, a piece a byte, what the decoder still held
    assert "".join(pieces) == only(made).text


def test_a_stream_decodes_as_the_finished_sample_does(classifier: SavedModel):
    for seed in range(5):
        pieces: list[str] = []
        config = GenerateConfig(text="é", gen_length=60, temperature=5, seed=seed)
        assert only(generate(classifier, config, on_text=pieces.append)).text == "".join(pieces)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("", b"\n "),
        ("I loved", b"\n I loved"),
        ("I loved ", b"\n I loved "),
        ("I loved\n\n", b"\n I loved "),
        ("   ", b"\n "),
        ("👍", b"\n "),
    ],
)
def test_the_padding_behind_a_text_is_read_only_where_the_text_ends_in_white_space(text: str, prompt: bytes):
    assert prompt_bytes(TextRule(), text)[0] == prompt


@pytest.mark.parametrize("text", ["", "   ", "👍"])
def test_a_text_without_anything_to_read_can_be_continued_but_not_analysed(classifier: SavedModel, text: str):
    assert only(generate(classifier, GenerateConfig(text=text, gen_length=3))).text.startswith(text)
    both = generate(classifier, GenerateConfig(text=text, gen_length=3, heatmap=True))
    assert len(only(both).values) == len(only(both).text)
    with pytest.raises(UsageError, match="no text to colour"):
        generate(classifier, GenerateConfig(text=text, heatmap=True))


@pytest.mark.parametrize("settings", [{"heatmap": True}, {"overwrite": "+1"}, {"save": Path("x.jsonl")}])
def test_a_language_model_needs_its_neuron_named_where_one_is_shown_or_pinned(
    language_model: SavedModel, settings: dict[str, Any]
):
    with pytest.raises(UsageError, match="--neuron"):
        generate(language_model, GenerateConfig(text="a", gen_length=2, **settings))
    assert only(generate(language_model, GenerateConfig(text="a", gen_length=2, neuron=7, **settings))).neuron == 7


def test_a_language_model_generates_without_a_neuron_and_with_named_ones_pinned(language_model: SavedModel):
    made = generate(language_model, GenerateConfig(gen_length=5, overwrite="2=1,7=-0.5"))
    assert (only(made).values, only(made).neuron, made.scale) == ([], None, None)


def test_overwrite_pins_the_side_that_the_classifier_calls_positive(classifier: SavedModel):
    made = generate(classifier, GenerateConfig(text="a", gen_length=20, overwrite="+1"))
    assert set(only(made).values) == {-1.0}


@pytest.fixture(scope="module")
def two_layers() -> SavedModel:
    """A classifier on the features of two layers of four units; the heaviest is unit 2 of the lower one."""
    torch.manual_seed(2)
    model = LanguageModel(ModelConfig(nhid=4, emsize=4, nlayers=2))
    weight = torch.zeros(1, 8)
    weight[0, 2], weight[0, 6] = 2.0, -1.0
    regressions: dict[str, Any] = {
        "classes": ["negative", "positive"],
        "multi_label": False,
        "pooling": "last",
        "all_layers": True,
        "all": {"weight": weight, "bias": torch.zeros(1), "C": 1.0},
        "neurons": {"indices": [2], "weight": weight[:, 2:3], "bias": torch.zeros(1), "C": 1.0},
        "sentiment_neuron": 2,
        "scale": torch.arange(1, 9) / 10,
    }
    return SavedModel(kind="classifier", model=model, rule=TextRule(), classifier=regressions)


def test_a_classifier_on_all_layers_shows_and_pins_its_neurons_in_their_own_layer(two_layers: SavedModel):
    runner = Runner(two_layers.model)
    made = {unit: generate(two_layers, GenerateConfig(text="ab", heatmap=True, neuron=unit)) for unit in (2, 6)}
    state = runner.initial_state(1)
    for byte in b"\n ab":
        state = runner.step(torch.tensor([byte]), state)
    for unit, layer in ((2, 0), (6, 1)):
        assert only(made[unit]).values[-1] == pytest.approx(float(state[layer][-1][0, 2]), abs=1e-6)
        assert made[unit].scale is not None
        assert made[unit].scale.limit == pytest.approx((unit + 1) / 10)
    assert only(generate(two_layers, GenerateConfig(text="ab", heatmap=True))).neuron == 2
    pinned = generate(two_layers, GenerateConfig(gen_length=5, overwrite="2=3,6=-1", neuron=6))
    assert set(only(pinned).values) == {-1.0}
    with pytest.raises(UsageError, match="0 to 7"):
        generate(two_layers, GenerateConfig(neuron=8))


def test_a_language_models_neurons_are_those_of_the_top_layer(two_layers: SavedModel):
    plain = SavedModel(kind="language-model", model=two_layers.model, rule=TextRule())
    shown = only(generate(plain, GenerateConfig(text="ab", gen_length=0, neuron=2))).values
    assert shown == only(generate(two_layers, GenerateConfig(text="ab", gen_length=0, neuron=6))).values


def test_a_language_models_scale_is_its_own_and_the_same_whatever_is_asked_of_it(language_model: SavedModel):
    scales = set()
    for seed, text in ((0, "a"), (9, "I loved this")):
        made = generate(language_model, GenerateConfig(text=text, heatmap=True, neuron=7, seed=seed))
        assert made.scale is not None
        scales.add(made.scale.limit)
    (limit,) = scales
    runner = Runner(language_model.model)
    watch = make_watch(runner, ShownNeuron(index=7), None)
    own = [sample(runner, b"\n ", length=128, seed=0, watch=watch, num_samples=64)]
    sizes = sorted(abs(value) for values in own[0].sample_values for value in values)
    assert sum(size > limit for size in sizes) == pytest.approx(len(sizes) / 100, abs=1)
    assert limit != 1.0


def test_a_classifier_without_scales_gets_the_models_own(classifier: SavedModel):
    assert classifier.classifier is not None
    without = replace(classifier, classifier=classifier.classifier | {"scale": None})
    made = generate(without, GenerateConfig(text="a", heatmap=True))
    own = generate(replace(classifier, classifier=None), GenerateConfig(text="a", heatmap=True, neuron=3))
    assert made.scale is not None
    assert own.scale is not None
    assert (made.scale.limit, made.scale.direction, own.scale.direction) == (own.scale.limit, -1, 1)
    assert made.scale.limit not in (0.25, 1.0)


def test_the_known_neuron_of_a_published_model_needs_no_name(language_model: SavedModel):
    known = replace(language_model, training={"sentiment_neuron": 5})
    made = generate(known, GenerateConfig(text="a", heatmap=True))
    assert made.scale is not None
    assert (made.scale.neuron, made.scale.direction, made.scale.green_class) == (5, 1, "positive")
    said: list[str] = []
    pinned = generate(known, GenerateConfig(text="a", gen_length=9, overwrite="+1"), announce=said.append)
    assert (only(pinned).neuron, set(only(pinned).values)) == (5, {1.0})
    assert said == ["neuron 5 is held at +1, the side of positive"]


def test_a_length_has_no_bound_where_nothing_is_kept(language_model: SavedModel):
    class EnoughError(Exception):
        pass

    num_pieces = 0

    def take(piece: str) -> None:
        nonlocal num_pieces
        num_pieces += 1
        if num_pieces > 50:
            raise EnoughError

    endless = GenerateConfig(gen_length=10**30)
    with pytest.raises(EnoughError):
        generate(language_model, endless, keep=False, on_text=take)
    with pytest.raises(UsageError, match=r"--gen-length .* ask for 100,000,000 or fewer"):
        generate(language_model, endless)
    with pytest.raises(UsageError, match="ask for 10,000,000 or fewer"):
        generate(language_model, GenerateConfig(gen_length=10_000_001, num_samples=10))


def test_each_setting_of_the_sampling_shows_in_the_text(language_model: SavedModel):
    def made(**settings: Any) -> str:
        return only(generate(language_model, GenerateConfig(text="It", gen_length=40, **settings))).text

    likeliest = made(temperature=0)
    assert likeliest == made(top_k=1) == made(top_p=1e-9)
    assert len({likeliest, made(), made(temperature=3), made(top_k=3), made(top_p=0.3), made(seed=1)}) == 6


def test_negate_flips_the_colours_and_nothing_else(classifier: SavedModel):
    plain, flipped = (
        generate(classifier, GenerateConfig(text="fine", heatmap=True, negate=negate)) for negate in (False, True)
    )
    assert plain.samples == flipped.samples
    assert plain.scale is not None
    assert flipped.scale is not None
    assert (plain.scale.direction, plain.scale.green_class) == (-1, "positive")
    assert (flipped.scale.direction, flipped.scale.green_class) == (1, "negative")


def test_overwrite_of_nothing_generated_is_wrong_usage(classifier: SavedModel):
    with pytest.raises(UsageError, match="--gen-length"):
        generate(classifier, GenerateConfig(text="a", heatmap=True, overwrite="+1"))


def test_an_analysis_is_made_once_however_many_samples_were_asked_for(classifier: SavedModel):
    assert len(generate(classifier, GenerateConfig(text="a", heatmap=True, num_samples=3)).samples) == 1


def test_json_lines_hold_text_characters_values_and_neuron_of_one_length(classifier: SavedModel, tmp_path: Path):
    made = generate(classifier, GenerateConfig(text=ODD_TEXT, gen_length=20, num_samples=2))
    write_samples(tmp_path / "x.jsonl", made.samples)
    saved = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text("utf-8").splitlines()]
    assert len(saved) == 2
    for one, kept in zip(saved, made.samples, strict=True):
        assert one["text"] == kept.text
        assert one["characters"] == list(kept.text)
        assert one["values"] == pytest.approx(kept.values)
        assert one["neuron"] == 3


def test_a_text_file_holds_the_samples_with_a_blank_line_between(tmp_path: Path):
    samples = [CharacterValues(text=text, values=[], neuron=None) for text in ("é one", "two")]
    write_samples(tmp_path / "x.txt", samples)
    assert (tmp_path / "x.txt").read_bytes() == "é one\n\ntwo\n".encode()
