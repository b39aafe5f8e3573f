"""Work-item events: the snapshot checked, which shared fields the write changed, and which conversation it knew."""

from typing import Final

from commands.work_item import STATUS_ALIASES, Status
from handlers.event import Event, Unsupported
from handlers.head import Head
from handlers.shape import check_of
from handlers.wire import WorkItemData
from sync.field import FIELDS, Field

_check_data: Final = check_of(WorkItemData)


def read_work_item_event(head: Head) -> Event | Unsupported:
    """The event of a work-item; one whose resource is no conversation is none of ours."""
    wire = head.wire
    data = wire["data"]
    attributes = data.get("attributes")
    kind = attributes.get("resourceType") if isinstance(attributes, dict) else None
    if isinstance(kind, str) and kind not in ("", "conversation"):
        # Of whatever else it is, nothing need be as a conversation's work-item must be.
        return Unsupported(id=wire["id"], name=wire["name"])
    _check_data(data)
    attributes, resource = data["attributes"], data["relationships"]["resource"]["data"]
    if not attributes.get("resourceType") and resource.get("type") not in (None, "conversation"):
        return Unsupported(id=wire["id"], name=wire["name"])
    return head.event(
        "work-item",
        conversation_id=resource["id"],
        fields=frozenset(FIELDS) if head.is_create else _fields(head),
        knew=_knew(head, attributes.get("resourceRev")),
        work_item_number=attributes.get("workItemNumber") or 0,
    )


def _fields(head: Head) -> frozenset[Field]:
    attributes, relationships = head.changed()
    fields: set[Field] = set()
    if "assignedTo" in relationships:
        fields.add("assignee")
    if "queue" in relationships:
        fields.add("queue")
    if "paused" in attributes:
        fields.add("paused")
    if "status" in attributes:
        before, after = attributes["status"].get("before"), attributes["status"].get("after")
        # From ivr to queued neither completed nor wrap-up changes, so neither shared field does.
        if _is(before, Status.COMPLETED) is not _is(after, Status.COMPLETED):
            fields.add("status")
        if _is(before, Status.WRAP_UP) is not _is(after, Status.WRAP_UP):
            fields.add("ended")
    return frozenset(fields)


def _is(value: object, status: Status) -> bool:
    return isinstance(value, str) and STATUS_ALIASES.get(value) is status


def _knew(head: Head, resource_rev: int | None) -> int | None:
    """The conversation revision the write knew (domain.md, in its order); None where it does not say."""
    for meta in head.metas:
        if meta.conversationRev is not None:
            return meta.conversationRev
    for meta in head.metas:
        if meta.data is not None and meta.data.resource is not None and meta.data.resource.rev is not None:
            return meta.data.resource.rev
    # resourceRev never changes after creation: on any later event it is no watermark.
    return resource_rev if head.is_create else None
