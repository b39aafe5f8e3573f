"""Conversation events: the snapshot checked, and which shared fields the write changed."""

from handlers.event import Event
from handlers.head import Head
from handlers.snapshot import conversation_of, document_of
from handlers.wire import ConversationData
from sync.field import Field
from sync.state import shared_values


def read_conversation_event(head: Head) -> Event:
    """The event of a conversation; a deletion is one by name or by `deleted: true`."""
    data = ConversationData.model_validate(head.data)
    deletion = head.envelope.name.endswith(".delete") or data.attributes.deleted is True
    document = document_of(head.data, org=head.envelope.org, rev=data.attributes.rev, deletion=deletion)
    return head.event(
        "conversation",
        conversation_id=data.id,
        document_id=data.id,
        rev=data.attributes.rev,
        creation=head.is_create,
        deletion=deletion,
        fields=frozenset({"status"}) if deletion else _fields(head),
        values=shared_values(conversation_of(document)),
    )


def _fields(head: Head) -> frozenset[Field]:
    fields: set[Field] = set()
    if head.attribute_change("assignedUsers"):
        fields.add("assignee")
    if head.relationship_changed("queue"):
        fields.add("queue")
    if head.attribute_change("ended"):
        fields.add("ended")
    if head.attribute_change("deleted"):
        fields.add("status")
    status = head.attribute_change("status")
    if status is not None:
        before, after = status
        # One attribute holds two shared fields: being done, and being snoozed.
        if (before == "done") is not (after == "done"):
            fields.add("status")
        if (before == "snoozed") is not (after == "snoozed"):
            fields.add("paused")
    return frozenset(fields)
