"""Whether a value has the form that its field's type says."""

import re
from typing import Any, Final

from commands.instant import parse_instant
from worker.investigate.field_types import FieldKind, FieldType

_ID: Final = re.compile(r"[\w.:/-]{1,256}")
_WORD: Final = re.compile(r"[\w.:/-]{0,128}")
_PATH: Final = re.compile(r"/v\d+(?:/[a-z][a-z-]{0,40}|/[0-9a-f]{24}|/[a-z]{1,3}-\d{1,6})+")
_EPOCH_MS_MAX: Final = 4_102_444_800_000
"""The year 2100."""


def conforms(value: Any, of: FieldType) -> bool:
    """Whether a value that is neither a list nor an object has the form of its type. Null has every form.

    A text of kind TEXT, PERSON, SECRET, JSON_TEXT or UNKNOWN has no form.
    """
    if value is None:
        return True
    match of.kind:
        case FieldKind.ID:
            return isinstance(value, str) and _ID.fullmatch(value) is not None
        case FieldKind.TIME:
            return _is_time(value)
        case FieldKind.WORD:
            return isinstance(value, str) and (value in of.words if of.words else _WORD.fullmatch(value) is not None)
        case FieldKind.PATH:
            return isinstance(value, str) and _PATH.fullmatch(value) is not None
        case FieldKind.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case FieldKind.FLAG:
            return isinstance(value, bool)
        case _:
            return False


def _is_time(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= 64 and parse_instant(value) is not None
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _EPOCH_MS_MAX
