"""What a conversation's events make it necessary to load, besides what its stored documents name."""

from collections.abc import Sequence

from handlers.event import Event
from handlers.ports import Want
from handlers.snapshot import related


def want_of(conversation_id: str, events: Sequence[Event]) -> Want:
    """The work-items the events are about, and the users and queues that their snapshots bring in."""
    said = [_said(event) for event in events if event.side == "conversation"]
    return Want(
        conversation_id=conversation_id,
        work_item_ids=frozenset(event.document_id for event in events if event.side == "work-item"),
        users=frozenset[str]().union(*(users for users, _ in said)),
        queues=frozenset[str]().union(*(queues for _, queues in said)),
        unanimous=len(said) == len(events) and all(one == said[0] for one in said),
    )


def _said(event: Event) -> tuple[frozenset[str], frozenset[str]]:
    """The users and the queue that a conversation's snapshot tells of."""
    queue = related(event.data, "queue")
    users = event.data["attributes"].get("assignedUsers") or ()
    return frozenset(users), frozenset() if queue is None else frozenset({queue})
