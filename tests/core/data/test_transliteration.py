"""Transliteration: equal to Unidecode on every code point, however the text is cut into runs."""

import pkgutil
import re
import warnings
from collections.abc import Iterable

import pytest
import unidecode as unidecode_module
from hypothesis import given, settings
from hypothesis import strategies as st
from unidecode import unidecode

from sentneuron.core.data import transliteration
from sentneuron.core.data.transliteration import TO_ASCII, Replacements, ascii_of

# Where Unidecode has a table; it finds out by importing, which takes milliseconds for each that it has not.
WITH_TABLE = [
    256 * int(module.name[1:], 16)
    for module in pkgutil.iter_modules(unidecode_module.__path__, "")
    if re.fullmatch("x[0-9a-f]{3}", module.name)
]
SURROGATES = range(0xD800, 0xE000, 256)


def plain(text: str) -> str:
    """Unidecode without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return unidecode(text)


def different_from_unidecode(starts: Iterable[int]) -> list[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        codes = [code for start in starts for code in range(start, start + 256)]
        return [code for code in codes if ascii_of(chr(code)) != unidecode(chr(code))]


def test_every_code_point_of_unidecodes_tables_and_every_surrogate_becomes_what_unidecode_makes_of_it() -> None:
    assert len(WITH_TABLE) > 150
    assert different_from_unidecode([*WITH_TABLE, *SURROGATES]) == []


@pytest.mark.slow
def test_every_code_point_there_is_becomes_what_unidecode_makes_of_it() -> None:
    assert different_from_unidecode(range(0, 0x110000, 256)) == []


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc"]), max_size=600))
def test_encoding_a_text_is_unidecode_on_the_whole_of_it(text: str) -> None:
    assert text.encode("ascii", TO_ASCII).decode() == plain(text)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 255, 256, 257, 513])
@pytest.mark.parametrize("run", ["é", "北京", "Ж\x80", "\U0001f600", "\udc80"])
def test_a_run_of_any_length_is_replaced_to_its_end(length: int, run: str) -> None:
    foreign = (run * length)[:length]
    text = f"before {foreign}after, {foreign} and on{foreign}"
    expected = plain(text.replace("\x80", " "))
    assert text.encode("ascii", TO_ASCII).decode() == expected


def test_c1_controls_are_spaces_when_a_text_is_encoded() -> None:
    controls = "".join(map(chr, range(0x80, 0xA0)))
    assert controls.encode("ascii", TO_ASCII) == b" " * 32
    assert "\x85".encode("ascii", TO_ASCII) == b" "
    assert ascii_of("\x85") == unidecode("\x85") == ""


def test_a_text_of_every_character_does_not_fill_memory(monkeypatch) -> None:
    monkeypatch.setattr(Replacements, "MAX_SIZE", 100)
    replacements = Replacements()
    assert [replacements[chr(code)] for code in range(0x100, 0x200)] == [plain(chr(code)) for code in range(256, 512)]
    assert len(replacements) == 100


def test_bytes_that_cannot_be_decoded_are_not_this_handlers_business() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", transliteration.TO_ASCII)
