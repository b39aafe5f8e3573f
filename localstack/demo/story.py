"""A day in the life: a captured incident of 2021, a call without a queue, and a chat from its first to its last event.

Every step is one message, published as its owning service publishes it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct

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
    work_item_data,
)

ANNA, BEN = "agent-anna", "agent-ben"
SALES, SUPPORT = "queue-sales", "queue-support"
CHAT, CHAT_ITEM = "conversation-chat", "work-item-chat"
CALL, CALL_ITEM = "conversation-call", "work-item-call"

ReadData = Callable[[str, str], Data]
"""Reads a stored document as an event's data, by collection and id."""


class Step(Struct, frozen=True, kw_only=True):
    """One outside write: a sentence about it, and the message that announces it."""

    scene: str
    what: str
    message: Callable[[ReadData], Message]
    dead_letter: bool = False
    """True for a message that the worker must send to the dead-letter queue."""
    stored: Message | None = None
    """A write whose owner has stored it before this step, long ago."""


class StoryPair(Struct, frozen=True, kw_only=True):
    """A conversation with its work-item, and the end that they must come to. `about` introduces the scene."""

    scene: str
    about: str
    conversation: str
    work_item: str
    expected: Mapping[str, str]


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
        work_item=CALL_ITEM,
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
        about="A chat from its first event to its last, with what goes wrong on the way.",
        conversation=CHAT,
        work_item=CHAT_ITEM,
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
    {"_id": SALES, "key": "sales", "itemSize": 1, "priority": 2},
    {"_id": SUPPORT, "key": "support", "itemSize": 2, "priority": 1},
)


def story() -> Iterator[Step]:
    """All steps in their order."""
    yield from _unassign(PAIRS[0].scene)
    yield from _call(PAIRS[1].scene)
    yield from _chat(PAIRS[2].scene)


def _unassign(scene: str) -> Iterator[Step]:
    """The incident in which the predecessor's cleaner failed every five minutes."""
    *work_item_writes, unassignment = captured_writes("incident-2021-02-13-unassign-without-queue")
    yield Step(
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
    work_item_id: str

    def step(self, what: str, message: Callable[[ReadData], Message], *, dead_letter: bool = False) -> Step:
        return Step(scene=self.scene, what=what, message=message, dead_letter=dead_letter)

    def new_conversation(self, what: str, **attributes: Any) -> Step:
        data = conversation_data(self.conversation_id, attributes)
        return self.step(what, lambda _: created(data, "api"))

    def new_work_item(self, what: str) -> Step:
        data = work_item_data(self.work_item_id, self.conversation_id)
        return self.step(what, lambda _: created(data, "routing-api"))

    def conversation(self, what: str, **changed: Any) -> Step:
        key = ("conversations", self.conversation_id)
        return self.step(what, lambda read: updated(read(*key), "api", changed))

    def work_item(self, what: str, **changed: Any) -> Step:
        key = ("work_items", self.work_item_id)
        return self.step(what, lambda read: updated(read(*key), "routing-api", changed))

    def in_wrong_order(
        self, later_what: str, later: Mapping[str, Any], earlier_what: str, earlier: Mapping[str, Any]
    ) -> Iterator[Step]:
        """Two conversation writes, of which the later one's event is delivered first."""
        first_write: list[Message] = []

        def second_write(read: ReadData) -> Message:
            first_write.append(updated(read("conversations", self.conversation_id), "api", earlier))
            return updated(first_write[0]["body"]["data"], "api", later)

        yield self.step(later_what, second_write)
        yield self.step(earlier_what, lambda _: first_write[0])


def _call(scene: str) -> Iterator[Step]:
    """An unassignment where neither side has a queue."""
    call = _PairWriters(scene=scene, conversation_id=CALL, work_item_id=CALL_ITEM)
    yield call.new_conversation("a customer calls: a conversation", channels=["voice"])
    yield call.new_work_item("its work-item is made, ivr")
    yield from call.in_wrong_order(
        "Anna notes the number; the event before it is late",
        {"subject": "call"},
        "the late event comes: Anna takes the call",
        {"assignedUsers": [ANNA]},
    )
    yield call.conversation("Anna is un-assigned; no side has a queue", assignedUsers=[])


def _chat(scene: str) -> Iterator[Step]:
    chat = _PairWriters(scene=scene, conversation_id=CHAT, work_item_id=CHAT_ITEM)
    yield chat.new_conversation("a customer opens a chat", channels=["chat"])
    yield chat.new_work_item("its work-item is made, ivr")
    yield chat.work_item("queue rules put it into queue sales", status="queued", queue=SALES)
    yield chat.conversation("a workflow assigns Anna", assignedUsers=[ANNA])
    yield chat.conversation("Anna snoozes the chat", status="snoozed")
    yield chat.conversation("the customer writes: the chat is open", status="open")
    yield chat.conversation("Anna moves it to queue support", queue=SUPPORT)
    yield chat.conversation("Anna gives it back: un-assigned", assignedUsers=[])
    yield chat.work_item("the router assigns Ben", status="assigned", assignedTo=BEN, workSession=f"session-{BEN}")
    yield chat.new_conversation("the first event is delivered again", channels=["chat"])
    yield chat.conversation("the customer ends the chat", ended=True)
    yield chat.conversation("the customer comes back: not ended", ended=False)
    yield chat.conversation("the customer ends it for good", ended=True)
    yield chat.work_item("Ben completes the work-item", status="completed", workSession=None)
    yield chat.step("an event of another kind: a message", lambda _: unsupported())
    yield chat.step(
        "an event whose revision is 'seven'", lambda read: malformed(read("conversations", CHAT)), dead_letter=True
    )
