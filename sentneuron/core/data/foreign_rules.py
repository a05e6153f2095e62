"""The text rules of models from elsewhere: what their authors' programs did to a text before the model read it.

They differ from the originals only where those stop with an error, at half a surrogate pair, which is left out, and at
an entity with thousands of digits, which becomes U+FFFD; and in that they take time linear in the text's length.
White space at both ends goes, and the padding is ours, as it is theirs.
"""

import re

from sentneuron.core.data.rule_steps import ENTITY, SURROGATE, Step, character_of, nothing, space
from sentneuron.core.data.transliteration import ascii_of

UNESCAPE = Step(ENTITY, character_of, keeps_tail=True)

OPENAI_STEPS = (Step(SURROGATE, nothing), UNESCAPE, Step(re.compile("\n"), space))
"""Entities unescaped once, line feeds into spaces; tags, scripts and runs of spaces stay.

Source: `preprocess` in utils.py of github.com/openai/generating-reviews-discovering-sentiment.
"""

# The original's `<.*?>` looks for each `<` through the rest of the line; where that holds no `>`, this takes it whole.
TAG_SPAN = re.compile(r"<[^>\n]*+>?")


def _space_for_a_span(match: re.Match[str]) -> str:
    return " " if match[0].endswith(">") else match[0]


NVIDIA_STEPS = (
    Step(TAG_SPAN, _space_for_a_span, keeps_tail=True),
    Step(re.compile(r"[^\x00-\x7f]"), lambda match: ascii_of(match[0])),
    UNESCAPE,
    Step(re.compile(r"\s\s++|[^\S ]"), space),
)
"""Anything from `<` to the next `>` on its line into a space, Unidecode, then entities (which may bring back tags, and
what is not ASCII), and one space for each run of white space.

Source: `process_str` in data_utils/preprocess.py of github.com/NVIDIA/sentiment-discovery; its `remove_repeats` has no
effect, since what it returns is not used.
"""
