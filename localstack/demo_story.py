"""What happens outside in the demo: the outside writes of both captured incidents, and a chat's life made up for it.

Every step is one message, published as its producer would. The predecessor's syncs are left out of the incidents: what
it did is what we are compared with, not what we are fed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

from commands.instant import format_instant
from handlers.documents.document import changes_between, relationship
from server_process import ROOT

CAPTURED = ROOT / "tests" / "fixtures" / "captured"
ORG = "5c093c1abd6d1c00124a36b2"
ANNA, BEN = "agent-anna", "agent-ben"
SALES, SUPPORT = "queue-sales", "queue-support"
CHAT, CHAT_ITEM = "conversation-chat", "work-item-chat"
CALL, CALL_ITEM = "conversation-call", "work-item-call"

Message = dict[str, Any]
Data = Mapping[str, Any]
Read = Callable[[str, str], Data]
"""Reads a document's data as it stands in the store: collection and id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One outside write: what a person would say of it, and the message that announces it."""

    scene: str
    what: str
    side: str
    message: Callable[[Read], Message]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A pair to look at in the end, and what must stand there."""

    scene: str
    conversation: str
    work_item: str
    expected: Mapping[str, Any]


PAIRS = (
    Pair(
        scene="2022-03-02 lost assignment",
        conversation="621fc1d36a39b4aa389cb72b",
        work_item="621fc1d5cb4ca800935aa935",
        expected={
            "conversation": "open",
            "assigned users": "61a6a83fdf1e2d21501a77c1",
            "conversation queue": "5dea5f45c6a646001a621475",
            "work-item": "assigned",
            "assigned to": "61a6a83fdf1e2d21501a77c1",
            "work-item queue": "5dea5f45c6a646001a621475",
        },
    ),
    Pair(
        scene="2021-02-13 unassign",
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
    Pair(
        scene="no queue anywhere",
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
    Pair(
        scene="a chat's life",
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
    yield from _incident(PAIRS[0].scene, "incident-2022-03-02-lost-assignment")
    yield from _incident(PAIRS[1].scene, "incident-2021-02-13-unassign-without-queue")
    yield from _call(PAIRS[2].scene)
    yield from _chat(PAIRS[3].scene)


def _incident(scene: str, folder: str) -> Iterator[Step]:
    for line in (CAPTURED / folder / "events.ndjson").read_text().splitlines():
        captured: Message = json.loads(line)
        event = captured["body"]["body"]
        if event.get("isSync") is True:
            continue
        side = "conversation" if event["data"]["type"] == "conversation" else "work-item"
        rev = event["data"]["attributes"]["rev"]
        what = f"{side} rev {rev} by {event.get('client') or 'its creator'}: {_told(event)}"
        yield Step(scene=scene, what=what, side=side, message=_as_captured(captured))


def _as_captured(captured: Message) -> Callable[[Read], Message]:
    message = {**captured["body"], "dd": captured["dd"]}
    return lambda _: message


def _told(event: Mapping[str, Any]) -> str:
    changes = event.get("changes")
    if changes is None:
        return f"created {event['data']['attributes']['status']}"
    told = []
    for level in ("attributes", "relationships"):
        for name, change in (changes.get(level) or {}).items():
            if name in ("status", "assignedUsers", "queue", "assignedTo"):
                told.append(f"{name} {short(change.get('before'))} → {short(change.get('after'))}")
    return ", ".join(told)


def short(value: object) -> str:
    """A value as a person would say it: of a long id the last four characters, `–` for none."""
    if isinstance(value, Mapping):
        value = value["data"]["id"]
    if isinstance(value, list):
        value = " ".join(value)
    return "–" if not value else f"…{value[-4:]}" if isinstance(value, str) and len(value) == 24 else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writers:
    """The outside writers of one pair."""

    scene: str
    conversation_id: str
    work_item_id: str

    def step(self, what: str, side: str, message: Callable[[Read], Message]) -> Step:
        return Step(scene=self.scene, what=what, side=side, message=message)

    def opened(self, what: str, **attributes: Any) -> Step:
        data = _conversation_data(self.conversation_id, attributes)
        return self.step(what, "conversation", lambda _: _created(data, "api"))

    def made(self, what: str) -> Step:
        data = _item_data(self.work_item_id, self.conversation_id)
        return self.step(what, "work-item", lambda _: _created(data, "routing-api"))

    def conversation(self, what: str, **changed: Any) -> Step:
        key = ("conversations", self.conversation_id)
        return self.step(what, "conversation", lambda read: _written(read(*key), "api", changed))

    def work_item(self, what: str, **changed: Any) -> Step:
        key = ("work_items", self.work_item_id)
        return self.step(what, "work-item", lambda read: _written(read(*key), "routing-api", changed))

    def overtaking(self, late: str, later: Mapping[str, Any], early: str, earlier: Mapping[str, Any]) -> Iterator[Step]:
        """Two writes whose events come in the wrong order."""
        kept: list[Message] = []

        def overtakes(read: Read) -> Message:
            kept.append(_written(read("conversations", self.conversation_id), "api", earlier))
            return _written(kept[0]["body"]["data"], "api", later)

        yield self.step(late, "conversation", overtakes)
        yield self.step(early, "conversation", lambda _: kept[0])


def _call(scene: str) -> Iterator[Step]:
    """What the predecessor's cleaner died of every five minutes: assigned, then not, and no queue on either side."""
    call = _Writers(scene=scene, conversation_id=CALL, work_item_id=CALL_ITEM)
    yield call.opened("a customer calls: a conversation, nobody's yet", channels=["voice"])
    yield call.made("a work-item is made of it, ivr")
    yield from call.overtaking(
        "Anna notes the number; the event before, in which she took the call, is not here yet",
        {"subject": "call"},
        "and here it is: Anna takes the call",
        {"assignedUsers": [ANNA]},
    )
    yield call.conversation("Anna is taken off it, and there is no queue anywhere", assignedUsers=[])


