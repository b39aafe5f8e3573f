"""The bodies and answers of the routes of work-items, for the schema. An update is read by `commands/update.py`."""

from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, RootModel, with_config
from pydantic.config import JsonDict
from typing_extensions import TypedDict


class WorkItemData(BaseModel):
    """A work-item as its events show it."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: str
    attributes: dict[str, Any]
    relationships: dict[str, Any]


class WorkItemAnswer(BaseModel):
    """One work-item."""

    data: WorkItemData


class WorkItemsAnswer(BaseModel):
    """The work-items of a conversation, the latest first."""

    data: list[WorkItemData]


_AnId = Annotated[str, Field(min_length=1, max_length=256)]
_Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
_Revision = Annotated[int, Field(ge=1, le=2**53 - 1)]
_CLOSED: Final = ConfigDict(extra="forbid")


@with_config(_CLOSED)
class NoQueue(TypedDict):
    """Leave the queue."""

    id: None


@with_config(_CLOSED)
class QueueById(TypedDict):
    """A queue by its id. `enteredAt`: an older place in it."""

    id: _AnId
    rule: NotRequired[_AnId | None]
    enteredAt: NotRequired[_Instant | None]


@with_config(_CLOSED)
class QueueByKey(TypedDict):
    """A queue of the work-item's org by its key."""

    key: _AnId
    rule: NotRequired[_AnId | None]
    enteredAt: NotRequired[_Instant | None]


@with_config(_CLOSED)
class OfferToUser(TypedDict):
    """The work-item is offered to a user."""

    to: _AnId
    workSession: NotRequired[_AnId | None]


@with_config(_CLOSED)
class OfferRejected(TypedDict):
    """The user gives the work-item back."""

    rejectedBy: _AnId


@with_config(_CLOSED)
class OfferTimedOut(TypedDict):
    """The user did not answer."""

    timedOut: _AnId


@with_config(_CLOSED)
class AcceptedByUser(TypedDict):
    """The user takes the work-item."""

    by: _AnId
    workSession: NotRequired[_AnId | None]


@with_config(ConfigDict(extra="allow"))
class KnownResource(TypedDict):
    """What the client knew of the work-item's conversation; other parts are ignored."""

    rev: NotRequired[_Revision | None]


_SOME_FIELD: Final[JsonDict] = {"anyOf": [{"required": [name]} for name in ("queue", "assignedTo", "status", "paused")]}


@with_config(ConfigDict(extra="forbid", json_schema_extra=_SOME_FIELD))
class FieldsUpdate(TypedDict):
    """Fields of the work-item. Null clears a field; a field that is missing stays as it is."""

    queue: NotRequired[QueueById | QueueByKey | NoQueue | _AnId | None]
    assignedTo: NotRequired[_AnId | None]
    status: NotRequired[Literal["wrap-up", "completed", "wrapUp", "wrapup", "complete"]]
    paused: NotRequired[bool]
    rev: NotRequired[_Revision]
    resource: NotRequired[KnownResource]


@with_config(_CLOSED)
class RoutedUpdate(TypedDict):
    """An offer to a user, or its end. It needs the role router."""

    routed: OfferToUser | OfferRejected | OfferTimedOut
    rev: NotRequired[_Revision]
    resource: NotRequired[KnownResource]


@with_config(_CLOSED)
class AcceptedUpdate(TypedDict):
    """The end of an offer that a user takes. It needs the role router."""

    accepted: AcceptedByUser
    paused: NotRequired[bool]
    rev: NotRequired[_Revision]
    resource: NotRequired[KnownResource]


class WorkItemUpdateBody(RootModel[FieldsUpdate | RoutedUpdate | AcceptedUpdate]):
    """An update of a work-item (docs/commands.md). Dotted keys, as `queue.id`, mean the same as nested ones.

    `rev` is the revision of the work-item that the client expects: another one is a conflict.
    """
