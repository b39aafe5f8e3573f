"""The modelled fields of an event, as strictly typed dicts. Every other field is kept as it came and never read.

`validation.py` checks values against these types. Source: docs/events.md, *The envelope* and *Documents as stored*.
"""

from typing import Annotated, Any, Final, Literal, Required

from pydantic import AfterValidator, Field, SkipValidation, StringConstraints
from pydantic_core import core_schema
from typing_extensions import TypedDict

from commands.instant import parse_instant

REV_MAX: Final = 2**53 - 1
"""The largest revision that every producer can count to: JavaScript's largest exact whole number."""


def _checked_instant(text: str) -> str:
    if parse_instant(text) is None:
        raise ValueError("not an ISO 8601 time with a zone")
    return text


class _NumberAsItCame:
    """Pydantic's check of a float converts whole numbers, and its union reports a failed check once for each part."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, __: object) -> core_schema.CoreSchema:
        number = core_schema.union_schema(
            [core_schema.int_schema(), core_schema.float_schema(allow_inf_nan=False)], mode="left_to_right"
        )
        return core_schema.custom_error_schema(number, custom_error_type="finite_number")


Id = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00]+$")]
Instant = Annotated[str, AfterValidator(_checked_instant)]
Revision = Annotated[int, Field(ge=1, le=REV_MAX)]
WholeNumber = Annotated[int, Field(ge=0, le=REV_MAX)]
FiniteNumber = Annotated[float, _NumberAsItCame]
"""A whole number or a fraction, kept as it came. The parser of JSON refuses numbers beyond 64 bits."""


class LinkTarget(TypedDict, total=False):
    """The document that a relationship names."""

    id: Required[Id]
    type: str | None


class Relationship(TypedDict, total=False):
    """A relationship. `data` is null where it names no document."""

    data: LinkTarget | None


class ConversationAttributes(TypedDict, total=False):
    """A conversation's modelled attributes."""

    rev: Required[Revision]
    status: Required[Literal["open", "snoozed", "done"]]
    assignedUsers: list[Id] | None
    ended: bool | None
    deleted: bool | None
    updatedAt: Instant | None


class ConversationRelationships(TypedDict, total=False):
    """A conversation's modelled relationships."""

    queue: Relationship | None


class ConversationSnapshot(TypedDict, total=False):
    """A conversation's snapshot."""

    id: Required[Id]
    type: Required[Literal["conversation"]]
    attributes: Required[ConversationAttributes]
    relationships: ConversationRelationships | None


class LastRevision(TypedDict, total=False):
    """A work-item's `lastRevision`: the times of its current pass through a queue. Durations in milliseconds."""

    enteredQueueAt: Instant | None
    queueTime: int | None
    queueBusinessTime: int | None
    routedAt: Instant | None
    acceptedAt: Instant | None


class StatusTime(TypedDict, total=False):
    """A work-item's `ivr` or `wrapUp`: the time it spent in that status. Durations in milliseconds."""

    enteredAt: Instant | None
    time: int | None
    businessTime: int | None


class HandleTime(TypedDict, total=False):
    """A work-item's `handle`: the time an agent spent on it. Durations in milliseconds."""

    time: int | None
    resumedAt: Instant | None


class WorkItemAttributes(TypedDict, total=False):
    """A work-item's modelled attributes."""

    rev: Required[Revision]
    resourceType: str | None
    status: Required[
        Literal["ivr", "queued", "routed", "assigned", "wrap-up", "wrapUp", "wrapup", "completed", "complete"]
    ]
    paused: bool | None
    workItemNumber: WholeNumber | None
    resourceRev: Revision | None
    itemSize: FiniteNumber | None
    priority: int | None
    queuedCount: WholeNumber | None
    firstEnterQueueAt: Instant | None
    resourceCreatedAt: Instant | None
    resourceFirstQueueTime: int | None
    resourceFirstRouteTime: int | None
    resourceFirstAssignTime: int | None
    completedAt: Instant | None
    updatedAt: Instant | None
    lastRevision: LastRevision | None
    ivr: StatusTime | None
    wrapUp: StatusTime | None
    handle: HandleTime | None


class ConversationLink(TypedDict):
    """A work-item's conversation. Unlike another relationship it always names a document."""

    data: LinkTarget


class WorkItemRelationships(TypedDict, total=False):
    """A work-item's modelled relationships."""

    resource: Required[ConversationLink]
    queue: Relationship | None
    rule: Relationship | None
    assignedTo: Relationship | None
    acceptedBy: Relationship | None
    routedTo: Relationship | None
    workSession: Relationship | None
    team: Relationship | None
    lastRevision: Relationship | None


class WorkItemSnapshot(TypedDict):
    """A work-item's snapshot."""

    id: Id
    type: Literal["work_item", "work-item"]
    attributes: WorkItemAttributes
    relationships: WorkItemRelationships


class FieldChange(TypedDict, total=False):
    """The change of one attribute or relationship."""

    op: Literal["add", "replace", "remove"] | None
    before: Any
    after: Any


class EventChanges(TypedDict, total=False):
    """`changes`: the fields that the write changed, by name."""

    attributes: dict[str, FieldChange] | None
    relationships: dict[str, FieldChange] | None


class KnownRevision(TypedDict, total=False):
    """The conversation revision that an update's author knew."""

    rev: Revision | None


class CommandData(TypedDict, total=False):
    """The update that a command executed."""

    resource: KnownRevision | None


class ReasonMeta(TypedDict, total=False):
    """The part of a routing reason's `meta` that says which conversation revision the write knew."""

    conversationRev: Revision | None
    data: CommandData | None


class RoutingReason(TypedDict, total=False):
    """A routing reason. The shape of `meta` depends on the action, so `validate_envelope` checks it by itself."""

    action: str | None
    code: str | None
    meta: SkipValidation[ReasonMeta | None]


class EventEnvelope(TypedDict, total=False):
    """An event without its snapshot."""

    id: Required[Id]
    name: Required[Annotated[str, StringConstraints(min_length=1, max_length=256)]]
    org: Id | None
    partition: str | None
    createdAt: Instant | None
    client: str | None
    isSync: bool | None
    changes: EventChanges | None
    routingReasons: list[RoutingReason] | None


SHAPES: Final = (
    LinkTarget, Relationship, ConversationAttributes, ConversationRelationships, ConversationSnapshot, LastRevision,
    StatusTime, HandleTime, WorkItemAttributes, ConversationLink, WorkItemRelationships, WorkItemSnapshot, FieldChange,
    EventChanges, KnownRevision, CommandData, ReasonMeta, RoutingReason, EventEnvelope,
)  # fmt: skip
MODELLED_NAMES: Final = frozenset(name for shape in SHAPES for name in shape.__annotations__)
"""The names of all modelled fields. A reason may show these; any other name may be a customer's words."""
