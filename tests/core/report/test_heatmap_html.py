"""The page: escaped, self-contained, and the text as it was given."""

from html.parser import HTMLParser
from pathlib import Path

from sentneuron.core.generation.heatmap import CharacterValues, ColourScale
from sentneuron.core.report.heatmap_html import page, write_html

SCALE = ColourScale(neuron=388, limit=0.5, direction=1, red_class="<neg>", green_class="pos&")


class Reader(HTMLParser):
    """Collects what a browser would show, and the tags."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown: list[str] = []
        self.texts: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if dict(attrs).get("class") == "text":
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        self.shown.append(data)
        if self.texts and not any(attributes.get("class") == "scale" for _, attributes in self.tags):
            self.texts[-1] += data


def read(*texts: str) -> Reader:
    samples = [CharacterValues(text=text, values=[k % 3 / 4 for k in range(len(text))], neuron=388) for text in texts]
    return Reader(page(samples, SCALE))


def test_text_is_shown_as_given_and_nothing_of_it_is_markup():
    hostile = '<script>alert("1")</script> & &amp; </div> \'"><img src=x onerror=1> [/b] $x$\n  two  spaces 👍'
    reader = read(hostile)
    assert reader.texts[0].rstrip("\n") == hostile
    assert not {"script", "img", "b"} & {tag for tag, _ in reader.tags}


def test_class_names_are_escaped():
    assert "<neg> -0.5" in read("a").shown
    assert "+0.5 pos&" in read("a").shown


def test_the_page_loads_nothing_from_elsewhere():
    reader = read("a")
    assert not {"link", "script", "img", "iframe"} & {tag for tag, _ in reader.tags}
    assert not any("src" in attributes or "href" in attributes for _, attributes in reader.tags)
    assert "url(" not in page([], SCALE)


def test_control_characters_are_replaced():
    assert read("a\x00\x1b[31m\x9bb").texts[0].rstrip("\n") == "a\ufffd\ufffd[31m\ufffdb"


def test_the_scale_has_the_colours_of_the_text():
    assert "opacity: .75; }\n.scale .bar { width: 16em; height: 1em; border-radius: .2em; opacity: 1;" in page(
        [], SCALE
    )


def test_a_joined_emoji_stays_whole_in_one_span():
    one = CharacterValues(text="👨‍👩‍👧👍🏽", values=[0.5, 0.4, 0.3, 0.2, 0.1, 0.5, -0.5], neuron=388)
    assert ">👨‍👩‍👧</span>" in page([one], SCALE)
    assert ">👍🏽</span>" in page([one], SCALE)


def test_neighbours_of_one_colour_share_a_span():
    one = CharacterValues(text="a" * 1000, values=[0.5] * 1000, neuron=388)
    assert page([one], SCALE).count("<span style") == 1


def test_each_sample_is_a_paragraph_of_its_own(tmp_path: Path):
    samples = [CharacterValues(text=text, values=[0.0] * len(text), neuron=388) for text in ("é one", "two")]
    write_html(tmp_path / "x.html", samples, SCALE)
    texts = Reader((tmp_path / "x.html").read_text("utf-8")).texts
    assert [text.strip() for text in texts] == ["é one", "two"]
