"""Documents in the flat form of interfaces.md, for what a replay prints of them: what the worker models and no more."""

from typing import Any, Final

from handlers import flat
from handlers.ports import Document
from handlers.snapshot import conversation_of
from handlers.wire import WorkItemAttributes

_ATTRIBUTES: Final = frozenset(WorkItemAttributes.model_fields)
_RELATED: Final = frozenset({"id", "assignedTo", "acceptedBy", "routedTo", "session", "team", "queue", "resource"})


def flat_conversation(document: Document) -> dict[str, Any]:
    """C."""
    conversation = conversation_of(document)
    return {
        "id": conversation.id,
        "rev": conversation.rev,
        "status": conversation.status.value,
        "assignedUsers": list(conversation.assigned_users),
        "queue": None if conversation.queue is None else {"id": conversation.queue},
        "ended": conversation.ended,
        "deleted": conversation.deleted,
    }


def flat_work_item(document: Document) -> dict[str, Any]:
    """W, with its conversation as `resource`."""
    whole = flat.flat_work_item(document, {"resource": {"id": document["conversationId"]}})
    # Whatever else a snapshot carried may be a customer's content.
    kept = {name: value for name, value in whole.items() if name in _ATTRIBUTES or name in _RELATED}
    first = ("id", "rev", "status", "assignedTo", "queue", "paused")
    return {name: kept[name] for name in first} | kept
