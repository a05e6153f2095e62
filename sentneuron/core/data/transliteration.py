"""Unidecode's ASCII, each character looked up once: the codec error handler TO_ASCII.

`text.encode("ascii", TO_ASCII)` runs over ASCII in C and calls Python only where another character stands, so that an
English review with a few accents costs little more than a plain one. Text in another script makes one object for each
character, here as in Unidecode; two to three times its speed is what is left there.
"""

import codecs

from unidecode import unidecode

TO_ASCII = "sentneuron.ascii"
# Dashes and accents come alone or in pairs; a longer run is a foreign word, and more of them follow.
FOREIGN_RUN = 3
FOREIGN_WINDOW = 256


class Replacements(dict[str, str]):
    """A character's replacement, found when it is first asked for; bounded, whatever the text holds."""

    MAX_SIZE = 1 << 16

    def __missing__(self, character: str) -> str:
        # Unidecode drops half a surrogate pair too, but warns about it every time.
        replacement = "" if "\ud800" <= character <= "\udfff" else unidecode(character)
        if len(self) < self.MAX_SIZE:
            self[character] = replacement
        return replacement


ascii_of = Replacements().__getitem__
"""Unidecode's ASCII for one character; nothing for emoji, lone surrogates and unassigned code points."""

_ascii_or_space = Replacements({chr(code): " " for code in range(0x80, 0xA0)}).__getitem__


def replace_run(error: UnicodeError) -> tuple[str, int]:
    """Replace what ASCII cannot encode: C1 controls by spaces, anything else by Unidecode's ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    start, end = error.start, error.end
    if end - start == 1:
        return _ascii_or_space(error.object[start]), end
    if end - start >= FOREIGN_RUN:
        end = min(start + FOREIGN_WINDOW, len(error.object))
    return "".join(map(_ascii_or_space, error.object[start:end])), end


codecs.register_error(TO_ASCII, replace_run)
