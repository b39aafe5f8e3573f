"""JSON text from outside as Python values: exact numbers, bounded depth.

Each limit is checked on the text where that is possible. A walk over the values of an event takes up to four times as
long as parsing the event.
"""

import json
from typing import Any, Final

import orjson
from msgspec import Struct

from handlers.events.event import Malformed, RejectionCode

_CHARACTER_KINDS: Final = bytes(
    0x30 if char in b"0123456789" else 0x3A if char in b":,[- \t\n\r" else 0x20 for char in range(256)
)
"""A translation of bytes: a digit to `0`, a character that can precede a number to `:`, any other to a space."""
_LONG_NUMBER: Final = b":" + b"0" * 19
"""The shortest number that can exceed 64 bits, as `_CHARACTER_KINDS` translates it."""
_ESCAPED_NULL: Final = rb"\u0000"
_NO_OPENING_BRACKETS: Final = bytes(char for char in range(256) if char not in b"{[")


class ParsedJson(Struct, frozen=True, kw_only=True):
    """A JSON text as a value.

    `known_storable`: the text shows that the store can keep the value, because no number exceeds 64 bits and no name
    has a null character. False means that the values have to be searched.
    """

    value: Any
    known_storable: bool


def parse_json(text: object, where: str, *, depth_max: int) -> ParsedJson | Malformed:
    """Parse JSON text with exact numbers, at most `depth_max` levels deep.

    `where` names the text in the reason of a rejection; the reason never quotes the text.
    """
    value = parse_rounded(text, where, depth_max=depth_max)
    if isinstance(value, Malformed):
        return value
    assert isinstance(text, str | bytes), "other types are rejected above"
    return made_exact(value, text, where, depth_max=depth_max)


def parse_rounded(text: object, where: str, *, depth_max: int) -> Any | Malformed:
    """Parse JSON text of any depth that the parser itself takes; numbers beyond 64 bits are rounded."""
    if not isinstance(text, str | bytes):
        return Malformed(
            code=RejectionCode.NOT_AN_EVENT, reason=f"{where} must be JSON text, not {type(text).__name__}"
        )
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg or "ecursion" in error.msg:
            return too_deep(where, depth_max)
        return Malformed(code=RejectionCode.NOT_JSON, reason=f"{where} is not JSON: {error.msg.split(':')[0]}")


def made_exact(rounded: Any, text: str | bytes, where: str, *, depth_max: int) -> ParsedJson | Malformed:
    """The value that `parse_rounded` made of `text`, with exact numbers and its depth checked."""
    utf8 = text.encode() if isinstance(text, str) else text
    # A value nests at most as deep as its text has opening brackets. Counting them takes a tenth of the walk's time.
    brackets = len(utf8.translate(None, _NO_OPENING_BRACKETS))
    if brackets > depth_max and depth_of(rounded, stop_above=depth_max) > depth_max:
        return too_deep(where, depth_max)
    if _LONG_NUMBER in utf8.translate(_CHARACTER_KINDS) or not isinstance(rounded, dict | list):
        # orjson rounds a number beyond 64 bits. The exact number is refused later; a rounded one would be stored.
        return ParsedJson(value=json.loads(utf8), known_storable=False)
    return ParsedJson(value=rounded, known_storable=b"\\" not in utf8 or _ESCAPED_NULL not in utf8)


def too_deep(where: str, depth_max: int) -> Malformed:
    """The rejection `TOO_DEEP`; `where` names the text or value that nests too deep."""
    return Malformed(code=RejectionCode.TOO_DEEP, reason=f"{where} nests deeper than {depth_max} levels")


def depth_of(value: Any, *, stop_above: int) -> int:
    """The number of levels in which objects and lists nest; a flat one has 1.

    Counting stops above `stop_above`. The function does not recurse, so that no input can exhaust the stack.
    """
    depth = 0
    level = [value]
    while level and depth <= stop_above:
        below: list[Any] = []
        for node in level:
            values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
            for inner in values:
                # A JSON parser makes exactly these two types; `isinstance` would take half as long again.
                kind = type(inner)
                if kind is dict or kind is list:
                    below.append(inner)
        depth += 1
        level = below
    return depth
