"""The text rule: what it removes, what it leaves, and that its two roads give the same bytes."""

import importlib.metadata
import re
import time
import unicodedata
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unidecode import unidecode

from sentneuron.core.data import foreign_rules, rule_steps, text
from sentneuron.core.data.text import CONTROL, TextRule
from sentneuron.core.errors import DataError

RULE = TextRule()
UNICODE_RULE = TextRule(keep_unicode=True)

# Pieces that meet each other in every order: half of an entity beside half of a tag, spaces around what disappears.
PIECES = [
    "&",
    "&amp;",
    "amp;",
    "&lt;",
    "&gt",
    "#60;",
    "&#x3c;",
    "lt;",
    "<",
    "<b>",
    "</p>",
    "<br />",
    "<br",
    "/>",
    ">",
    '<a href="',
]
PIECES += [
    'x">',
    "<!--",
    "-->",
    "<!-",
    " ",
    "  ",
    "\n",
    "\t",
    "\x00",
    "\x7f",
    "\x85",
    "\xa0",
    "\u2003",
    "\u200b",
    "a",
    "B3",
    "…",
]
PIECES += [
    "é",
    "ß",
    "Æ",
    "北",
    "\U0001f600",
    "\ud800",
    "\udcff",
    "\ufeff",
    "\ufffd",
    "&notit;",
    "&#0;",
    "&#xD800;",
    "&#128512;",
]
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=20).map("".join), st.text(st.characters(), max_size=40))


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("I <3 this, price > 5", "I <3 this, price > 5"),
        ("good<br /><br />bad", "good bad"),
        ("<b>bold</b> and <I>italic</I>", "bold and italic"),
        ("see <a href=\"x\">this</a>, <a href=x>that</a>, <a  href = 'x'  >more</a >", "see this , that , more"),
        ("one<!-- two > <b> -->three", "one three"),
        ("<!DOCTYPE html><hr noshade>x<o:p>y</o:p>", "x y"),
        ("a <b and c> d", "a <b and c> d"),
        ("if x<y and y>z", "if x<y and y>z"),
        ("<3 <- <> < b> <http://a.b/c> <me@x.org>", "<3 <- <> < b> <http://a.b/c> <me@x.org>"),
        ("a vector<int> parses as a tag", "a vector parses as a tag"),
        ("an open <a href='x", "an open <a href='x"),
        ("an open <!-- comment", "an open <!-- comment"),
        ("AT&amp;T &amp;quot;quoted&amp;quot;", 'AT&T "quoted"'),
        ("&lt;br&gt;x&amp;lt;br&amp;gt;y", "x y"),
        ("three times: &amp;amp;amp;", "three times: &amp;"),
        ("R&D & co, 3&4", "R&D & co, 3&4"),
        ("caf\u00e9 \u201cquoted\u201d \u2013 na\u00efve\u2026", 'cafe "quoted" - naive...'),
        ("a\u00a0b\u2028c\x85d\x00e\x1bf\x7fg", "a b c d e f g"),
        ("  one \t\r\n two  ", "one two"),
        ("great \U0001f600 film", "great film"),
        ("half \ud83d pair", "half pair"),
        ("&#99999999999999999999; &#" + "9" * 5000 + ";x", "x"),
        ("\U0001f600", ""),
        ("", ""),
    ],
)
def test_the_rule_turns_a_text_into(given_text: str, expected: str) -> None:
    assert RULE.body(given_text) == expected
    assert RULE.clean(given_text) == b"\n " + expected.encode() + b" "


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("caf\u00e9 \U0001f600 &hearts;", "caf\u00e9 \U0001f600 \u2665"),
        ("a\u00a0b\u2028c\x85d\x00e", "a b c d e"),
        ("half \ud83d pair", "half pair"),
        ("\u3000<br/>\u3000", ""),
    ],
)
def test_keep_unicode_leaves_utf8_and_still_collapses_space(given_text: str, expected: str) -> None:
    assert UNICODE_RULE.body(given_text) == expected
    assert UNICODE_RULE.clean(given_text) == b"\n " + expected.encode() + b" "


# Blocks of 256 code points: all scripts in use, surrogates, emoji, and a few beyond.
BLOCKS = [
    *range(0, 0x3400, 256),
    *range(0x4E00, 0xD800, 4096),
    *range(0xD800, 0x10000, 256),
    *range(0x1D400, 0x20000, 256),
]


def test_whole_texts_become_what_unidecode_makes_of_them_but_for_c1_controls() -> None:
    for start in BLOCKS:
        block = map(chr, range(start, start + 256))
        text = " ".join(f"a{character}b" for character in block if not "\x80" <= character <= "\x9f")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = unidecode(text)
        assert RULE.body(text) == " ".join(CONTROL.sub(" ", expected).split())
    assert RULE.body("".join(f"a{chr(code)}" for code in range(0x80, 0xA0))) == "a " * 31 + "a"


