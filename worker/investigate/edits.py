"""Changes of a text at several places, each by its offsets in the text as it was."""

from collections.abc import Iterable
from typing import NamedTuple


class Edit(NamedTuple):
    """The text from `start` to `end` becomes `text`."""

    start: int
    end: int
    text: str


def applied(text: str, start: int, end: int, edits: Iterable[Edit]) -> str:
    """The text from `start` to `end` with the edits in it, which do not overlap. Of two at one place the one that was
    added first comes first."""
    parts: list[str] = []
    at = start
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        parts += (text[at : edit.start], edit.text)
        at = edit.end
    return "".join([*parts, text[at:end]])
