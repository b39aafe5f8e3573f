"""Which values stay: those that have the form of their field's type, but for the forms of personal data.

| type | stays | replaced, though it has the form |
|---|---|---|
| id | ids, of digits alone, too | a telephone number with signs between its digits, a token, an address (`…://…`) |
| word | words of ASCII | the same; seven digits and more; twenty and more mixed characters, as keys and base64 have |
| time | ISO 8601; a number of seconds, 2001 to 2033, of milliseconds, 2000 to 2100 | another number of seven digits |
| number | any; a counter below a million | – |
"""

import re
from typing import Any, Final

from worker.investigate.conforming import conforms
from worker.investigate.field_types import FieldKind, FieldType
from worker.investigate.redaction.stand_ins import is_stand_in
from worker.investigate.redaction.text_kinds import PersonalKind, kind_of_text

_SECONDS: Final = range(10**9, 2 * 10**9)
_MILLISECONDS: Final = range(946_684_800_000, 4_102_444_800_001)
_SMALL_BELOW: Final = 10**6
_OPAQUE: Final = re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])(?=\D*\d)[A-Za-z0-9_/-]{20,}")
_PLAIN: Final = re.compile(r"[a-zA-Z_-]{1,18}|[0-9a-f]{24}")
"""Nearly all words and ids, of which no other look is needed."""


def stays(value: Any, of: FieldType) -> bool:
    """Whether a value that is neither a list nor an object stays as it is."""
    if value is None or value == "":
        return True
    if not conforms(value, of):
        return is_stand_in(value)
    match of.kind:
        case FieldKind.ID:
            return _is_plain(value) or (value.isascii() and not _is_personal(value, of))
        case FieldKind.WORD:
            return bool(of.words) or _is_plain(value) or (value.isascii() and not _is_personal(value, of))
        case FieldKind.TIME:
            return not isinstance(value, int) or _is_time(value)
        case FieldKind.NUMBER:
            return of.below is None or value < of.below
        case _:
            return True


def _is_plain(value: str) -> bool:
    return _PLAIN.fullmatch(value) is not None


def _is_personal(value: str, of: FieldType) -> bool:
    is_id = of.kind is FieldKind.ID
    if is_id and value.isdecimal():
        return False
    if not is_id and _OPAQUE.fullmatch(value):
        return True
    # An ARN of AWS has the form of no address.
    return kind_of_text(value) is not PersonalKind.TEXT


def _is_time(value: int) -> bool:
    return value < _SMALL_BELOW or value in _SECONDS or value in _MILLISECONDS