def test_offsets_come_with_the_bytes_of_clean_whatever_the_script() -> None:
    for start in BLOCKS:
        text = "".join(f"a{chr(code)}" for code in range(start, start + 256))
        for rule in (RULE, UNICODE_RULE):
            assert rule.clean_with_offsets(text)[0] == rule.clean(text)


def test_a_lone_surrogate_warns_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert RULE.body("a\udfe0b") == "ab"
        assert RULE.body("\ud800\udfe0\udfff") == ""


@settings(derandomize=True, max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from([RULE, UNICODE_RULE]))
def test_offsets_come_with_exactly_the_bytes_of_clean(text: str, rule: TextRule) -> None:
    content, offsets = rule.clean_with_offsets(text)
    assert content == rule.clean(text)
    assert len(offsets) == len(text)
    assert offsets == sorted(offsets)
    assert all(1 <= offset < len(content) - 1 for offset in offsets)
    # Every byte of the body belongs to somebody, so the last character reaches the last of them.
    assert not text or offsets[-1] == len(content) - 2


@settings(derandomize=True, max_examples=200, deadline=None)
@given(TEXTS)
def test_a_clean_text_holds_printable_ascii_and_single_spaces(text: str) -> None:
    body = RULE.body(text)
    assert body.isascii()
    assert body == " ".join(body.split())
    assert body == "" or body.isprintable()


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(st.sampled_from("abc XYZ.,!?'\"()5"), max_size=60))
def test_plain_ascii_keeps_every_character(text: str) -> None:
    assert RULE.body(text) == " ".join(text.split())


def test_each_character_of_a_plain_text_has_its_own_byte() -> None:
    assert RULE.clean_with_offsets("abc") == (b"\n abc ", [2, 3, 4])


def test_a_character_that_yields_no_byte_repeats_the_one_before_it() -> None:
    content, offsets = RULE.clean_with_offsets(" a\U0001f600  <br />b ")
    assert content == b"\n a b "
    assert offsets == [1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4]


def test_a_character_of_several_bytes_has_the_index_of_the_last() -> None:
    assert RULE.clean_with_offsets("xÆ…y") == (b"\n xAE...y ", [2, 4, 7, 8])
    assert UNICODE_RULE.clean_with_offsets("é北x") == ("\n é北x ".encode(), [3, 6, 7])


def test_the_characters_of_an_entity_share_its_byte() -> None:
    assert RULE.clean_with_offsets("a&amp;b") == (b"\n a&b ", [2, 3, 3, 3, 3, 3, 4])
    assert RULE.clean_with_offsets("&semi;x") == (b"\n ;x ", [2, 2, 2, 2, 2, 2, 3])


def test_what_follows_an_entity_without_a_semicolon_keeps_its_own_bytes() -> None:
    assert RULE.clean_with_offsets("R&Dx;") == (b"\n R&Dx; ", [2, 3, 4, 5, 6])
    assert RULE.clean_with_offsets("&ltfoo;") == (b"\n <foo; ", [2, 2, 2, 3, 4, 5, 6])


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<a b='",
        '<a b="',
        "<a ",
        "<",
        "&",
        "&#",
        "&#1",
        "&amp;",
        "<a b=c ",
        " ",
        "\n",
        "--><!--",
        "<!-",
        "- <",
        "<a b= \"'",
    ],
)
def test_hostile_repetition_takes_linear_time(piece: str) -> None:
    started = time.process_time()
    RULE.clean(piece * (400_000 // len(piece)))
    # A quadratic pattern takes minutes here.
    assert time.process_time() - started < 2


def test_a_rule_survives_its_dict() -> None:
    assert UNICODE_RULE.to_dict() == {"name": "sentneuron", "version": 1, "keep_unicode": True}
    assert TextRule.from_dict(UNICODE_RULE.to_dict()) == UNICODE_RULE


def test_a_rule_without_a_version_is_the_first() -> None:
    assert TextRule.from_dict({"name": "sentneuron", "keep_unicode": True}) == TextRule(version=1, keep_unicode=True)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "from the future"},
        {"name": "sentneuron", "lowercase": True},
        *({"version": version} for version in (2, 0, -1, None, "1", 1.5)),
    ],
)
def test_a_rule_that_is_not_known_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(DataError, match="text rule") as caught:
        TextRule.from_dict(values)
    assert caught.value.hint.startswith("update sentneuron")


def test_what_else_decides_the_bytes_is_named_with_its_version() -> None:
    assert RULE.made_with() == {"unidecode": importlib.metadata.version("unidecode")}
    assert UNICODE_RULE.made_with() == {"unicode": unicodedata.unidata_version}


def test_no_pattern_has_a_possessive_group() -> None:
    """Python 3.11.2 matches those wrongly that hold a choice: the same text would give other bytes there."""
    patterns = [value for module in (text, rule_steps, foreign_rules) for value in vars(module).values()]
    found = [value.pattern for value in patterns if isinstance(value, re.Pattern)]
    assert len(found) >= 6
    assert [pattern for pattern in found if re.search(r"\)(?:[*+?]|\{[0-9,]+\})\+", pattern)] == []
