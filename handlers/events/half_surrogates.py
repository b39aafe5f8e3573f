"""Half surrogate pairs: found in JSON text, and replaced by U+FFFD.

A producer that cuts a text by UTF-16 units can leave half of an emoji at its end, and writes it as the escape
`\\ud83d`. RFC 8259 (section 8.2) allows the escape; UTF-8, BSON and SQS have no such character. U+FFFD takes its place,
as in SQS, which replaces the characters that it does not allow.

Nothing here runs for a text that the fast parser reads.
"""

import re
from typing import Any, Final

REPLACEMENT: Final = "\ufffd"
_HALF: Final = re.compile("[\ud800-\udfff]")
_HEX: Final = "[0-9a-fA-F]"
_SUSPECT: Final = re.compile(rf"\\u[dD][89a-fA-F]{_HEX}|{_HALF.pattern}")
_HIGH: Final = rf"\\u[dD][89abAB]{_HEX}{{2}}"
_LOW: Final = rf"\\u[dD][c-fC-F]{_HEX}{{2}}"
_HALF_OR_ITS_ESCAPE: Final = re.compile(rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}|{_HALF.pattern}")


def without_half_escapes(text: str) -> str | None:
    """The JSON text with U+FFFD for each half pair, escaped or not. None if the text has none, or is no JSON."""
    if _SUSPECT.search(text) is None or "\0" in text:
        return None
    # The second of two backslashes begins no escape. JSON text has no null character, which takes their place.
    mended = _HALF_OR_ITS_ESCAPE.sub(REPLACEMENT, text.replace(r"\\", "\0\0")).replace("\0\0", r"\\")
    return None if mended == text else mended


def without_halves(value: Any) -> Any:
    """A copy of a JSON value with U+FFFD for each half pair in its texts and names. The caller limits its depth."""
    match value:
        case str():
            return _HALF.sub(REPLACEMENT, value)
        case dict():
            return {without_halves(name): without_halves(inner) for name, inner in value.items()}
        case list():
            return [without_halves(inner) for inner in value]
        case _:
            return value


def has_halves(value: Any) -> bool:
    """Whether a text or a name at any depth of a JSON value has half a pair."""
    match value:
        case str():
            return _HALF.search(value) is not None
        case dict():
            return any(map(has_halves, value)) or any(map(has_halves, value.values()))
        case list():
            return any(map(has_halves, value))
        case _:
            return False


def names_with_halves(value: Any) -> bool:
    """Whether a name at any depth of a JSON value has half a pair."""
    match value:
        case dict():
            return any(_HALF.search(name) for name in value) or any(map(names_with_halves, value.values()))
        case list():
            return any(map(names_with_halves, value))
        case _:
            return False
