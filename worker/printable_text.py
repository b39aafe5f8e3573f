"""Text that others wrote, for a terminal: ids, names and words come from events, documents, logs and AWS.

A terminal obeys control characters, those of ISO 8859 too (U+009B begins a sequence as ESC [ does), and shows what
follows a bidirectional mark in another order.
"""

import re
from typing import Any, Final

import orjson

_MARKS: Final = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_OBEYED: Final = re.compile(f"[\x00-\x1f\x7f-\x9f{_MARKS}]")
_LEFT_BY_JSON: Final = re.compile(f"[\x7f-\x9f{_MARKS}]")
"""JSON escapes the characters below U+0020 alone."""


def printable(text: str) -> str:
    """`text` on one line, U+FFFD for each character that a terminal would obey."""
    return _OBEYED.sub("\ufffd", text)


def printable_json(value: Any, *, indented: bool = False) -> str:
    """`value` as JSON, on one line unless `indented`, escaped where a terminal would obey it."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indented else 0).decode()
    return _LEFT_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
