"""Stored values that JSON cannot write as they stand: values with a JSON form, and values of foreign types.

A store's adapter reads a value of another type in one of two ways:

- A date, and a whole number that is a double, a 64-bit integer or a decimal, becomes the text or the number of JSON
  that remembers its type (`StoredDate`, `StoredNumber`).
- A value of any other type, such as an ObjectId or binary, becomes a `ForeignValue`. No modelled field may hold one.

A write keeps the type that stood there (`in_type_of`), and an announcement has the JSON form (`json_form`).
"""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final

from msgspec import Struct

from commands.instant import format_instant, parse_instant


class NumberType(Enum):
    """The stored type of a whole number that is not the type in which a new one is written."""

    DOUBLE = "double"
    INT64 = "int64"
    DECIMAL = "decimal"


class StoredDate(str):
    """An instant as text (`commands/instant.py`) that stands in the store as a date."""

    __slots__ = ()


class StoredNumber(int):
    """A whole number that stands in the store as another type of number; `TYPE` names it."""

    TYPE: NumberType


class StoredDouble(StoredNumber):
    """A whole number that stands in the store as a double."""

    TYPE = NumberType.DOUBLE


class StoredInt64(StoredNumber):
    """A whole number that stands in the store as a 64-bit integer."""

    TYPE = NumberType.INT64


class StoredDecimal(StoredNumber):
    """A whole number that stands in the store as a decimal. `raw`: the driver's value, with its zeros behind the point;
    None for a new number."""

    TYPE = NumberType.DECIMAL
    raw: Any = None


class ForeignValue(Struct, frozen=True, kw_only=True):
    """A value of a type that JSON lacks. `type`: the type's name. `json`: its JSON form. `raw`: the driver's value."""

    type: str
    json: Any
    raw: Any


_JSON_TYPES: Final = frozenset({str, int, bool, type(None)})
"""The types that remember nothing; a float does, because a whole double is written as one."""


def in_type_of(old: Any, new: Any) -> Any:
    """The new value in the type in which the old one stood in the store, at any depth of objects.

    A value that the type cannot hold, and a value where none stood, keep the type of JSON.
    """
    # Nearly every value ends here, at a quarter of the cost of the match.
    if type(old) in _JSON_TYPES:
        return new
    match old, new:
        case StoredDate(), str():
            instant = parse_instant(new)
            # A date has milliseconds. A text that says more stays a text.
            return StoredDate(new) if instant is not None and instant.microsecond % 1_000 == 0 else new
        case StoredNumber(), int() if not isinstance(new, bool):
            return type(old)(new)
        case ForeignValue(type="decimal"), int() if not isinstance(new, bool):
            return StoredDecimal(new)
        case float(), int() if not isinstance(new, bool):
            return StoredDouble(new)
        case dict(), dict():
            return {name: in_type_of(old[name], value) if name in old else value for name, value in new.items()}
        case _:
            return new


def json_form(value: Any) -> Any:
    """The JSON form of a value that JSON lacks: for an encoder's `default`."""
    match value:
        case ForeignValue():
            return value.json
        case datetime():
            return format_instant(value)
        case bytes():
            return b64encode(value).decode()
        case Mapping():
            return dict(value)
        case _:
            return str(value)
