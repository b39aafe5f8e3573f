"""BSON values as they are read and written: JSON values that remember their type, and foreign ones.

| BSON | is read as | is published as |
|---|---|---|
| a date | its ISO text with milliseconds and `Z` (`StoredDate`) | the text |
| a whole double up to 2^53, a 64-bit integer, a whole decimal of 64 bits | an integer (`StoredNumber`) | it |
| an ObjectId, a UUID | `ForeignValue` | its text |
| binary | `ForeignValue` | its base64 text |
| any other decimal | `ForeignValue` | its text |
| a reference (DBRef) | `ForeignValue` | the object as which it is stored |
| every other type, and a date beyond the year 9999 | `ForeignValue` | MongoDB's extended JSON |

`as_bson` makes BSON values of these again. Source: the BSON specification 1.1; MongoDB Extended JSON v2.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from math import copysign
from typing import Any, Final

import bson
from bson import DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import UUID_SUBTYPE, Binary
from bson.code import Code
from bson.codec_options import CodecOptions, DatetimeConversion, TypeDecoder, TypeRegistry
from bson.datetime_ms import DatetimeMS
from bson.json_util import RELAXED_JSON_OPTIONS, default
from bson.raw_bson import RawBSONDocument

from commands.instant import format_instant, parse_instant
from handlers.documents.json_values import INT64_MAX, INT64_MIN
from handlers.documents.stored_values import (
    ForeignValue,
    NumberType,
    StoredDate,
    StoredDecimal,
    StoredDouble,
    StoredInt64,
    StoredNumber,
)

_EXACT_MAX: Final = 2**53
"""The largest double up to which every whole number is exact."""
_UUID_BYTES: Final = 16


def _date(value: datetime) -> StoredDate:
    return StoredDate(format_instant(value))


def _double(value: float) -> float | StoredDouble:
    whole = abs(value) <= _EXACT_MAX and value == value // 1
    # No integer is the zero with a sign.
    return StoredDouble(value) if whole and (value != 0 or copysign(1, value) == 1) else value


def _decimal(value: Decimal128) -> StoredDecimal | ForeignValue:
    number = value.to_decimal()
    # A decimal's exponent reaches 6144, so the size is compared before an integer is made.
    if number.is_finite() and INT64_MIN <= number <= INT64_MAX and number == number.to_integral_value():
        whole = StoredDecimal(number)
        whole.raw = value
        return whole
    return ForeignValue(type="decimal", json=str(value), raw=value)


def _object_id(value: ObjectId) -> ForeignValue:
    return ForeignValue(type="ObjectId", json=str(value), raw=value)


def _binary(value: bytes) -> ForeignValue:
    if isinstance(value, Binary) and value.subtype == UUID_SUBTYPE and len(value) == _UUID_BYTES:
        return ForeignValue(type="UUID", json=str(value.as_uuid(UUID_SUBTYPE)), raw=value)
    # `json_form` writes bytes in base64.
    return ForeignValue(type="binary", json=bytes(value), raw=value)


def _reference(value: DBRef) -> ForeignValue:
    return ForeignValue(type="DBRef", json=value.as_doc(), raw=value)


def _other(value: Any) -> ForeignValue:
    return ForeignValue(type=type(value).__name__, json=default(value, RELAXED_JSON_OPTIONS), raw=value)


def _decoder(of: type, read: Callable[[Any], Any]) -> TypeDecoder:
    class Decoder(TypeDecoder):
        bson_type = of

        def transform_bson(self, value: Any) -> Any:
            return read(value)

    return Decoder()


STORED_TYPES: Final[CodecOptions[dict[str, Any]]] = CodecOptions(
    tz_aware=True,
    tzinfo=UTC,
    # A stored date beyond Python's range and a text that is not UTF-8 are read without an error.
    unicode_decode_error_handler="replace",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    type_registry=TypeRegistry(
        [
            _decoder(datetime, _date),
            _decoder(float, _double),
            _decoder(Int64, StoredInt64),
            _decoder(Decimal128, _decimal),
            _decoder(ObjectId, _object_id),
            _decoder(bytes, _binary),
            _decoder(Binary, _binary),
            _decoder(DBRef, _reference),
            *(_decoder(kind, _other) for kind in (Code, DatetimeMS, MaxKey, MinKey, Regex, Timestamp)),
        ]
    ),
)
"""The options with which the documents of other services are read."""

UNREAD_DOCUMENTS: Final = CodecOptions(document_class=RawBSONDocument)
"""The options with which a batch's documents are fetched, for `read_stored`. By `STORED_TYPES` themselves the driver
decodes an answer twice, once around the documents and once with them: 34 us a document, where this way takes 23."""


def read_stored(document: RawBSONDocument) -> dict[str, Any]:
    """The document in the types of `STORED_TYPES`."""
    return bson.decode(document.raw, STORED_TYPES)


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def as_bson(value: Any) -> Any:
    """The value for the driver: with BSON values where values were read from another type. Others stay as they are."""
    if type(value) in _PLAIN:
        return value
    match value:
        case StoredDate():
            return parse_instant(value)
        case StoredDecimal() if value.raw is not None:
            return value.raw
        case StoredNumber():
            return _number(value)
        case ForeignValue():
            return _raw(value.raw)
        case dict():
            return {name: as_bson(inner) for name, inner in value.items()}
        case list():
            return [as_bson(inner) for inner in value]
        case _:
            return value


def _number(value: StoredNumber) -> Any:
    match value.TYPE:
        case NumberType.DOUBLE:
            # A number beyond the exact doubles stays an integer.
            return float(value) if abs(value) <= _EXACT_MAX else int(value)
        case NumberType.INT64:
            return Int64(value)
        case NumberType.DECIMAL:
            return Decimal128(str(int(value)))


def _raw(value: Any) -> Any:
    """The driver's value; the values that it holds itself were read like every other."""
    match value:
        case DBRef():
            fields = as_bson(dict(value.as_doc()))
            extra = {name: inner for name, inner in fields.items() if name not in ("$ref", "$id", "$db")}
            return DBRef(value.collection, fields["$id"], value.database, **extra)
        case Code() if value.scope is not None:
            return Code(str(value), as_bson(dict(value.scope)))
        case _:
            return value
