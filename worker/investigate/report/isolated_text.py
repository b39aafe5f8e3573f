"""Captured texts on a page: none can reorder the words around it, or hide in them.

A page shows ids and texts within its own sentences. A bidirectional control would reorder the rest of the sentence,
and a word of a right-to-left script draws the digits and the punctuation beside it to its other side. An element `bdi`
helps around a whole text, not within a sentence, a title or an accessible name: so the characters themselves say it.
"""

import re
from typing import Final

from markupsafe import Markup

from worker.investigate.timeline.harmless import harmless

FIRST_STRONG_ISOLATE: Final = "\u2068"
POP_DIRECTIONAL_ISOLATE: Final = "\u2069"
_RIGHT_TO_LEFT: Final = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_AROUND_WORDS: Final = re.compile("([ ,;:]+)")


def isolated(value: object) -> object:
    """What a template prints, its `finalize`: a text with an escape for each control character, and with each word of a
    right-to-left script isolated. Markup, which a template made, and values that are no texts stay as they are."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = harmless(value)
    if text.isascii() or _RIGHT_TO_LEFT.search(text) is None:
        return text
    return "".join(
        f"{FIRST_STRONG_ISOLATE}{word}{POP_DIRECTIONAL_ISOLATE}" if _RIGHT_TO_LEFT.search(word) else word
        for word in _AROUND_WORDS.split(text)
    )
