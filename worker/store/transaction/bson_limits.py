"""Whether MongoDB could hold a document, decided from the BSON format, without the driver.

The in-memory store rejects a plan for the same reasons as MongoDB does (result.py names them):

| in a document | source |
|---|---|
| an integer beyond 64 bits | BSON 1.1, `int64` |
| text with half of a surrogate pair | BSON 1.1, `string` is UTF-8 |
| a key with a null character, a key that is not text, a value of another type | BSON 1.1, `cstring`, `element` |
| objects and lists nested deeper than `DEPTH_MAX` | the server's check of stored documents |
| more than 16 MiB | "MongoDB Limits and Thresholds", BSON Document Size |

Nearly every document is small and plain, and its JSON text says so: then nothing is walked.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from worker.store.transaction.result import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_TOO_DEEP,
    DOCUMENT_TOO_LARGE,
    NOT_BSON,
    NUMBER_TOO_LARGE,
    TEXT_NOT_UNICODE,
)

DEPTH_MAX: Final = 180
"""How deep objects and lists nest at most, 1 for a flat document."""

_JSON_TO_BSON_MAX: Final = 8
"""BSON takes less than eight times the bytes of the JSON text; `[0,0,…]` comes closest, with 13 bytes for 2."""
_INT32: Final = range(-(2**31), 2**31)
_INT64: Final = range(-(2**63), 2**63)
_DOCUMENT_BYTES: Final = 5
"""The length before a document's elements and the null byte after them."""
_STRING_BYTES: Final = 5
"""The length before a text and the null byte after it."""


class _Unstorable(Exception):
    """The message is the reason."""


def rejection_reason(document: Mapping[str, Any]) -> str | None:
    """The reason for which MongoDB rejects the document; None where MongoDB takes it."""
    if _is_small_and_plain(document):
        return None
    try:
        size = _document_bytes(document, depth=1)
    except _Unstorable as unstorable:
        return str(unstorable)
    return DOCUMENT_TOO_LARGE if size > DOCUMENT_BYTES_MAX else None


def _is_small_and_plain(document: Mapping[str, Any]) -> bool:
    """True where the JSON text shows that nothing can be wrong; False proves nothing."""
    try:
        # orjson refuses half a surrogate pair, a key that is not text and, in strict mode, an integer beyond 53 bits.
        text = orjson.dumps(document, option=orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATACLASS)
    except TypeError:
        return False
    return (
        len(text) * _JSON_TO_BSON_MAX <= DOCUMENT_BYTES_MAX
        and text.count(b"{") + text.count(b"[") <= DEPTH_MAX
        and b"\\u0000" not in text
    )


def _document_bytes(document: Mapping[Any, Any], depth: int) -> int:
    if depth > DEPTH_MAX:
        raise _Unstorable(DOCUMENT_TOO_DEEP)
    return _DOCUMENT_BYTES + sum(_key_bytes(key) + _value_bytes(value, depth) for key, value in document.items())


def _key_bytes(key: object) -> int:
    """The element's type, the key and the null byte after it."""
    if not isinstance(key, str) or "\0" in key:
        raise _Unstorable(NOT_BSON)
    return 2 + _text_bytes(key)


def _value_bytes(value: object, depth: int) -> int:
    match value:
        case None:
            return 0
        case bool():
            return 1
        case int():
            if value not in _INT64:
                raise _Unstorable(NUMBER_TOO_LARGE)
            return 4 if value in _INT32 else 8
        case float() | datetime():
            return 8
        case str():
            return _STRING_BYTES + _text_bytes(value)
        case Mapping():
            return _document_bytes(value, depth + 1)
        case list() | tuple():
            # BSON keeps a list as a document whose keys are the positions.
            return _document_bytes({str(position): each for position, each in enumerate(value)}, depth + 1)
        case _:
            raise _Unstorable(NOT_BSON)


def _text_bytes(text: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise _Unstorable(TEXT_NOT_UNICODE) from None
