"""NEW FILE."""

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from commands.instant import format_instant, parse_instant
from commands.work_item import STATUS_ALIASES, HandleDuration, QueuePass, StatusDuration, WorkItem
from handlers.documents.document import _LINKS, _ODD, _QUEUE_LINK, _unreadable, _with_link, related_id
from handlers.ports import Document
from sync.conversation import Conversation, ConversationStatus


def conversation_of(document: Document) -> Conversation:
    """The conversation a document holds. Raises Unreadable."""
    try:
        return _conversation_of(document)
    except _ODD as fault:
        raise _unreadable(document, fault) from fault


def work_item_of(document: Document) -> WorkItem:
    """The work-item a document holds. Raises Unreadable."""
    try:
        return _work_item_of(document)
    except _ODD as fault:
        raise _unreadable(document, fault) from fault


def _conversation_of(document: Document) -> Conversation:
    attributes = document["attributes"]
    return Conversation(
        id=document["_id"],
        rev=document["rev"],
        status=ConversationStatus(attributes["status"]),
        assigned_users=tuple(attributes.get("assignedUsers") or ()),
        queue=related_id(document, "queue"),
        ended=bool(attributes.get("ended")),
        deleted=bool(attributes.get("deleted")),
        updated_at=_instant(attributes.get("updatedAt")),
    )


