"""The text rules of OpenAI's and NVIDIA's models: the same bytes as their authors' programs, in linear time."""

import html
import importlib.metadata
import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unidecode import unidecode

from sentneuron.core.data.blanks import NOTHING
from sentneuron.core.data.text import TextRule
from sentneuron.core.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:Surrogate character")  # Unidecode's, at half a pair

OPENAI, NVIDIA = TextRule(name="openai"), TextRule(name="nvidia")
RULES = [OPENAI, NVIDIA]


def openai_original(text: str) -> bytes:
    """OpenAI's preprocessing, step by step; half a surrogate pair, at which it stops, is left out."""
    text = re.sub("[\ud800-\udfff]", "", text)
    text = html.unescape(text)
    text = text.replace("\n", " ").strip()
    return ("\n " + text + " ").encode()


def nvidia_original(text: str) -> bytes:
    """NVIDIA's preprocessing, step by step."""
    text = re.sub("<.*?>", " ", text)
    text = unidecode(text)
    text = html.unescape(text)
    return ("\n " + " ".join(text.split()) + " ").encode()


ORIGINALS = [(OPENAI, openai_original), (NVIDIA, nvidia_original)]

PIECES = ["&", "&amp;", "amp;", "&lt;", "&gt", "&nbsp;", "&eacute;", "&not", "it;", "&semi;", "&#10;", "&#0;", "&#x85;"]
PIECES += [
    "&#xD800;",
    "&#128512;",
    "&hearts;",
    "<",
    "<b>",
    "</p>",
    "<br />",
    "<a href='",
    ">",
    "/",
    " ",
    "  ",
    "\n",
    "\r",
]
PIECES += ["\t", "\x00", "\x1c", "\x1f", "\x7f", "\x85", "\xa0", "\u2003", "\u2028", "\u200b", "\u3000", "a", "B3", "…"]
PIECES += ["é", "ß", "Æ", "北", "\U0001f600", "\ud83d", "\ude00", "\ufeff", "\ufffd", "\ufb01", "\uff1c", "\u2039"]
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=20).map("".join), st.text(st.characters(), max_size=40))

# Blocks of 256 code points: all scripts in use, surrogates, emoji, and a few beyond.
BLOCKS = [
    *range(0, 0x3400, 256),
    *range(0x4E00, 0xD800, 4096),
    *range(0xD800, 0x10000, 256),
    *range(0x1D400, 0x20000, 256),
]


@pytest.mark.parametrize(
    ("given_text", "openai", "nvidia"),
    [
        ("I <3 this, price > 5", "I <3 this, price > 5", "I 5"),
        ("good<br /><br />bad", "good<br /><br />bad", "good bad"),
        ("a < b\nc > d", "a < b c > d", "a < b c > d"),
        ("<<a>> <", "<<a>> <", "> <"),
        ("two  spaces\n\n and lines\r\n", "two  spaces   and lines", "two spaces and lines"),
        ("AT&amp;amp;T &lt;b&gt;", "AT&amp;T <b>", "AT&amp;T <b>"),
        ("caf\u00e9 &eacute; \u201cx\u201d", "caf\u00e9 \u00e9 \u201cx\u201d", 'cafe \u00e9 "x"'),
        ("&nbsp;a&nbsp;b&nbsp;", "a\u00a0b", "a b"),
        ("a\x85b\x00c", "a\x85b\x00c", "ab\x00c"),
        ("\u2039b\u203a", "\u2039b\u203a", "<b>"),
        ("half \ud83d pair", "half  pair", "half pair"),
        ("great \U0001f600 film", "great \U0001f600 film", "great film"),
        ("&#" + "9" * 5000 + ";x", "\ufffdx", "\ufffdx"),
        ("&#" + "0" * 100 + "65;", "A", "A"),
        (" \n\t ", "", ""),
        ("\ud800 ", "", ""),
        ("", "", ""),
    ],
)
def test_the_rules_turn_a_text_into(given_text: str, openai: str, nvidia: str) -> None:
    assert OPENAI.body(given_text) == openai
    assert NVIDIA.body(given_text) == nvidia


