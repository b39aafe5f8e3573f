"""A day in the life: a captured incident of 2021, a call without a queue, and a chat from its first to its last event.

A step is one write from outside: a message, published as its owning service publishes it, or an update over HTTP.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from commands.instant import format_instant
from demo.messages import (
    ORG,
    Data,
    Message,
    captured_writes,
    conversation_data,
    created,
    described,
    malformed,
    unsupported,
    updated,
)
from demo.processes import ApiClient

ANNA, BEN = "agent-anna", "agent-ben"
SALES, SUPPORT = "queue-sales", "queue-support"
CHAT, CALL = "conversation-chat", "conversation-call"
KEPT_PLACE_S = 40
"""How long a customer has waited who keeps the place in the queue."""

ReadData = Callable[[str, str], Data]
"""Reads a stored document as an event's data, by collection and id."""


class QueueEntry(Struct, frozen=True):
    """A work-item enters a queue, at a place that it has had for so many seconds."""

    queue: str
    earlier_s: int = 0


class EventStep(Struct, frozen=True, kw_only=True):
    """One outside write: a sentence about it, and the message that announces it."""

    scene: str
    what: str
    enters: QueueEntry | None = None
    message: Callable[[ReadData], Message]
    dead_letter: bool = False
    """True for a message that the worker must send to the dead-letter queue."""
    stored: Message | None = None
    """A write whose owner has stored it before this step, long ago."""


class UpdateStep(Struct, frozen=True, kw_only=True):
    """One update of a conversation's work-item over HTTP, by a client of the API.

    `leaves`: the queue in which its wait ends.
    """

    scene: str
    what: str
    enters: QueueEntry | None = None
    leaves: str | None = None
    conversation: str
    client: ApiClient
    update: Callable[[], Mapping[str, Any]]


Step = EventStep | UpdateStep


class StoryPair(Struct, frozen=True, kw_only=True):
    """A conversation with its work-item, and the end that they must come to. `about` introduces the scene.

    `work_item` None: the worker creates it.
    """

    scene: str
    about: str
    conversation: str
    expected: Mapping[str, str]
    work_item: str | None = None


PAIRS = (
    StoryPair(
        scene="2021, no queue",
        about=(
            "2021-02-13: an agent is taken off a conversation. Her work-item has no queue;\n"
            "the predecessor's cleaner died of that every five minutes."
        ),
        conversation="60277f53d72347298d9446cb",
        work_item="60277f56264a9600131673d4",
        expected={
            "conversation": "open",
            "assigned users": "–",
            "conversation queue": "5f43ed5c06d0c00019b37463",
            "work-item": "queued",
            "assigned to": "–",
            "work-item queue": "5f43ed5c06d0c00019b37463",
        },
    ),
    StoryPair(
        scene="a call",
        about="A call, with no queue on either side, and one event that comes late.",
        conversation=CALL,
        expected={
            "conversation": "open",
            "assigned users": "–",
            "conversation queue": "–",
            "work-item": "ivr",
            "assigned to": "–",
            "work-item queue": "–",
        },
    ),
    StoryPair(
        scene="a chat's life",
        about=(
            "A chat from its first event to its last. The worker creates its work-item and\n"
            "queues it by a rule; the router and the agents update it over HTTP (PUT)."
        ),
        conversation=CHAT,
        expected={
            "conversation": "done, ended",
            "assigned users": BEN,
            "conversation queue": SUPPORT,
            "work-item": "completed",
            "assigned to": BEN,
            "work-item queue": SUPPORT,
        },
    ),
)

SESSIONS = tuple(
    {"_id": f"session-{user}", "org": ORG, "user": user, "active": True, "capacity": 3}
    | {"workItems": [], "pausedWorkItems": [], "pendingItem": None}
    for user in (ANNA, BEN)
)
QUEUES = (
    {"_id": SALES, "org": ORG, "name": "Sales", "key": "sales", "itemSize": 1, "priority": 2},
    {"_id": SUPPORT, "org": ORG, "name": "Support", "key": "support", "itemSize": 2, "priority": 1},
)
RULES = (
    {"_id": "rule-chats", "org": ORG, "position": 1, "enabled": True, "queue": SALES, "match": "all"}
    | {"criteria": [{"attribute": "channels", "operator": "contains", "value": "chat"}]},
)


def story() -> Iterator[Step]:
    """All steps in their order."""
    yield from _unassign(PAIRS[0].scene)
    yield from _call(PAIRS[1].scene)
    yield from _chat(PAIRS[2].scene)


