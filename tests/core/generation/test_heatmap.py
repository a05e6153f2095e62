"""Values per character, and the colour scale."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentneuron.core.generation.heatmap import (
    ANCHORS,
    CharacterValues,
    colour,
    colour_scale,
    decode_with_values,
    values_at,
)
from sentneuron.core.generation.neurons import ShownNeuron


def decoded(data: bytes) -> tuple[str, list[float]]:
    return decode_with_values(data, [float(index) for index in range(len(data))])


def test_a_characters_value_is_that_after_its_last_byte():
    assert decoded("aé中👍".encode()) == ("aé中👍", [0.0, 2.0, 5.0, 9.0])


@pytest.mark.parametrize(
    ("data", "text", "values"),
    [
        (b"\xc3a", "\ufffda", [0.0, 1.0]),
        (b"\xe2\x82a", "\ufffda", [1.0, 2.0]),
        (b"\xc3\xc3\xa9", "\ufffdé", [0.0, 2.0]),
        (b"a\xf0\x9f", "a\ufffd", [0.0, 2.0]),
        (b"\xff\xfe", "\ufffd\ufffd", [0.0, 1.0]),
        (b"", "", []),
    ],
)
def test_bytes_that_are_no_text_become_replacement_characters_with_their_own_values(
    data: bytes, text: str, values: list[float]
):
    assert decoded(data) == (text, values)


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=60))
def test_any_bytes_decode_as_python_does_with_one_value_a_character_in_order(data: bytes):
    text, values = decoded(data)
    assert text == data.decode("utf-8", "replace")
    assert len(values) == len(text)
    assert values == sorted(values)
    assert values[-1:] == [float(len(data) - 1)] * bool(data)


def test_characters_without_bytes_repeat_the_value_their_offset_names():
    assert values_at([1, 2, 2, 9], [0.0, 0.1, 0.2, 0.3]) == [0.1, 0.2, 0.2, 0.3]


def test_a_saved_sample_has_one_entry_a_character():
    saved = CharacterValues(text="né", values=[0.5, -0.5], neuron=3).to_dict()
    assert saved == {"text": "né", "characters": ["n", "é"], "values": [0.5, -0.5], "neuron": 3}


def test_green_is_the_positive_side_whatever_the_sign():
    for sign in (1, -1):
        neuron = ShownNeuron(index=3, scale=0.4, sign=sign, negative="bad", positive="good")
        scale = colour_scale(neuron, negate=False)
        assert scale.level(0.4 * sign) == 1.0
        assert scale.level(-0.4 * sign) == -1.0
        assert scale.green_class == "good"


def test_negate_flips_colours_and_what_they_are_called():
    neuron = ShownNeuron(index=388, scale=0.41, negative="bad", positive="good")
    plain, flipped = (colour_scale(neuron, negate=negate) for negate in (False, True))
    assert plain.describe() == "scale: red -0.41 (bad) … green +0.41 (good), neuron 388"
    assert flipped.describe() == "scale: red +0.41 (good) … green -0.41 (bad), neuron 388"
    assert flipped.level(0.2) == -plain.level(0.2)


def test_the_scale_is_symmetric_and_saturates():
    scale = colour_scale(ShownNeuron(index=0, scale=2.0), negate=False)
    assert [scale.level(value) for value in (-9.0, -2.0, -1.0, 0.0, 1.0, 2.0, 9.0)] == [-1, -1, -0.5, 0, 0.5, 1, 1]
    assert scale.describe() == "scale: red -2 … green +2, neuron 0"


def test_levels_run_from_red_through_a_light_neutral_to_green():
    red, neutral, green = colour(-1.0), colour(0.0), colour(1.0)
    assert (red, neutral, green) == (ANCHORS[0], ANCHORS[2], ANCHORS[4])
    assert red[0] > 1.5 * red[1]
    assert green[1] > 1.5 * green[0]
    assert min(neutral) > 230


@pytest.mark.parametrize("level", [k / 8 - 1 for k in range(17)])
def test_black_text_is_readable_on_every_colour(level: float):
    linear = [(part / 255 / 12.92) if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour(level)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert (luminance + 0.05) / 0.05 > 6  # W3C's contrast ratio; 4.5 is called readable
