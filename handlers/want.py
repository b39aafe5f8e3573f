"""What a conversation's events make it necessary to load, besides what its stored documents name."""

from collections.abc import Sequence

from handlers.event import Event
from handlers.ports import Want
from handlers.snapshot import related


def want_of(conversation_id: str, events: Sequence[Event]) -> Want:
    """The work-items the events are about, and the users and queues that their snapshots bring in."""
    users: set[str] = set()
    queues: set[str] = set()
    for event in events:
        if event.side == "conversation":
            users.update(event.data["attributes"].get("assignedUsers") or ())
            queue = related(event.data, "queue")
            if queue is not None:
                queues.add(queue)
    return Want(
        conversation_id=conversation_id,
        work_item_ids=frozenset(event.document_id for event in events if event.side == "work-item"),
        users=frozenset(users),
        queues=frozenset(queues),
    )
