"""The modelled fields of an event, strictly typed: a wrong type in any of them is a fault, named with its path.

Everything else is kept as it came and never looked at. Source: domain.md, *Events*.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from commands.instant import parse_instant
from commands.reason import ReasonAction

REV_MAX: Final = 2**53 - 1
"""The largest revision that every producer can count to."""


def is_instant(text: str) -> str:
    """The text, where it is an instant; else a ValueError."""
    if parse_instant(text) is None:
        raise ValueError("not an ISO 8601 time with a zone")
    return text


Id = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00]+$")]
Instant = Annotated[str, AfterValidator(is_instant)]
Revision = Annotated[int, Field(ge=1, le=REV_MAX)]
WholeNumber = Annotated[int, Field(ge=0, le=REV_MAX)]


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class LinkTarget(_Wire):
    """What a relationship names."""

    id: Id
    type: str | None = None


class Relationship(_Wire):
    """One relationship; `data` null: it names nothing."""

    data: LinkTarget | None = None


class ConversationAttributes(_Wire):
    """A conversation's modelled attributes."""

    rev: Revision
    status: Literal["open", "snoozed", "done"]
    assignedUsers: list[Id] | None = None
    ended: bool | None = None
    deleted: bool | None = None
    updatedAt: Instant | None = None


class ConversationRelationships(_Wire):
    """A conversation's modelled relationships."""

    queue: Relationship | None = None


class ConversationData(_Wire):
    """A conversation's snapshot."""

    id: Id
    type: Literal["conversation"]
    attributes: ConversationAttributes
    relationships: ConversationRelationships | None = None


class LastRevision(_Wire):
    """`lastRevision`, milliseconds."""

    enteredQueueAt: Instant | None = None
    queueTime: int | None = None
    queueBusinessTime: int | None = None
    routedAt: Instant | None = None
    acceptedAt: Instant | None = None


class StatusStay(_Wire):
    """`ivr` and `wrapUp`, milliseconds."""

    enteredAt: Instant | None = None
    time: int | None = None
    businessTime: int | None = None


class HandleTime(_Wire):
    """`handle`, milliseconds."""

    time: int | None = None
    resumedAt: Instant | None = None


class WorkItemAttributes(_Wire):
    """A work-item's modelled attributes."""

    rev: Revision
    resourceType: str | None = None
    status: Literal["ivr", "queued", "routed", "assigned", "wrap-up", "wrapUp", "wrapup", "completed", "complete"]
    paused: bool | None = None
    workItemNumber: WholeNumber | None = None
    resourceRev: Revision | None = None
    itemSize: WholeNumber | None = None
    priority: int | None = None
    queuedCount: WholeNumber | None = None
    firstEnterQueueAt: Instant | None = None
    resourceCreatedAt: Instant | None = None
    resourceFirstQueueTime: int | None = None
    resourceFirstRouteTime: int | None = None
    resourceFirstAssignTime: int | None = None
    completedAt: Instant | None = None
    updatedAt: Instant | None = None
    lastRevision: LastRevision | None = None
    ivr: StatusStay | None = None
    wrapUp: StatusStay | None = None
    handle: HandleTime | None = None


class Resource(_Wire):
    """What the work-item is about; never nothing."""

    data: LinkTarget


class WorkItemRelationships(_Wire):
    """A work-item's modelled relationships."""

    resource: Resource
    queue: Relationship | None = None
    rule: Relationship | None = None
    assignedTo: Relationship | None = None
    acceptedBy: Relationship | None = None
    routedTo: Relationship | None = None
    workSession: Relationship | None = None
    team: Relationship | None = None
    lastRevision: Relationship | None = None


class WorkItemData(_Wire):
    """A work-item's snapshot."""

    id: Id
    type: Literal["work_item", "work-item"]
    attributes: WorkItemAttributes
    relationships: WorkItemRelationships


class FieldChange(_Wire):
    """One changed name."""

    op: Literal["add", "replace", "remove"] | None = None
    before: Any = None
    after: Any = None


class EventChanges(_Wire):
    """`changes`: by name, what was before and after."""

    attributes: dict[str, FieldChange] | None = None
    relationships: dict[str, FieldChange] | None = None


class KnownResource(_Wire):
    """The conversation revision that a sync's update knew."""

    rev: Revision | None = None


class CommandData(_Wire):
    """The update a command carried out."""

    resource: KnownResource | None = None


class ReasonMeta(_Wire):
    """What a routing reason says of who knew what."""

    conversationRev: Revision | None = None
    data: CommandData | None = None


class RoutingReason(_Wire):
    """One routing reason; what `meta` is depends on the action, so it is read by `meta_of`."""

    action: str | None = None
    code: str | None = None
    meta: Any = None


_KNOWING: Final = (ReasonAction.QUEUE_WORK_ITEM, ReasonAction.UPDATE_COMMAND)
"""The actions whose `meta` is modelled."""
_WATERMARKS: Final = frozenset(ReasonMeta.model_fields)


def meta_of(reason: Mapping[str, Any]) -> ReasonMeta | None:
    """Who knew what, of a routing reason as `RoutingReason` has it. Of a modelled action a wrong type raises
    ValidationError; of any other it is not ours to judge."""
    meta = reason.get("meta")
    # Those of our own syncs, of which most events are, say nothing of it.
    if meta is None or (isinstance(meta, dict) and _WATERMARKS.isdisjoint(meta)):
        return None
    try:
        return ReasonMeta.model_validate(meta)
    except ValidationError:
        if reason.get("action") in _KNOWING:
            raise
        return None


class EventEnvelope(_Wire):
    """The event around its snapshot."""

    id: Id
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    org: Id | None = None
    partition: str | None = None
    createdAt: Instant | None = None
    client: str | None = None
    isSync: bool | None = None
    changes: EventChanges | None = None
    routingReasons: list[RoutingReason] | None = None


NAMES: Final = frozenset(name for model in _Wire.__subclasses__() for name in model.model_fields)
"""Every modelled name: the only names in an event that are certainly not a customer's words."""
