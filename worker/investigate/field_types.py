"""The types of captured fields: of what kind the value is that stands under a name, in any of the five shapes and in an
audit line.

`import` repairs damaged text by them, and redaction keeps by them what is no personal data. The types of the modelled
fields are read from the models of `handlers.events.schema`. `captured_fields.py` lists the others.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Required, Union, get_args, get_origin, get_type_hints

from msgspec import Struct
from pydantic import SkipValidation
from typing_extensions import is_typeddict

from handlers.events.schema import FiniteNumber, Id, Instant


class FieldKind(StrEnum):
    """The kind of a value. Null is of every kind.

    | kind | value |
    |---|---|
    | `ID` | the id of a document, an event, a trace |
    | `TIME` | an ISO 8601 time, or the milliseconds since 1970 |
    | `WORD` | a word that a program chose: a status, a service, an event's name |
    | `PATH` | the path of a document in the API |
    | `JSON_TEXT` | a text that holds JSON of any of the five shapes |
    | `TRACE_HEADERS` | a tracer's headers, as JSON text or as its base64 |
    | `CREDENTIAL` | a token, a signature, a cookie |
    | `PERSON` | a person's name |
    | `TEXT` | free text |
    | `UNKNOWN` | nothing is known of it |
    """

    ID = "id"
    TIME = "time"
    WORD = "word"
    PATH = "path"
    NUMBER = "number"
    FLAG = "flag"
    LIST = "list"
    OBJECT = "object"
    JSON_TEXT = "json-text"
    TRACE_HEADERS = "trace-headers"
    CREDENTIAL = "credential"
    PERSON = "person"
    TEXT = "text"
    UNKNOWN = "unknown"


class FieldType(Struct, frozen=True, kw_only=True, eq=False):
    """The type of a field.

    `words`: all values of a WORD; empty: any word. `below`: a NUMBER is less than it; None: any number. `item`: the
    type of a list's items. `fields`: those of an object by name. `others`: the type of an object's fields under other
    names.
    """

    kind: FieldKind
    words: frozenset[str] = frozenset()
    below: int | None = None
    item: "FieldType | None" = None
    fields: Mapping[str, "FieldType"] = {}
    others: "FieldType | None" = None

    def field(self, name: str) -> "FieldType":
        """The type of an object's field, or of a text's part; UNKNOWN where nothing is known of it."""
        return self.fields.get(name) or self.others or UNKNOWN

    def shown_path(self, path: Sequence[str]) -> tuple[str, ...]:
        """The names down to a field, for a report: `*` for a name that is not known, which may be a customer's."""
        shown: list[str] = []
        of = self
        for name in path:
            of = of.item_type if of.kind is FieldKind.LIST else of
            shown.append(name if name in of.fields else "*")
            of = of.field(name)
        return tuple(shown)

    @property
    def item_type(self) -> "FieldType":
        """The type of a list's items."""
        return self.item or UNKNOWN


UNKNOWN: Final = FieldType(kind=FieldKind.UNKNOWN)
ID: Final = FieldType(kind=FieldKind.ID)
TIME: Final = FieldType(kind=FieldKind.TIME)
WORD: Final = FieldType(kind=FieldKind.WORD)
PATH: Final = FieldType(kind=FieldKind.PATH)
NUMBER: Final = FieldType(kind=FieldKind.NUMBER)
COUNT: Final = FieldType(kind=FieldKind.NUMBER, below=10**6)
"""A counter: a number with fewer digits than a telephone number."""
FLAG: Final = FieldType(kind=FieldKind.FLAG)
TRACE_HEADERS: Final = FieldType(kind=FieldKind.TRACE_HEADERS)
CREDENTIAL: Final = FieldType(kind=FieldKind.CREDENTIAL)
PERSON: Final = FieldType(kind=FieldKind.PERSON)
TEXT: Final = FieldType(kind=FieldKind.TEXT)


def list_of(item: FieldType) -> FieldType:
    """A list whose items have this type."""
    return FieldType(kind=FieldKind.LIST, item=item)


def object_of(fields: Mapping[str, FieldType], others: FieldType | None = None) -> FieldType:
    """An object with these fields."""
    return FieldType(kind=FieldKind.OBJECT, fields=fields, others=others)


def one_of(*words: str) -> FieldType:
    """One of these words."""
    return FieldType(kind=FieldKind.WORD, words=frozenset(words))


def modelled(shape: Any) -> dict[str, FieldType]:
    """The fields of a model of `handlers.events.schema`, by name."""
    return {name: _type_of(hint) for name, hint in get_type_hints(shape, include_extras=True).items()}


def _type_of(hint: Any) -> FieldType:
    """The type that an annotation of the schema means. A text without a narrower form is a word: the models name no
    customer's text."""
    simple = _SIMPLE.get(hint) if isinstance(hint, type) else None
    if simple is not None:
        return simple
    for special, kind in ((Id, ID), (Instant, TIME), (FiniteNumber, NUMBER)):
        if hint == special:
            return kind
    if is_typeddict(hint):
        return object_of(modelled(hint))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        (inner,) = [each for each in arguments if each is not NoneType]
        return _type_of(inner)
    if origin is Literal:
        return one_of(*arguments)
    if origin is list:
        return list_of(_type_of(arguments[0]))
    if origin is dict:
        return object_of({}, others=_type_of(arguments[1]))
    if origin in (Annotated, Required, SkipValidation):
        return _type_of(arguments[0])
    return UNKNOWN


_SIMPLE: Final[Mapping[type, FieldType]] = {str: WORD, int: NUMBER, float: NUMBER, bool: FLAG}
