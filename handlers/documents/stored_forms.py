"""The modelled fields of stored documents with their types: a document is read as strictly as an event is.

Types are checked, never truth values: `"false"` is no `false`. `form_of` makes the typed form or names the field and
what stands there. The types are those of an event's snapshot (`handlers/events/schema.py`); fields that are not
modelled are not looked at. One conversion by msgspec takes a third of the time of the same check by pydantic.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from handlers.documents.json_values import INT64_MAX, INT64_MIN
from handlers.documents.stored_values import ForeignValue

REV_MAX: Final = 2**53 - 1
_ID_CHARACTERS_MAX: Final = 256
Id = Annotated[str, Meta(min_length=1, max_length=_ID_CHARACTERS_MAX)]
Org = Annotated[str, Meta(max_length=256)]
Revision = Annotated[int, Meta(ge=1, le=REV_MAX)]
WholeNumber = Annotated[int, Meta(ge=0, le=REV_MAX)]
_DOUBLE_MAX: Final = 1.7976931348623157e308
Integer = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX)]
FiniteNumber = Integer | Annotated[float, Meta(ge=-_DOUBLE_MAX, le=_DOUBLE_MAX)]


class UnreadableDocument(Exception):
    """A stored document that lacks a field or has one of a wrong type, because another service wrote it.

    Only the document's own conversation and work-item are affected. The message names the document, the field and what
    stands there.
    """


class Form(Struct, rename="camel", gc=False):
    """A part of a document with the types of its modelled fields; instants are texts."""


class TargetForm(Form, kw_only=True):
    """The document that a relationship names."""

    id: Id
    type: str | None = None


class RelationshipForm(Form, kw_only=True):
    """A relationship. `data` is null where it names no document."""

    data: TargetForm | None = None


class ConversationAttributesForm(Form, kw_only=True):
    """A conversation's modelled attributes."""

    status: Literal["open", "snoozed", "done"]
    assigned_users: list[Id] | None = None
    ended: bool | None = None
    deleted: bool | None = None
    updated_at: str | None = None


class ConversationRelationshipsForm(Form, kw_only=True):
    """A conversation's modelled relationships."""

    queue: RelationshipForm | None = None


class ConversationForm(Form, kw_only=True):
    """A conversation's document."""

    id: Id = field(name="_id")
    rev: Revision
    type: Literal["conversation"]
    org: Org | None = None
    attributes: ConversationAttributesForm
    relationships: ConversationRelationshipsForm | None = None


class QueuePassForm(Form, kw_only=True):
    """A work-item's `lastRevision`."""

    entered_queue_at: str | None = None
    queue_time: Integer | None = None
    queue_business_time: Integer | None = None
    routed_at: str | None = None
    accepted_at: str | None = None


class StatusDurationForm(Form, kw_only=True):
    """A work-item's `ivr` or `wrapUp`."""

    entered_at: str | None = None
    time: Integer | None = None
    business_time: Integer | None = None


class HandleDurationForm(Form, kw_only=True):
    """A work-item's `handle`."""

    time: Integer | None = None
    resumed_at: str | None = None


class WorkItemAttributesForm(Form, kw_only=True):
    """A work-item's modelled attributes."""

    status: Literal["ivr", "queued", "routed", "assigned", "wrap-up", "wrapUp", "wrapup", "completed", "complete"]
    resource_type: str | None = None
    paused: bool | None = None
    work_item_number: WholeNumber | None = None
    item_size: FiniteNumber | None = None
    priority: Integer | None = None
    queued_count: WholeNumber | None = None
    resource_rev: Revision | None = None
    first_enter_queue_at: str | None = None
    last_revision: QueuePassForm | None = None
    ivr: StatusDurationForm | None = None
    wrap_up: StatusDurationForm | None = None
    handle: HandleDurationForm | None = None
    resource_created_at: str | None = None
    resource_first_queue_time: Integer | None = None
    resource_first_route_time: Integer | None = None
    resource_first_assign_time: Integer | None = None
    completed_at: str | None = None
    updated_at: str | None = None


