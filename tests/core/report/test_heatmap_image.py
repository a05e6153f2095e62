"""The picture: size, colours where they belong, and texts that a font or a format could choke on."""

from pathlib import Path

import pytest
from PIL import Image

from sentneuron.core.generation.heatmap import CharacterValues, ColourScale, colour
from sentneuron.core.report import heatmap_image
from sentneuron.core.report.heatmap_image import CELL_HEIGHT, CELL_WIDTH, MARGIN, draw_heatmap, write_image

SCALE = ColourScale(neuron=388, limit=0.5, direction=1, red_class="negative", green_class="positive")


def sample(text: str, value: float = 0.0) -> CharacterValues:
    return CharacterValues(text=text, values=[value] * len(text), neuron=388)


def ground(image: Image.Image, row: int, column: int) -> tuple[int, ...]:
    """Return the colour in the upper middle of a cell, where no letter of lower case reaches."""
    pixel = image.getpixel((MARGIN + column * CELL_WIDTH + CELL_WIDTH // 2, MARGIN + row * CELL_HEIGHT + 2))
    assert isinstance(pixel, tuple)
    return pixel


def test_each_character_stands_on_the_colour_of_its_value():
    values = [-0.5, 0.0, 0.5, 0.25]
    image = draw_heatmap([CharacterValues(text="a\nab", values=values, neuron=388)], SCALE)
    assert ground(image, 0, 0) == colour(-1.0)
    assert ground(image, 1, 0) == colour(1.0)
    assert ground(image, 1, 1) == colour(0.5)
    assert ground(image, 1, 2) == (255, 255, 255)


def test_a_wide_character_takes_two_cells():
    image = draw_heatmap([CharacterValues(text="中a", values=[0.5, -0.5], neuron=388)], SCALE)
    assert [ground(image, 0, column) for column in range(3)] == [colour(1.0), colour(1.0), colour(-1.0)]


def test_the_picture_is_74_columns_wide_and_grows_by_the_line():
    one, two, twice = (
        draw_heatmap(samples, SCALE).size for samples in ([sample("a")], [sample("a b" * 25)], [sample("a")] * 2)
    )
    assert one[0] == two[0] == 74 * CELL_WIDTH + 2 * MARGIN
    assert two[1] - one[1] == CELL_HEIGHT
    assert twice[1] - one[1] == 2 * CELL_HEIGHT


@pytest.mark.parametrize(
    "text", ["$x^2$ \\frac", "\x00\x1b[31m", "e\u0301\u0301", "👨‍👩‍👧 中文 עברית", "\n\n", "x" * 500]
)
def test_no_text_breaks_the_picture(text: str, tmp_path: Path):
    write_image(tmp_path / "x.png", [sample(text)], SCALE)
    with Image.open(tmp_path / "x.png") as image:
        assert image.format == "PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_a_joined_emoji_is_drawn_as_one_and_stays_in_its_cell():
    joined, alone = (draw_heatmap([sample(text + " a")], SCALE) for text in ("👨‍👩‍👧", "👨"))
    assert joined.tobytes() == alone.tobytes()


def test_dollars_are_drawn_as_they_are():
    with_dollars, without = (draw_heatmap([sample(text)], SCALE) for text in ("a$b$", "a b "))
    assert with_dollars.tobytes() != without.tobytes()


def test_a_very_long_text_is_cut_to_a_picture_that_opens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(heatmap_image, "MAX_LINES", 5)
    ten, six = (draw_heatmap([sample("\n".join("a" * count))], SCALE) for count in (10, 6))
    assert ten.size == six.size
    assert ten.tobytes() != six.tobytes()  # "5 more lines", "1 more lines"


def test_a_long_class_name_stays_inside_the_picture():
    scale = ColourScale(neuron=1, limit=0.5, direction=1, red_class="x" * 500, green_class="y" * 500)
    image = draw_heatmap([sample("a")], scale)
    right_edge = image.crop((image.width - MARGIN + 2, 0, image.width, image.height))
    assert right_edge.getcolors() == [(right_edge.width * right_edge.height, (255, 255, 255))]
