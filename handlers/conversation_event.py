"""Conversation events: the snapshot checked, and which shared fields the write changed."""

from typing import Final

from handlers.event import Event
from handlers.head import Head
from handlers.shape import check_of
from handlers.wire import ConversationData
from sync.field import Field

_check_data: Final = check_of(ConversationData)


def read_conversation_event(head: Head) -> Event:
    """The event of a conversation; a deletion is one by name or by `deleted: true`."""
    wire = head.wire
    data = wire["data"]
    _check_data(data)
    deletion = wire["name"].endswith(".delete") or data["attributes"].get("deleted") is True
    return head.event(
        "conversation",
        conversation_id=data["id"],
        deletion=deletion,
        fields=frozenset({"status"}) if deletion else _fields(head),
    )


def _fields(head: Head) -> frozenset[Field]:
    attributes, relationships = head.changed()
    fields: set[Field] = set()
    if "assignedUsers" in attributes:
        fields.add("assignee")
    if "queue" in relationships:
        fields.add("queue")
    if "ended" in attributes:
        fields.add("ended")
    if "deleted" in attributes:
        fields.add("status")
    if "status" in attributes:
        before, after = attributes["status"].get("before"), attributes["status"].get("after")
        # One attribute holds two shared fields: being done, and being snoozed.
        if (before == "done") is not (after == "done"):
            fields.add("status")
        if (before == "snoozed") is not (after == "snoozed"):
            fields.add("paused")
    return frozenset(fields)
