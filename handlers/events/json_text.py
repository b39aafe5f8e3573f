"""JSON text from outside to values: exact, and bounded in depth.

What the text itself rules out is not looked for in the values: every walk over those of an event takes longer than
parsing it does, up to four times as long.
"""

import json
from typing import Any, Final

import orjson

from handlers.documents.json_values import depth_of
from handlers.events.event import Malformed, RejectionCode

_KINDS: Final = bytes(
    0x30 if char in b"0123456789" else 0x3A if char in b":,[- \t\n\r" else 0x20 for char in range(256)
)
"""Each digit as 0, each character that a number may stand behind as a colon."""
_LONG_NUMBER: Final = b":" + b"0" * 19
_NULL: Final = "\\u0000"


ParsedJson = tuple[Any, bool]
"""A text's value, and whether it is plain: no number in it is beyond 64 bits, no name has a null character. False says
nothing."""


def parse_json(text: object, where: str, *, depth_max: int) -> ParsedJson | Malformed:
    """JSON text, parsed exactly and not too deep; `NOT_JSON` says where it stood, not what it was."""
    tree = loads(text, where, depth_max=depth_max)
    if isinstance(tree, Malformed):
        return tree
    assert isinstance(text, str | bytes), "else it could not be parsed"
    return exact(tree, text, where, depth_max=depth_max)


def exact(tree: Any, text: str | bytes, where: str, *, depth_max: int) -> ParsedJson | Malformed:
    """What `loads` made of `text`, with every number as it stands there; a fault where it is too deep."""
    text = text if isinstance(text, str) else text.decode()
    # Nothing nests deeper than there are brackets: to count them takes a fifth of what the walk does.
    if text.count("{") + text.count("[") > depth_max and depth_of(tree, stop_above=depth_max) > depth_max:
        return too_deep(where, depth_max)
    if _LONG_NUMBER in text.encode().translate(_KINDS) or not isinstance(tree, dict | list):
        # orjson rounds what is beyond 64 bits; read exactly, it can be refused instead of changed.
        return json.loads(text), False
    return tree, ("\\" not in text or _NULL not in text)


def loads(text: object, where: str, *, depth_max: int) -> Any | Malformed:
    """JSON text, parsed and no more: numbers beyond 64 bits are rounded, and it may nest deeper than `depth_max`."""
    if not isinstance(text, str | bytes):
        return Malformed(
            code=RejectionCode.NOT_AN_EVENT, reason=f"{where} must be JSON text, not {type(text).__name__}"
        )
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as fault:
        if "depth" in fault.msg or "ecursion" in fault.msg:
            return too_deep(where, depth_max)
        return Malformed(code=RejectionCode.NOT_JSON, reason=f"{where} is not JSON: {fault.msg.split(':')[0]}")


def too_deep(where: str, depth_max: int) -> Malformed:
    """`TOO_DEEP`; `where` the text that nests so."""
    return Malformed(code=RejectionCode.TOO_DEEP, reason=f"{where} nests deeper than {depth_max} levels")
