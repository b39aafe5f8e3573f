"""Damaged texts: line breaks inside, typographic quotes around.

A viewer that wraps lines puts a break where none was. A viewer that shows `\\n` as a break unescapes one that was.
The field's type says which of the two: an id, a time or a word has no break, a customer's text may.
"""

import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from worker.investigate.capture_import.json_repair.repairs import Repair, RepairKind, Unreadable
from worker.investigate.conforming import conforms
from worker.investigate.field_types import FieldKind, FieldType

_QUOTES: Final = re.compile(r'[“”„‟"]')
_SMART_QUOTES: Final = re.compile("[“”„‟]")
"""A word processor makes both quotes of a text typographic, so a straight one closes none."""
_STRUCTURE: Final = re.compile(r"[ \t\r\n]*(?:[:,}\]]|$)")
_INNER_QUOTES: Final = re.compile(r'\\(?P<escaped>.)|"', re.DOTALL)
_CONTROLS: Final = re.compile(r"[\x00-\x1f]")
_BREAKS: Final = re.compile(r"[ \t]*[\r\n][ \t\r\n]*")
_BROKEN_ESCAPE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\[\r\n]")
_UNBROKEN_WORD: Final = re.compile(r"[\w./:+-]+")
IN_TEXT: Final = "the line break is one of the text's characters"
_NAME: Final = re.compile(r"[\w$.:-]{1,128}")
_WITHOUT_BREAKS: Final = frozenset({FieldKind.ID, FieldKind.TIME, FieldKind.WORD, FieldKind.PATH})


_WRAPPED_LINES_MIN: Final = 3
_WIDTH_MIN: Final = 40


def wrapped_at(text: str) -> int:
    """The width at which a viewer wrapped a text; 0 where its lines have no common width."""
    lines = text.rstrip("\n").split("\n")
    width = len(lines[1]) if len(lines) >= _WRAPPED_LINES_MIN else 0
    # A prefix may have stood before the first line.
    is_wrapped = (
        width >= _WIDTH_MIN
        and (len(lines[0]) == width or (len(lines[0]) < width and len(lines) > _WRAPPED_LINES_MIN))
        and len(lines[-1]) <= width
        and all(len(line) == width for line in lines[1:-1])
    )
    return width if is_wrapped else 0


class QuotedText(Struct, frozen=True, kw_only=True):
    """A text between quotes: its place, and its content as it is escaped there."""

    start: int
    end: int
    content: str
    is_smart: bool


class MendedText(Struct, frozen=True, kw_only=True):
    """A text's content after repair, and what the repair assumed."""

    content: str
    assumed: str
    kind: RepairKind = RepairKind.LINE_BREAK
    inner: tuple[Repair, ...] = ()


def closing_smart_quote(text: str, start: int) -> int:
    """The end of the text whose typographic quote stands at `start`; -1 if none closes it. A quote closes it where
    JSON's structure goes on behind."""
    for found in _SMART_QUOTES.finditer(text, start + 1):
        at = found.start()
        before = at
        while before > 0 and text[before - 1] == "\\":
            before -= 1
        if (at - before) % 2 == 0 and _STRUCTURE.match(text, at + 1):
            return at + 1
    return -1


def straight_content(content: str) -> str:
    """The content of a text in typographic quotes as it is escaped between straight ones."""

    def mended(found: re.Match[str]) -> str:
        escaped = found.group("escaped")
        return '\\"' if escaped is None or _QUOTES.fullmatch(escaped) else found.group()

    return _INNER_QUOTES.sub(mended, content)


def mend_name(content: str, is_known: Callable[[str], bool]) -> MendedText | None:
    """A field's name without line breaks; None if it has none. Raises Unreadable."""
    if _CONTROLS.search(content) is None:
        return None
    joined = _joined(content)
    if not is_known(joined) and _NAME.fullmatch(joined) is None:
        raise Unreadable(0, "a line break stands in the name of a field")
    return MendedText(content=joined, assumed="the line break in a field's name is none of its characters")


def mend_text(content: str, of: FieldType, *, breaks_are_inserted: bool = False) -> MendedText | None:
    """A text's content without raw line breaks; None if it has none. Raises Unreadable.

    `breaks_are_inserted`: the object has breaks in other places where none can have been.
    """
    if _CONTROLS.search(content) is None:
        return None
    joined = _joined(content)
    if of.kind in _WITHOUT_BREAKS:
        if not conforms(joined, of):
            raise Unreadable(0, f"a line break stands in a text, and without it the text is no {of.kind.value}")
        return MendedText(content=joined, assumed=f"the line break is none of the {of.kind.value}'s characters")
    if _UNBROKEN_WORD.fullmatch(joined):
        return MendedText(content=joined, assumed="the line break is none of the characters of a text without blanks")
    if breaks_are_inserted:
        without = _CONTROLS.sub(_escaped, content.replace("\r", "").replace("\n", ""))
        return MendedText(content=without, assumed="the line break is none of the text's characters, as elsewhere here")
    escaped = _CONTROLS.sub(_escaped, content.replace("\r\n", "\n"))
    return MendedText(content=escaped, assumed=IN_TEXT)


def _joined(content: str) -> str:
    if _BROKEN_ESCAPE.search(content):
        raise Unreadable(0, "a line break stands in an escaped character")
    return _BREAKS.sub("", content)


def _escaped(found: re.Match[str]) -> str:
    control = found.group()
    return {"\n": "\\n", "\r": "\\n", "\t": "\\t"}.get(control) or f"\\u{ord(control):04x}"
