"""A JSON text as a tree of values with their places in the text."""

import json
import re
from typing import Any, Final, Literal

from msgspec import Struct

_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NAME: Final = re.compile(r'[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_COMMA_OR_END: Final = re.compile(r"[ \t\r\n]*([,}])")
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
    return _matched(_BLANKS, text, at).end()


def _value(text: str, at: int) -> Span:
    char = text[at]
    if char == "{":
        return _object(text, at)
    if char == "[":
        return _list(text, at)
    if char == '"':
        return Span(kind="string", start=at, end=_matched(_STRING, text, at).end())
    return Span(kind="scalar", start=at, end=_matched(_SCALAR, text, at).end())


def _object(text: str, start: int) -> Span:
    members: list[tuple[Span, Span]] = []
    at = start + 1
    while (name := _NAME.match(text, at)) is not None:
        value = _value(text, name.end())
        members.append((Span(kind="string", start=name.start(1), end=name.end(1)), value))
        at = value.end
        after = _matched(_COMMA_OR_END, text, at)
        if after.group(1) == ",":
            at = after.end()
    return Span(kind="object", start=start, end=_matched(_COMMA_OR_END, text, at).end(), members=tuple(members))


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


def _matched(form: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    found = form.match(text, at)
    assert found is not None, "the text is JSON"
    return found