class ResourceForm(Form, kw_only=True):
    """A work-item's conversation. Unlike another relationship it always names a document."""

    data: TargetForm


class WorkItemRelationshipsForm(Form, kw_only=True):
    """A work-item's modelled relationships."""

    resource: ResourceForm
    queue: RelationshipForm | None = None
    rule: RelationshipForm | None = None
    assigned_to: RelationshipForm | None = None
    accepted_by: RelationshipForm | None = None
    routed_to: RelationshipForm | None = None
    work_session: RelationshipForm | None = None
    team: RelationshipForm | None = None
    last_revision: RelationshipForm | None = None


class WorkItemForm(Form, kw_only=True):
    """A work-item's document."""

    id: Id = field(name="_id")
    rev: Revision
    type: Literal["work_item", "work-item"]
    org: Org | None = None
    conversation_id: Id
    active: bool
    work_item_number: WholeNumber | None = None
    attributes: WorkItemAttributesForm
    relationships: WorkItemRelationshipsForm


AnyForm = TypeVar("AnyForm")


def form_of(document: Mapping[str, Any], form: type[AnyForm]) -> AnyForm:
    """The typed form of a document. Raises UnreadableDocument."""
    try:
        return msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        raise _unreadable(document, str(error)) from error


def unreadable(document: Mapping[str, Any], path: tuple[str | int, ...], expected: str) -> UnreadableDocument:
    """The exception for a document with another value than `expected` at `path`."""
    value = _at(document, path)
    return UnreadableDocument(f"{_named(document)}: {_spelled(path)} is {shown(value)}, not {expected}")


def _at(document: Mapping[str, Any], path: tuple[str | int, ...]) -> Any:
    value: Any = document
    for step in path:
        value = value[step]
    return value


_PLACE: Final = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_STEP: Final = re.compile(r"\[(\d+)\]|(\[\.\.\.\])|([^.\[\]]+)")
_MISSING: Final = re.compile(r"^Object missing required field `(\w+)`")
_EXPECTED: Final = re.compile(r"^Expected (.*?)(?:, got `.*`)?$")


def _unreadable(document: Mapping[str, Any], message: str) -> UnreadableDocument:
    """The exception for the fault that msgspec's message describes. The message may quote a value, so only its parts
    are repeated."""
    found = _PLACE.search(message)
    said = message[: found.start()] if found else message
    path, in_mapping = _path(found[1] if found else "")
    if missing := _MISSING.match(said):
        return UnreadableDocument(f"{_named(document)}: {_spelled((*path, missing[1]))} is missing")
    match = _EXPECTED.match(said)
    expected = match[1] if match else "one of the known values"
    if in_mapping:
        # The message does not say which entry it is.
        values = ", ".join(shown(value) for value in _at(document, path).values())
        return UnreadableDocument(f"{_named(document)}: {_spelled(path)} has a value that is not {expected}: {values}")
    return unreadable(document, path, expected)


def _path(place: str) -> tuple[tuple[str | int, ...], bool]:
    """The path of a place in msgspec's words, up to an object whose names are not modelled; whether there is one."""
    path: list[str | int] = []
    for index, entry, name in _STEP.findall(place):
        if entry:
            return tuple(path), True
        path.append(int(index) if index else name)
    return tuple(path), False


def _named(document: Mapping[str, Any]) -> str:
    key = document.get("_id")
    legible = isinstance(key, str) and len(key) <= _ID_CHARACTERS_MAX
    return f"{key if legible else shown(key).removeprefix('the ')} in the store cannot be read"


def _spelled(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path)) or "the document"


_TOKEN: Final = re.compile(r"[\w.:+-]{0,36}", re.ASCII)


def shown(value: Any) -> str:
    """A value for an operator. A text that is longer or has other characters than a state, a number or an id may be a
    customer's words: only its length is shown."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the text "{value}"' if _TOKEN.fullmatch(value) else f"a text of {len(value)} characters"
        case ForeignValue():
            legible = isinstance(value.json, str) and _TOKEN.fullmatch(value.json)
            return f"the {value.type} {value.json}" if legible else f"a value of the type {value.type}"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            return f"a value of the type {type(value).__name__}"
