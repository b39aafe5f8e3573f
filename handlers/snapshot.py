"""Stored documents to the nouns of `commands` and `sync`, and changed nouns back into documents.

What no noun models stays in the document untouched; of a timing record the parts not modelled stay beside the others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from commands.instant import format_instant, parse_instant
from commands.work_item import STATUS_ALIASES, Handle, Pass, Status, Stay, WorkItem
from handlers.json_tree import same
from handlers.ports import Document
from sync.conversation import Conversation, ConversationStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """How a relationship is spelt on the wire."""

    field: str
    name: str
    type: str
    path: str

    def to(self, target: str) -> dict[str, Any]:
        return {"data": {"type": self.type, "id": target}, "links": {"self": f"{self.path}{target}"}}


_LINKS: Final = (
    _Link(field="queue", name="queue", type="queue", path="/v1/routing/queues/"),
    _Link(field="rule", name="rule", type="queue-rule", path="/v1/routing/queue-rules/"),
    _Link(field="assigned_to", name="assignedTo", type="user", path="/v1/users/"),
    _Link(field="accepted_by", name="acceptedBy", type="user", path="/v1/users/"),
    _Link(field="routed_to", name="routedTo", type="user", path="/v1/users/"),
    _Link(field="session", name="workSession", type="work_session", path="/v1/routing/work-sessions/"),
    _Link(field="team", name="team", type="team", path="/v1/teams/"),
)
_QUEUE_LINK: Final = _LINKS[0]


def document_of(data: Mapping[str, Any], *, org: str | None, rev: int, deletion: bool = False) -> dict[str, Any]:
    """An event's snapshot as the document that is stored for it: `data` as it came, `_id`, `org`, `rev` on top."""
    # Our own names on top stand, whatever a snapshot brings under them.
    document = {key: value for key, value in data.items() if key != "id" and key not in _ON_TOP}
    document.update(_id=data["id"], org=org, rev=rev)
    if deletion:
        document["attributes"] = {**document["attributes"], "deleted": True}
    if data["type"] != "conversation":
        attributes = data["attributes"]
        document["conversationId"] = data["relationships"]["resource"]["data"]["id"]
        document["active"] = STATUS_ALIASES[attributes["status"]] is not Status.COMPLETED
        document["workItemNumber"] = attributes.get("workItemNumber") or 0
    return document


_ON_TOP: Final = frozenset({"_id", "org", "rev", "conversationId", "active", "workItemNumber"})


def data_of(document: Document) -> dict[str, Any]:
    """A document as an event's `data`."""
    return {"id": document["_id"], **{key: value for key, value in document.items() if key not in _ON_TOP}}


class Unreadable(Exception):
    """A stored document that is not what it should be: written by somebody else, and its own pair's trouble alone."""


_ODD: Final = (KeyError, ValueError, TypeError, AttributeError)
"""What reading raises where a document is not as it should be."""


def rev_of(document: Document) -> int:
    """A stored document's revision. Raises Unreadable."""
    try:
        return int(document["rev"])
    except _ODD as fault:
        raise _unreadable(document, fault) from fault


def is_older(document: Document, rev: int) -> bool:
    """True where the stored document is of an earlier revision. Raises Unreadable."""
    try:
        return bool(document["rev"] < rev)
    except _ODD as fault:
        raise _unreadable(document, fault) from fault


def _unreadable(document: Document, fault: Exception) -> Unreadable:
    return Unreadable(f"{document.get('_id')} in the store cannot be read: {type(fault).__name__}")


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
        queue=related(document, "queue"),
        ended=bool(attributes.get("ended")),
        deleted=bool(attributes.get("deleted")),
        updated_at=_instant(attributes.get("updatedAt")),
    )


def with_conversation(document: Document, fields: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
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


def with_work_item(document: Document, before: WorkItem, after: WorkItem) -> dict[str, Any]:
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


def changes_between(before: Document, after: Document) -> dict[str, dict[str, Any]]:
    """An event's `changes`: what differs in attributes and relationships, with the values before and after."""
    return {
        level: _changes(before.get(level) or {}, after.get(level) or {}) for level in ("attributes", "relationships")
    }


def related(document: Mapping[str, Any], name: str) -> str | None:
    """The id a relationship names, or None."""
    return _named(document.get("relationships") or {}, name)


def _named(relationships: Mapping[str, Any], name: str) -> str | None:
    link = relationships.get(name)
    data = link.get("data") if link else None
    return data["id"] if data else None


def relationship(name: str, target: str) -> dict[str, Any]:
    """A work-item's relationship as the wire spells it."""
    return next(link for link in _LINKS if link.name == name).to(target)


def _with_link(relationships: Mapping[str, Any], link: _Link, target: str | None) -> dict[str, Any]:
    if target is None:
        return {name: value for name, value in relationships.items() if name != link.name}
    return {**relationships, link.name: link.to(target)}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    # Most of it is the very same object, which a write takes over as it is.
    touched = [(name, old, new) for name, old in before.items() if (new := after.get(name)) is not old]
    changes = {name: _change(old, new) for name, old, new in touched if not same(old, new)}
    brought = [name for name in after if name not in before]
    changes.update((name, _change(None, after[name])) for name in brought if after[name] is not None)
    return changes


def _change(old: Any, new: Any) -> dict[str, Any]:
    op = "add" if old is None else "remove" if new is None else "replace"
    return {"op": op, "before": old, "after": new}


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


def _pass_of(record: Mapping[str, Any] | None) -> Pass | None:
    return None if record is None else Pass(**_record_fields(record, _PASS_TIMES, _PASS_COUNTS))


def _stay_of(record: Mapping[str, Any] | None) -> Stay | None:
    return None if record is None else Stay(**_record_fields(record, _STAY_TIMES, _STAY_COUNTS))


def _handle_of(record: Mapping[str, Any] | None) -> Handle | None:
    return None if record is None else Handle(**_record_fields(record, _HANDLE_TIMES, _HANDLE_COUNTS))


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


def _record(record: Pass | Stay | Handle, times: Mapping[str, str], counts: Mapping[str, str]) -> dict[str, Any]:
    instants = {name: getattr(record, field) for name, field in times.items()}
    numbers = {name: getattr(record, field) for name, field in counts.items()}
    return {
        **record.other,
        **{name: format_instant(at) for name, at in instants.items() if at is not None},
        **{name: number for name, number in numbers.items() if number is not None},
    }


def _as_is(value: Any) -> Any:
    return value


def _pass_record(record: Pass) -> dict[str, Any]:
    return _record(record, _PASS_TIMES, _PASS_COUNTS)


def _stay_record(record: Stay) -> dict[str, Any]:
    return _record(record, _STAY_TIMES, _STAY_COUNTS)


def _handle_record(record: Handle) -> dict[str, Any]:
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
