"""The one rule that turns a review into the bytes a model reads; stored in every model and reused from there.

Entities are unescaped twice and no more: text escaped three times is somebody's HTML lesson. Tags are found by grammar,
not by `<.*?>`. Characters become what Unidecode makes of them, with one exception: C1 controls (U+0080 to U+009F, among
them NEL), which Unidecode drops, are white space as C0 controls are; two words never grow together.

`clean_all` is what every record goes through, and works on many whole texts; `clean_with_offsets` does the same a match
at a time and remembers which character each piece came from. The tests hold the two against each other on every code
point. Both take time linear in the text's length, whatever the text.

Models from elsewhere bring their own rule, by its name (foreign_rules.py); all pad alike.
"""

import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version as installed_version
from typing import Any, Self

from sentneuron.core.data.blanks import PADDING_AFTER, PADDING_BEFORE, pad_all
from sentneuron.core.data.foreign_rules import NVIDIA_STEPS, OPENAI_STEPS
from sentneuron.core.data.rule_steps import ENTITY, SURROGATE, Step, apply, apply_with_owners, nothing, space
from sentneuron.core.data.transliteration import TO_ASCII, ascii_of
from sentneuron.core.errors import DataError

VERSION = 1
"""Of the rules; raised whenever the same text would give other bytes."""
OURS = "sentneuron"
FOREIGN_STEPS = {"openai": OPENAI_STEPS, "nvidia": NVIDIA_STEPS}