def _chat(scene: str) -> Iterator[Step]:
    chat = _Writers(scene=scene, conversation_id=CHAT, work_item_id=CHAT_ITEM)
    yield chat.opened("a customer opens a chat", channels=["chat"])
    yield chat.made("a work-item is made of it, ivr")
    yield chat.work_item("queue rules put the work-item into queue sales", status="queued", queue=SALES)
    yield chat.conversation("a workflow assigns Anna", assignedUsers=[ANNA])
    yield chat.conversation("Anna snoozes the chat", status="snoozed")
    yield chat.conversation("the customer writes: the chat is open again", status="open")
    yield chat.conversation("Anna moves it to queue support", queue=SUPPORT)
    yield chat.conversation("Anna gives it back: nobody is assigned", assignedUsers=[])
    yield chat.work_item("the router assigns Ben", status="assigned", assignedTo=BEN, workSession=f"session-{BEN}")
    yield chat.opened("the very first event is delivered again", channels=["chat"])
    yield chat.conversation("the customer ends the chat", ended=True)
    yield chat.conversation("and comes back: the chat is not ended any more", ended=False)
    yield chat.conversation("the customer ends it for good", ended=True)
    yield chat.work_item("Ben completes the work-item", status="completed", workSession=None)
    yield chat.step("an event that is none of ours", "conversation", lambda _: _foreign())
    yield chat.step(
        "an event whose revision is 'seven'", "conversation", lambda read: _broken(read("conversations", CHAT))
    )


_numbers = count(1)


def _now() -> datetime:
    return datetime.now(UTC)


def _published(event: Message) -> Message:
    now = format_instant(_now())
    number = next(_numbers)
    return {
        "id": f"message-{number}",
        "name": event["name"],
        "partition": ORG,
        "body": {"id": f"event-{number}", "org": ORG, "partition": ORG, "createdAt": now, **event},
        "publishedAt": now,
        "version": 3,
        "dd": {"trace_id": str(7_000_000 + number), "span_id": str(number)},
    }


def _created(data: Data, client: str) -> Message:
    name = "kustomer.conversation.create" if data["type"] == "conversation" else "kustomer.work-item.create"
    return _published({"name": name, "data": data, "changes": None, "client": client, "isSync": False})


def _written(before: Data, client: str, changed: Mapping[str, Any]) -> Message:
    """What a writer outside would publish that has just changed the document as it stands in the store."""
    attributes, relationships = dict(before["attributes"]), dict(before["relationships"])
    for name, value in changed.items():
        if name not in ("queue", "assignedTo", "workSession"):
            attributes[name] = value
        elif value is None:
            relationships.pop(name, None)
        else:
            relationships[name] = relationship(name, value)
    attributes |= {"rev": attributes["rev"] + 1, "updatedAt": format_instant(_now())}
    after = {**before, "attributes": attributes, "relationships": relationships}
    kind = "conversation" if before["type"] == "conversation" else "work-item"
    changes = changes_between(before, after)
    event = {"name": f"kustomer.{kind}.update", "data": after, "changes": changes, "client": client, "isSync": False}
    return _published(event)


def _conversation_data(key: str, attributes: Mapping[str, Any]) -> Data:
    usual = {"status": "open", "assignedUsers": [], "ended": False, "rev": 1, "updatedAt": format_instant(_now())}
    return {"id": key, "type": "conversation", "attributes": {**usual, **attributes}, "relationships": {}}


def _item_data(key: str, conversation: str) -> Data:
    attributes = {"resourceType": "conversation", "status": "ivr", "paused": False, "rev": 1}
    attributes |= {"itemSize": 1, "priority": 1, "queuedCount": 0, "workItemNumber": 1, "resourceRev": 1}
    attributes["resourceCreatedAt"] = attributes["updatedAt"] = format_instant(_now())
    resource = {"data": {"type": "conversation", "id": conversation}}
    return {"id": key, "type": "work_item", "attributes": attributes, "relationships": {"resource": resource}}


def _foreign() -> Message:
    data = {"id": "message-of-the-chat", "type": "message", "attributes": {}}
    return _published({"name": "kustomer.message.create", "data": data, "client": "api"})


def _broken(before: Data) -> Message:
    data = {**before, "attributes": {**before["attributes"], "rev": "seven"}}
    return _published({"name": "kustomer.conversation.update", "data": data, "client": "api", "isSync": False})