def updated_conversation_document(document: Document, fields: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """The document after a write of `status`, `assignedUsers`, `ended` or `queue` (`{id}`), one revision on."""
    rev = document["rev"] + 1
    attributes = {
        **document["attributes"],
        **{name: value for name, value in fields.items() if name != "queue"},
        "rev": rev,
        "updatedAt": format_instant(now),
    }
    relationships = document.get("relationships") or {}
    if "queue" in fields:
        relationships = _with_link(relationships, _QUEUE_LINK, fields["queue"]["id"])
    return {**document, "rev": rev, "attributes": attributes, "relationships": relationships}


def _work_item_of(document: Document) -> WorkItem:
    attributes = document["attributes"]
    relationships = document.get("relationships") or {}
    # As `_named` has it, without seven calls of it.
    linked: Any = {
        link.field: data["id"]
        for link in _LINKS
        if (there := relationships.get(link.name)) and (data := there.get("data"))
    }
    return WorkItem(
        id=document["_id"],
        rev=document["rev"],
        status=STATUS_ALIASES[attributes["status"]],
        number=document.get("workItemNumber") or 0,
        paused=bool(attributes.get("paused")),
        item_size=attributes.get("itemSize"),
        priority=attributes.get("priority"),
        queued_count=attributes.get("queuedCount") or 0,
        first_enter_queue_at=_instant(attributes.get("firstEnterQueueAt")),
        last_revision=_pass_of(attributes.get("lastRevision")),
        ivr=_stay_of(attributes.get("ivr")),
        wrap_up=_stay_of(attributes.get("wrapUp")),
        handle=_handle_of(attributes.get("handle")),
        resource_created_at=_instant(attributes.get("resourceCreatedAt")),
        resource_first_queue_time_ms=attributes.get("resourceFirstQueueTime"),
        resource_first_route_time_ms=attributes.get("resourceFirstRouteTime"),
        resource_first_assign_time_ms=attributes.get("resourceFirstAssignTime"),
        completed_at=_instant(attributes.get("completedAt")),
        updated_at=_instant(attributes.get("updatedAt")),
        **linked,
    )


def updated_work_item_document(document: Document, before: WorkItem, after: WorkItem) -> dict[str, Any]:
    """The document after a change of its work-item from `before` to `after`: only what changed is written anew."""
    attributes = dict(document["attributes"])
    for (_, name, encode), old, new in zip(_ATTRIBUTES, _attributes(before), _attributes(after), strict=True):
        if old is not new and old != new:
            attributes[name] = None if new is None else encode(new)
    relationships = document.get("relationships") or {}
    for link, old, new in zip(_LINKS, _links(before), _links(after), strict=True):
        if old != new:
            relationships = _with_link(relationships, link, new)
    return {
        **document,
        "rev": after.rev,
        "active": after.active,
        "attributes": attributes,
        "relationships": relationships,
    }


def _instant(text: str | None) -> datetime | None:
    return parse_instant(text) if text else None


_PASS_TIMES: Final = {
    "enteredQueueAt": "entered_queue_at",
    "routedAt": "routed_at",
    "acceptedAt": "accepted_at",
}
_PASS_COUNTS: Final = {"queueTime": "queue_time_ms", "queueBusinessTime": "queue_business_time_ms"}
_STAY_TIMES: Final = {"enteredAt": "entered_at"}
_STAY_COUNTS: Final = {"time": "time_ms", "businessTime": "business_time_ms"}
_HANDLE_TIMES: Final = {"resumedAt": "resumed_at"}
_HANDLE_COUNTS: Final = {"time": "time_ms"}


def _pass_of(record: Mapping[str, Any] | None) -> QueuePass | None:
    return None if record is None else QueuePass(**_record_fields(record, _PASS_TIMES, _PASS_COUNTS))


def _stay_of(record: Mapping[str, Any] | None) -> StatusDuration | None:
    return None if record is None else StatusDuration(**_record_fields(record, _STAY_TIMES, _STAY_COUNTS))


def _handle_of(record: Mapping[str, Any] | None) -> HandleDuration | None:
    return None if record is None else HandleDuration(**_record_fields(record, _HANDLE_TIMES, _HANDLE_COUNTS))


def _record_fields(record: Mapping[str, Any], times: Mapping[str, str], counts: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    other: dict[str, Any] = {}
    for name, value in record.items():
        if name in times:
            fields[times[name]] = _instant(value)
        elif name in counts:
            fields[counts[name]] = value
        else:
            other[name] = value
    return {**fields, "other": other}


def _record(
    record: QueuePass | StatusDuration | HandleDuration, times: Mapping[str, str], counts: Mapping[str, str]
) -> dict[str, Any]:
    instants = {name: getattr(record, field) for name, field in times.items()}
    numbers = {name: getattr(record, field) for name, field in counts.items()}
    return {
        **record.other,
        **{name: format_instant(at) for name, at in instants.items() if at is not None},
        **{name: number for name, number in numbers.items() if number is not None},
    }


def _as_is(value: Any) -> Any:
    return value


def _pass_record(record: QueuePass) -> dict[str, Any]:
    return _record(record, _PASS_TIMES, _PASS_COUNTS)


def _stay_record(record: StatusDuration) -> dict[str, Any]:
    return _record(record, _STAY_TIMES, _STAY_COUNTS)


def _handle_record(record: HandleDuration) -> dict[str, Any]:
    return _record(record, _HANDLE_TIMES, _HANDLE_COUNTS)


_ATTRIBUTES: Final[tuple[tuple[str, str, Callable[[Any], Any]], ...]] = (
    ("rev", "rev", _as_is),
    ("status", "status", str),
    ("paused", "paused", _as_is),
    ("item_size", "itemSize", _as_is),
    ("priority", "priority", _as_is),
    ("queued_count", "queuedCount", _as_is),
    ("first_enter_queue_at", "firstEnterQueueAt", format_instant),
    ("last_revision", "lastRevision", _pass_record),
    ("ivr", "ivr", _stay_record),
    ("wrap_up", "wrapUp", _stay_record),
    ("handle", "handle", _handle_record),
    ("resource_first_queue_time_ms", "resourceFirstQueueTime", _as_is),
    ("resource_first_route_time_ms", "resourceFirstRouteTime", _as_is),
    ("resource_first_assign_time_ms", "resourceFirstAssignTime", _as_is),
    ("completed_at", "completedAt", format_instant),
    ("updated_at", "updatedAt", format_instant),
)
_attributes: Final = attrgetter(*(field for field, _, _ in _ATTRIBUTES))
_links: Final = attrgetter(*(link.field for link in _LINKS))
