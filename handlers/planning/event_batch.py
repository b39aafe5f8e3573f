"""A batch of events with their endings, and the load request of one conversation's events."""

from collections.abc import Iterable, Sequence

from commands.work_item import STATUS_ALIASES, Status
from handlers.documents.relationships import related_id
from handlers.events.event import Event
from handlers.outcome import HandledEvent
from handlers.ports import LoadRequest
from handlers.routing.waiting_times import waits_of_event
from sync.conversation import ConversationStatus


class EventBatch:
    """Events that are handled together, each with its ending once it has one.

    Endings are kept by the identity of the event: two equal events are two messages, each with an ending of its own.
    The batch keeps its events alive, so no `id()` is used a second time.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self.events: tuple[Event, ...] = tuple(events)
        self._endings: dict[int, HandledEvent] = {}

    def end(self, handled: Iterable[HandledEvent]) -> None:
        """Keep the endings of these events."""
        for one in handled:
            self._endings[id(one.event)] = one

    def ending(self, event: object) -> HandledEvent | None:
        """The event's ending; None where it has none, or where the batch does not hold the event."""
        return self._endings.get(id(event))

    @property
    def handled(self) -> list[HandledEvent]:
        """The endings so far, in the order of the events."""
        return [self._endings[id(event)] for event in self.events if id(event) in self._endings]

    @property
    def open(self) -> list[Event]:
        """The events without an ending, in their order."""
        return [event for event in self.events if id(event) not in self._endings]

    def open_by_conversation(self) -> dict[str, list[Event]]:
        """The events without an ending by conversation id."""
        by_conversation: dict[str, list[Event]] = {}
        for event in self.open:
            by_conversation.setdefault(event.conversation_id, []).append(event)
        return by_conversation


def load_request_of(
    conversation_id: str, events: Sequence[Event], *, waiting_times: bool = False, may_create: bool = False
) -> LoadRequest:
    """The work-items that the events are about, and the users and queues whose sessions and sizes they may need.

    `waiting_times`: also the waits that the events show. `may_create`: also what a new work-item needs.

    A conversation's snapshot names the users to whom the work-item may be assigned. A work-item's snapshot in wrap-up
    names the user on whose session it may resume.
    """
    of_conversation = [event for event in events if event.side == "conversation"]
    named = [_users_and_queues(event) for event in of_conversation]
    statuses = [event.data["attributes"].get("status") for event in of_conversation] if may_create else []
    # Policy `legacy` completes the work-item at one event and creates the next one at another of the same batch.
    may_replace = len(events) > 1 and ConversationStatus.DONE in statuses
    is_same = len(named) == len(events) and all(one == named[0] for one in named)
    return LoadRequest(
        conversation_id=conversation_id,
        work_item_ids=frozenset(event.document_id for event in events if event.side == "work-item"),
        users=frozenset[str]().union(*(users for users, _ in named), *map(_resuming_users, events)),
        queues=frozenset[str]().union(*(queues for _, queues in named)),
        same_users_and_queues=is_same and not may_replace,
        waits=tuple(wait for event in events for wait in waits_of_event(event)) if waiting_times else None,
        may_create=may_create,
        opens=ConversationStatus.OPEN in statuses,
    )


def _resuming_users(event: Event) -> frozenset[str]:
    """The assignee that a work-item's snapshot names, if the snapshot is in wrap-up."""
    if event.side != "work-item" or STATUS_ALIASES.get(event.data["attributes"]["status"]) is not Status.WRAP_UP:
        return frozenset()
    user = related_id(event.data, "assignedTo")
    return frozenset() if user is None else frozenset({user})


def _users_and_queues(event: Event) -> tuple[frozenset[str], frozenset[str]]:
    """The users and the queue that a conversation's snapshot names."""
    queue = related_id(event.data, "queue")
    users = event.data["attributes"].get("assignedUsers") or ()
    return frozenset(users), frozenset() if queue is None else frozenset({queue})
