"""Stored documents as the nouns of `sync` and `commands`, and changed nouns as updated documents.

`conversation_of` and `work_item_of` read a document. They raise UnreadableDocument for a document of another form.
`updated_conversation_document` and `updated_work_item_document` write the changed fields only, so that the fields that
no noun models stay as they are.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from commands.instant import format_instant, parse_instant
from commands.work_item import STATUS_ALIASES, HandleDuration, QueuePass, StatusDuration, WorkItem
from handlers.documents.relationships import QUEUE, WORK_ITEM_LINKS, with_relationship
from handlers.documents.stored_forms import ConversationForm, Form, RelationshipForm, WorkItemForm, form_of, unreadable
from handlers.ports import Document
from sync.conversation import Conversation, ConversationStatus


def conversation_of(document: Document) -> Conversation:
    """The conversation that a document holds. Raises UnreadableDocument."""
    form = form_of(document, ConversationForm)
    attributes, relationships = form.attributes, form.relationships
    return Conversation(
        id=form.id,
        rev=form.rev,
        status=ConversationStatus(attributes.status),
        assigned_users=tuple(attributes.assigned_users or ()),
        queue=None if relationships is None else _target(relationships.queue),
        ended=attributes.ended is True,
        deleted=attributes.deleted is True,
        updated_at=_instant(attributes.updated_at, document, "updatedAt"),
    )


def updated_conversation_document(
    document: Document, fields: Mapping[str, Any], *, now: datetime, rev: int | None = None
) -> dict[str, Any]:
    """The conversation's document after a write of `fields`, with `updatedAt` set to `now` and the revision `rev`; None
    stands for the next one.

    `fields` has the wire's names: `status`, `assignedUsers`, `ended`, and `queue` as `{id}`, where a null id means no
    queue.
    """
    rev = document["rev"] + 1 if rev is None else rev
    attributes = {
        **document["attributes"],
        **{name: value for name, value in fields.items() if name != "queue"},
        "rev": rev,
        "updatedAt": format_instant(now),
    }
    relationships = document.get("relationships") or {}
    if "queue" in fields:
        relationships = with_relationship(relationships, QUEUE, fields["queue"]["id"])
    return {**document, "rev": rev, "attributes": attributes, "relationships": relationships}


def work_item_of(document: Document) -> WorkItem:
    """The work-item that a document holds. Raises UnreadableDocument."""
    form = form_of(document, WorkItemForm)
    attributes, relationships = form.attributes, form.relationships
    return WorkItem(
        id=form.id,
        rev=form.rev,
        status=STATUS_ALIASES[attributes.status],
        number=form.work_item_number or 0,
        assigned_to=_target(relationships.assigned_to),
        accepted_by=_target(relationships.accepted_by),
        queue=_target(relationships.queue),
        rule=_target(relationships.rule),
        routed_to=_target(relationships.routed_to),
        session=_target(relationships.work_session),
        team=_target(relationships.team),
        paused=attributes.paused is True,
        item_size=attributes.item_size,
        priority=attributes.priority,
        queued_count=attributes.queued_count or 0,
        resource_rev=attributes.resource_rev or 0,
        first_enter_queue_at=_instant(attributes.first_enter_queue_at, document, "firstEnterQueueAt"),
        last_revision=_QUEUE_PASS.read(attributes.last_revision, document, "lastRevision"),
        ivr=_STATUS_DURATION.read(attributes.ivr, document, "ivr"),
        wrap_up=_STATUS_DURATION.read(attributes.wrap_up, document, "wrapUp"),
        handle=_HANDLE_DURATION.read(attributes.handle, document, "handle"),
        resource_created_at=_instant(attributes.resource_created_at, document, "resourceCreatedAt"),
        resource_first_queue_time_ms=attributes.resource_first_queue_time,
        resource_first_route_time_ms=attributes.resource_first_route_time,
        resource_first_assign_time_ms=attributes.resource_first_assign_time,
        completed_at=_instant(attributes.completed_at, document, "completedAt"),
        updated_at=_instant(attributes.updated_at, document, "updatedAt"),
    )


def updated_work_item_document(document: Document, before: WorkItem, after: WorkItem) -> dict[str, Any]:
    """The work-item's document after its change from `before`, which the document holds, to `after`."""
    attributes = dict(document["attributes"])
    for (_, name, encode), old, new in zip(_ATTRIBUTES, _attributes(before), _attributes(after), strict=True):
        if old is not new and old != new:
            attributes[name] = None if new is None else encode(new)
    relationships = document.get("relationships") or {}
    for link, old, new in zip(WORK_ITEM_LINKS, _linked_ids(before), _linked_ids(after), strict=True):
        if old != new:
            relationships = with_relationship(relationships, link, new)
    return {
        **document,
        "rev": after.rev,
        "active": after.active,
        "attributes": attributes,
        "relationships": relationships,
    }