def _unassign(scene: str) -> Iterator[Step]:
    """The incident in which the predecessor's cleaner failed every five minutes."""
    *work_item_writes, unassignment = captured_writes("incident-2021-02-13-unassign-without-queue")
    yield EventStep(
        scene=scene,
        what=described(unassignment),
        message=_as_it_is(unassignment),
        stored=work_item_writes[-1],
    )


def _as_it_is(message: Message) -> Callable[[ReadData], Message]:
    return lambda _: message


class _PairWriters(Struct, frozen=True, kw_only=True):
    """The services that write one pair."""

    scene: str
    conversation_id: str

    def step(self, what: str, message: Callable[[ReadData], Message], *, dead_letter: bool = False) -> EventStep:
        return EventStep(scene=self.scene, what=what, message=message, dead_letter=dead_letter)

    def new_conversation(self, what: str, **attributes: Any) -> EventStep:
        data = conversation_data(self.conversation_id, attributes)
        return self.step(what, lambda _: created(data, "api"))

    def conversation(self, what: str, **changed: Any) -> EventStep:
        key = ("conversations", self.conversation_id)
        return self.step(what, lambda read: updated(read(*key), "api", changed))

    def put(self, what: str, client: ApiClient, update: Callable[[], Mapping[str, Any]], **waits: Any) -> UpdateStep:
        key = self.conversation_id
        return UpdateStep(scene=self.scene, what=what, conversation=key, client=client, update=update, **waits)

    def in_wrong_order(
        self, later_what: str, later: Mapping[str, Any], earlier_what: str, earlier: Mapping[str, Any]
    ) -> Iterator[EventStep]:
        """Two conversation writes, of which the later one's event is delivered first."""
        first_write: list[Message] = []

        def second_write(read: ReadData) -> Message:
            first_write.append(updated(read("conversations", self.conversation_id), "api", earlier))
            return updated(first_write[0]["body"]["data"], "api", later)

        yield self.step(later_what, second_write)
        yield self.step(earlier_what, lambda _: first_write[0])


def _call(scene: str) -> Iterator[Step]:
    """An unassignment where neither side has a queue."""
    call = _PairWriters(scene=scene, conversation_id=CALL)
    yield call.new_conversation("a customer calls: a conversation", channels=["voice"])
    yield from call.in_wrong_order(
        "Anna notes the number; the event before it is late",
        {"subject": "call"},
        "the late event comes: Anna takes the call",
        {"assignedUsers": [ANNA]},
    )
    yield call.conversation("Anna is un-assigned; no side has a queue", assignedUsers=[])


def _chat(scene: str) -> Iterator[Step]:
    chat = _PairWriters(scene=scene, conversation_id=CHAT)
    yield replace(chat.new_conversation("a customer opens a chat", channels=["chat"]), enters=QueueEntry(SALES))
    yield chat.put(
        "PUT: the router offers it to Anna", ApiClient.ROUTER, lambda: {"routed": {"to": ANNA}}, leaves=SALES
    )
    yield chat.put("PUT: Anna accepts", ApiClient.ROUTER, lambda: {"accepted": {"by": ANNA}})
    yield chat.conversation("Anna snoozes the chat", status="snoozed")
    yield chat.conversation("the customer writes: it is open again", status="open")
    yield chat.put(
        f"PUT: Anna gives it to support, with a place of {KEPT_PLACE_S} s ago",
        ApiClient.WRITE,
        _handed_to_support,
        enters=QueueEntry(SUPPORT, KEPT_PLACE_S),
    )
    yield chat.put("PUT: the router assigns Ben", ApiClient.ROUTER, lambda: {"assignedTo": BEN}, leaves=SUPPORT)
    yield chat.new_conversation("the first event is delivered again", channels=["chat"])
    yield chat.conversation("the customer ends the chat", ended=True)
    yield chat.conversation("the customer comes back: not ended", ended=False)
    yield chat.conversation("the customer ends it for good", ended=True)
    yield chat.put("PUT: Ben completes the work-item", ApiClient.WRITE, lambda: {"status": "completed"})
    yield chat.step("an event of another kind: a message", lambda _: unsupported())
    yield chat.step(
        "an event whose revision is 'seven'", lambda read: malformed(read("conversations", CHAT)), dead_letter=True
    )


def _handed_to_support() -> Mapping[str, Any]:
    """To the queue of support, where the customer keeps an older place; Anna lets go of it."""
    since = datetime.now(UTC) - timedelta(seconds=KEPT_PLACE_S)
    return {"queue": {"id": SUPPORT, "enteredAt": format_instant(since)}, "assignedTo": None}