@settings(derandomize=True, max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from(ORIGINALS))
def test_clean_gives_the_bytes_of_the_original_program(text: str, pair) -> None:
    rule, original = pair
    assert rule.clean(text) == original(text)
    assert rule.clean_all([text, "x"]) == [original(text), b"\n x "]


def test_every_character_becomes_what_the_original_program_makes_of_it() -> None:
    for start in BLOCKS:
        block = [f"a{chr(code)}b" for code in range(start, start + 256)]
        for rule, original in ORIGINALS:
            assert rule.clean_all(block) == [original(text) for text in block]


def test_offsets_come_with_the_bytes_of_clean_whatever_the_script() -> None:
    for start in BLOCKS:
        text = "".join(f"a{chr(code)}" for code in range(start, start + 256))
        for rule in RULES:
            assert rule.clean_with_offsets(text)[0] == rule.clean(text)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from(RULES))
def test_offsets_come_with_exactly_the_bytes_of_clean(text: str, rule: TextRule) -> None:
    content, offsets = rule.clean_with_offsets(text)
    assert content == rule.clean(text)
    assert len(offsets) == len(text)
    assert offsets == sorted(offsets)
    assert all(1 <= offset < len(content) - 1 for offset in offsets)
    # Every byte of the body belongs to somebody, so the last character reaches the last of them.
    assert not text or offsets[-1] == len(content) - 2


def test_a_character_has_the_index_of_its_last_byte() -> None:
    assert OPENAI.clean_with_offsets(" é  b\n") == ("\n é  b ".encode(), [1, 3, 4, 5, 6, 6])
    assert OPENAI.clean_with_offsets("\t\xa0a") == (b"\n a ", [1, 1, 2])
    assert NVIDIA.clean_with_offsets(" Æ  b\n") == (b"\n AE b ", [1, 3, 4, 4, 5, 5])


def test_the_characters_of_an_entity_or_a_tag_share_its_byte() -> None:
    assert OPENAI.clean_with_offsets("a&amp;b") == (b"\n a&b ", [2, 3, 3, 3, 3, 3, 4])
    assert NVIDIA.clean_with_offsets("a<b>c") == (b"\n a c ", [2, 3, 3, 3, 4])


def test_a_span_that_is_never_closed_keeps_its_own_bytes() -> None:
    assert NVIDIA.clean_with_offsets("a<bc") == (b"\n a<bc ", [2, 3, 4, 5])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("piece", ["<", "<a ", "<\n", ">", "&", "&#", "&#1", "&amp;", "é", " ", "\n", "\u2003", "<é "])
def test_hostile_repetition_takes_linear_time(rule: TextRule, piece: str) -> None:
    started = time.process_time()
    rule.clean(piece * (400_000 // len(piece)))
    # A quadratic pattern takes minutes here.
    assert time.process_time() - started < 2


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_survives_its_dict(rule: TextRule) -> None:
    assert rule.to_dict() == {"name": rule.name, "version": 1, "keep_unicode": False}
    assert TextRule.from_dict(rule.to_dict()) == rule
    assert rule != TextRule()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_an_empty_text_is_nothing_under_every_rule(rule: TextRule) -> None:
    assert rule.clean("") == NOTHING
    assert rule.clean_with_offsets("") == (NOTHING, [])


@pytest.mark.parametrize("name", ["openai", "nvidia"])
def test_keep_unicode_is_no_option_of_a_foreign_rule(name: str) -> None:
    with pytest.raises(DataError, match="no keep_unicode"):
        TextRule(name=name, keep_unicode=True)


def test_what_else_decides_the_bytes_is_named_with_its_version() -> None:
    unicode = {"unicode": unicodedata.unidata_version}
    assert OPENAI.made_with() == unicode
    assert NVIDIA.made_with() == unicode | {"unidecode": importlib.metadata.version("unidecode")}
