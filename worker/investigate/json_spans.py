"""A JSON text as a tree of values with their places in the text."""

import json
import re
from typing import Any, Final, Literal

from msgspec import Struct

_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SCALAR: Final = re.compile(r"[^\s,\]}]+")
_TOKEN_OR_BLANKS: Final = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+', re.DOTALL)


class Span(Struct, frozen=True, kw_only=True):
    """A value from `start` to `end`. `members`: an object's names, as spans of texts, and values. `items`: a list's."""

    kind: Literal["object", "list", "string", "scalar"]
    start: int
    end: int
    members: tuple[tuple["Span", "Span"], ...] = ()
    items: tuple["Span", ...] = ()

    def value(self, text: str) -> Any:
        """The value of a text, a name or a scalar."""
        written = text[self.start : self.end]
        # Nearly all texts have no escape, and the parser takes ten times as long.
        if written[0] == '"' and "\\" not in written:
            return written[1:-1]
        return json.loads(written)


def spans_of(text: str) -> Span:
    """The tree of a text that is known to be JSON."""
    return _value(text, _skip(text, 0))


def on_one_line(text: str) -> str:
    """The same JSON text without line breaks. Names and values stay byte for byte, and so does a text of one line."""
    if "\n" not in text and "\r" not in text:
        return text
    return _TOKEN_OR_BLANKS.sub(lambda found: found.group(1) or "", text)


def _skip(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    assert found is not None, "blanks may be none"
    return found.end()


def _value(text: str, at: int) -> Span:
    char = text[at]
    if char == "{":
        return _object(text, at)
    if char == "[":
        return _list(text, at)
    return _string(text, at) if char == '"' else _matched(text, at, _SCALAR, "scalar")


def _string(text: str, at: int) -> Span:
    return _matched(text, at, _STRING, "string")


def _matched(text: str, at: int, form: re.Pattern[str], kind: Literal["string", "scalar"]) -> Span:
    found = form.match(text, at)
    assert found is not None, "the text is JSON"
    return Span(kind=kind, start=at, end=found.end())


def _object(text: str, start: int) -> Span:
    members: list[tuple[Span, Span]] = []
    at = _skip(text, start + 1)
    while text[at] != "}":
        name = _string(text, at)
        value = _value(text, _skip(text, _skip(text, name.end) + 1))
        members.append((name, value))
        at = _skip(text, value.end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return Span(kind="object", start=start, end=at + 1, members=tuple(members))


def _list(text: str, start: int) -> Span:
    items: list[Span] = []
    at = _skip(text, start + 1)
    while text[at] != "]":
        item = _value(text, at)
        items.append(item)
        at = _skip(text, item.end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return Span(kind="list", start=start, end=at + 1, items=tuple(items))