# An attribute is name=value, or one of HTML's own flags: `a <b and c> d` is no tag. A quoted value may not hold `<`:
# no tag starts inside another one, and so a hostile text costs linear time. Line breaks, by far the commonest tags,
# stand first and as one: twice as fast on IMDB. Groups are not possessive: Python 3.11.2 matches those wrongly that
# hold a choice (3.11.7 does not), and where one is left again nothing else can follow.
TAG = re.compile(
    r"""<(?:
        br\ />(?:<br\ />)*
        |/?[a-z][a-z0-9]*+(?:[:-][a-z0-9]++)*
        (?:\s++(?:
            [a-z_:][-a-z0-9_:.]*+\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'|[^\s"'=<>`]++)
            |(?:allowfullscreen|async|autofocus|autoplay|checked|compact|controls|defer|disabled|hidden|loop|multiple|muted
               |nohref|noshade|novalidate|nowrap|open|readonly|required|reversed|selected)(?=[\s/>])
        ))*\s*+/?>
        |!--[^-<]*+(?:(?!-->|<!--)[-<][^-<]*+)*-->
        |!doctype[^<>]*+>
    )""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
C1_CONTROL = re.compile(r"[\x80-\x9f]")
NOT_ASCII = re.compile(r"[^\x00-\x7f]")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
UNICODE_BLANK = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f]")
SPACES = re.compile(r"  +")


@dataclass(frozen=True, kw_only=True)
class TextRule:
    """How text becomes bytes: entities, tags, ASCII, white space, padding."""

    name: str = OURS
    """Which rule: ours, or that of a model from elsewhere: `openai` or `nvidia`."""
    version: int = VERSION
    """Raised whenever the same text would give other bytes."""
    keep_unicode: bool = False
    """Leave UTF-8 as it is instead of Unidecode's ASCII; ours only."""

    def __post_init__(self) -> None:
        if self.name not in (OURS, *FOREIGN_STEPS):
            raise DataError(f"text rule {self.name!r} is unknown", hint="update sentneuron, or train the model again")
        if self.version not in range(1, VERSION + 1):
            raise DataError(
                f"text rule has version {self.version!r}, this program knows {VERSION}", hint="update sentneuron"
            )
        if self.keep_unicode and self.name != OURS:
            raise DataError(f"text rule {self.name!r} has no keep_unicode", hint="update sentneuron")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild from the `text` of a model file or manifest; without a version it is the first.

        Raises:
            DataError: a rule, a version or a field that this program does not know.
        """
        unknown = sorted(set(values) - {"name", "version", "keep_unicode"})
        if unknown:
            raise DataError(f"text rule has unknown fields {', '.join(unknown)}", hint="update sentneuron")
        return cls(**{"version": 1, **values})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a model file."""
        return asdict(self)

    def made_with(self) -> dict[str, str]:
        """Return the versions of what else decides the bytes: Unidecode's tables, Python's of Unicode."""
        unicode = {"unicode": unicodedata.unidata_version}
        unidecode = {"unidecode": installed_version("unidecode")}
        if self.name == "nvidia":
            return unidecode | unicode
        return unicode if self.keep_unicode or self.name == "openai" else unidecode

    def body(self, text: str) -> str:
        """Return the clean text without padding, "" when nothing is left."""
        return self.clean(text)[len(PADDING_BEFORE) : -len(PADDING_AFTER)].decode()

    def clean(self, text: str) -> bytes:
        """Return the clean text as bytes, padded in front and behind."""
        return self.clean_all([text])[0]

    def clean_all(self, texts: Iterable[str]) -> list[bytes]:
        """Return `clean` of each text; for many it is much faster."""
        if self.name != OURS:
            return [_padded(apply(self._steps, text).strip()) for text in texts]
        texts = [remove_markup(text) if "<" in text or "&" in text else text for text in texts]
        if self.keep_unicode:
            blanked = (text if text.isprintable() else UNICODE_BLANK.sub(" ", text) for text in texts)
            return pad_all([text.encode("utf-8", "ignore") for text in blanked])
        return pad_all([text.encode() if text.isascii() else text.encode("ascii", TO_ASCII) for text in texts])

    def clean_with_offsets(self, text: str) -> tuple[bytes, list[int]]:
        """Return `clean(text)`, and for each character of `text` the index of its last byte in it.

        An entity, a tag and a run of white space belong to their first character. A character that yields no byte
        repeats the one before it; before the first that does, the index is that of the padding's last byte, 1.
        """
        changed, owners = apply_with_owners(self._steps, text)
        start = len(changed) - len(changed.lstrip())
        body = changed.strip()

        last_byte = [0] * len(text)
        position = len(PADDING_BEFORE) - 1
        for character, owner in zip(body, owners[start:], strict=False):
            position += len(character.encode())
            last_byte[owner] = position
        latest = len(PADDING_BEFORE) - 1
        for index, own in enumerate(last_byte):
            latest = own or latest
            last_byte[index] = latest
        return _padded(body), last_byte

    @property
    def _steps(self) -> tuple[Step, ...]:
        """What `clean_with_offsets` does, one after another."""
        return FOREIGN_STEPS.get(self.name) or (UNICODE_STEPS if self.keep_unicode else ASCII_STEPS)


def _padded(body: str) -> bytes:
    return PADDING_BEFORE + body.encode() + PADDING_AFTER


def remove_markup(text: str) -> str:
    """Unescape entities twice, then turn each tag into a space."""
    if "&" in text:
        text = ENTITY.sub(unescape_entity, ENTITY.sub(unescape_entity, text))
    return TAG.sub(" ", text) if "<" in text else text


def unescape_entity(match: re.Match[str]) -> str:
    """Return one entity's character; the entity itself where HTML knows none, U+FFFD for impossible code points."""
    entity = match[0]
    # int() refuses more than 4,300 digits, and no code point has more than seven.
    return "\ufffd" if len(entity) > 64 else _unescaped(entity)


@lru_cache(maxsize=4096)
def _unescaped(entity: str) -> str:
    return html.unescape(entity)


# HTML finds `&not` in `&notable`, and nothing in `&co`: what follows the entity stays itself.
UNESCAPE = Step(ENTITY, unescape_entity, keeps_tail=True)
MARKUP_STEPS = (UNESCAPE, UNESCAPE, Step(TAG, space))
ASCII_STEPS = (
    *MARKUP_STEPS,
    Step(C1_CONTROL, space),
    Step(NOT_ASCII, lambda match: ascii_of(match[0])),
    Step(CONTROL, space),
    Step(SPACES, space),
)
UNICODE_STEPS = (*MARKUP_STEPS, Step(SURROGATE, nothing), Step(UNICODE_BLANK, space), Step(SPACES, space))
