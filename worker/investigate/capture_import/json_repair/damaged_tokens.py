"""The names, texts and scalars of a damaged JSON text: where one ends, and what stands at a place."""

import re
from typing import Final

from worker.investigate.capture_import.heads import BEGINNING
from worker.investigate.capture_import.json_repair.repairs import Ended, Unreadable
from worker.investigate.capture_import.json_repair.text_mending import QuotedText, closing_smart_quote, straight_content

OPENING_QUOTES: Final = frozenset('"“”„‟')
_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_STRICT_STRING: Final = re.compile(r'"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"')
_BROKEN_STRING: Final = re.compile(r'"[^"\\]*(?:\\[\s\S][^"\\]*)*"')
_SCALAR: Final = re.compile(r"(?:true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])")
_SCALAR_START: Final = re.compile(r"[-\d]|true|false|null")
_KEY_AFTER: Final = re.compile(r"[ \t\r\n]*:")


def after_blanks(text: str, at: int) -> int:
    """Where the first character stands that is no blank."""
    found = _BLANKS.match(text, at)
    assert found is not None, "blanks may be none"
    return found.end()


def quoted_text(text: str, start: int) -> QuotedText:
    """The text whose quote stands at `start`. Raises Ended, and Unreadable."""
    if text[start] == '"':
        found = _STRICT_STRING.match(text, start) or _BROKEN_STRING.match(text, start)
        if found is None:
            raise Ended(len(text))
        end = found.end()
        content = text[start + 1 : end - 1]
    else:
        end = closing_smart_quote(text, start)
        if end < 0:
            raise Ended(len(text))
        content = straight_content(text[start + 1 : end - 1])
    if "{" in content and (another := BEGINNING.search(text, start + 1, end - 1)) is not None:
        # A text that is cut off ends at a quote of the record behind it.
        raise Unreadable(another.start(), "another record begins inside a text")
    return QuotedText(start=start, end=end, content=content, is_smart=text[start] != '"')


def scalar_end(text: str, start: int) -> int:
    """The end of the number or word at `start`. Raises Ended, and Unreadable."""
    found = _SCALAR.match(text, start)
    if found is None:
        rest = text[start:].rstrip()
        if rest == "-" or any(word.startswith(rest) for word in ("true", "false", "null")):
            raise Ended(len(text))
        raise Unreadable(start, "no JSON value")
    return found.end()


def is_name(text: str, start: int) -> bool:
    """Whether a colon follows the text whose quote stands at `start`. A text that is cut off counts as a name."""
    if text[start] == '"':
        found = _BROKEN_STRING.match(text, start)
        end = -1 if found is None else found.end()
    else:
        end = closing_smart_quote(text, start)
    return end < 0 or _KEY_AFTER.match(text, end) is not None


def is_followed_by_item(text: str, at: int, *, is_outermost: bool) -> bool:
    """Whether a comma and then a value follow that is no name: the form of a list without brackets. `is_outermost`:
    they follow a field of the outermost object."""
    at = after_blanks(text, at)
    if text[at : at + 1] != ",":
        return False
    begin = after_blanks(text, at + 1)
    char = text[begin : begin + 1]
    if char == "{":
        # Between two values of a capture stand a comma and a line break, too.
        return not is_outermost or "\n" not in text[at:begin] or not BEGINNING.match(text, begin)
    if char in OPENING_QUOTES:
        return not is_name(text, begin)
    return char == "[" or _SCALAR_START.match(text, begin) is not None
