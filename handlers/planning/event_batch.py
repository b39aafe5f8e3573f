"""What a conversation's events make it necessary to load, besides what its stored documents name."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from handlers.documents.document import related
from handlers.events.event import Event
from handlers.ports import LoadRequest


def load_request_of(conversation_id: str, events: Sequence[Event]) -> LoadRequest:
    """The work-items the events are about, and the users and queues that their snapshots bring in."""
    said = [_said(event) for event in events if event.side == "conversation"]
    return LoadRequest(
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


IN_TIME: Final = timedelta()
_KEPT_LONGEST: Final = timedelta(days=14)
"""No queue keeps a message for longer (SQS, `MessageRetentionPeriod`): what is older is a capture, played again."""


def lateness(events: Iterable[Event], now: datetime) -> timedelta:
    """From publication to now, of the latest of them; captures count as in time, and so do those that do not say."""
    ages = (now - event.published_at for event in events if event.published_at is not None)
    return max((age for age in ages if IN_TIME < age <= _KEPT_LONGEST), default=IN_TIME)