def _instant(text: str | None, document: Document, *path: str) -> datetime | None:
    """The instant of the attribute at `path`. Raises UnreadableDocument for a text that is none."""
    if text is None:
        return None
    instant = parse_instant(text)
    if instant is None:
        raise unreadable(document, ("attributes", *path), "a time with a zone in ISO 8601")
    return instant


def _target(relationship: RelationshipForm | None) -> str | None:
    """The id that a relationship names; None where it is absent or names none."""
    return None if relationship is None or relationship.data is None else relationship.data.id


_Noun = TypeVar("_Noun", QueuePass, StatusDuration, HandleDuration)


class _TimingRecord(Struct, Generic[_Noun], frozen=True, kw_only=True):
    """A work-item's timing record as JSON: its names for the noun's instants and durations.

    The noun keeps the names that are not modelled in `other`.
    """

    noun: type[_Noun]
    instants: Mapping[str, str]
    durations: Mapping[str, str]

    def read(self, form: Form | None, document: Document, at: str) -> _Noun | None:
        """The noun of the record that `document` has under the attribute `at`, and whose types are those of `form`.

        Raises UnreadableDocument for a text that is no instant.
        """
        if form is None:
            return None
        fields: dict[str, Any] = {}
        other: dict[str, Any] = {}
        for name, value in document["attributes"][at].items():
            if name in self.instants:
                fields[self.instants[name]] = _instant(value, document, at, name)
            elif name in self.durations:
                fields[self.durations[name]] = value
            else:
                other[name] = value
        return self.noun(**fields, other=other)

    def write(self, noun: _Noun) -> dict[str, Any]:
        instants = {name: getattr(noun, field) for name, field in self.instants.items()}
        durations = {name: getattr(noun, field) for name, field in self.durations.items()}
        return {
            **noun.other,
            **{name: format_instant(at) for name, at in instants.items() if at is not None},
            **{name: duration for name, duration in durations.items() if duration is not None},
        }


_QUEUE_PASS: Final = _TimingRecord(
    noun=QueuePass,
    instants={"enteredQueueAt": "entered_queue_at", "routedAt": "routed_at", "acceptedAt": "accepted_at"},
    durations={"queueTime": "queue_time_ms", "queueBusinessTime": "queue_business_time_ms"},
)
_STATUS_DURATION: Final = _TimingRecord(
    noun=StatusDuration,
    instants={"enteredAt": "entered_at"},
    durations={"time": "time_ms", "businessTime": "business_time_ms"},
)
_HANDLE_DURATION: Final = _TimingRecord(
    noun=HandleDuration, instants={"resumedAt": "resumed_at"}, durations={"time": "time_ms"}
)


def _as_is(value: Any) -> Any:
    return value


_ATTRIBUTES: Final[tuple[tuple[str, str, Callable[[Any], Any]], ...]] = (
    ("rev", "rev", _as_is),
    ("status", "status", str),
    ("paused", "paused", _as_is),
    ("item_size", "itemSize", _as_is),
    ("priority", "priority", _as_is),
    ("queued_count", "queuedCount", _as_is),
    ("first_enter_queue_at", "firstEnterQueueAt", format_instant),
    ("last_revision", "lastRevision", _QUEUE_PASS.write),
    ("ivr", "ivr", _STATUS_DURATION.write),
    ("wrap_up", "wrapUp", _STATUS_DURATION.write),
    ("handle", "handle", _HANDLE_DURATION.write),
    ("resource_first_queue_time_ms", "resourceFirstQueueTime", _as_is),
    ("resource_first_route_time_ms", "resourceFirstRouteTime", _as_is),
    ("resource_first_assign_time_ms", "resourceFirstAssignTime", _as_is),
    ("completed_at", "completedAt", format_instant),
    ("updated_at", "updatedAt", format_instant),
)
"""The attributes that commands change: the noun's field, the attribute's name, and the writer of its value."""
_attributes: Final = attrgetter(*(field for field, _, _ in _ATTRIBUTES))
_linked_ids: Final = attrgetter(*(link.field for link in WORK_ITEM_LINKS))
