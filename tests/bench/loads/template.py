"""Templates: a stored pair and one event, made by the worker's handlers in memory, with placeholders instead of ids."""

import asyncio
from functools import cache
from typing import Any, Final

import orjson
from msgspec import Struct

from commands.context import RoutingQueue
from commands.instant import format_instant
from commands.session import Session, SessionEntry
from handlers.batch_handler import BatchHandler
from handlers.events.event import Event
from handlers.events.parser import read_object
from handlers.options import Options
from handlers.outcome import HandledEvent
from tests.bench.loads import wire
from tests.handlers.small_ports import START, CountedIds, FixedChance, HandClock
from worker.store.documents import Collection, session_document
from worker.store.memory.store import MemoryStore

CONVERSATION: Final = "@C@-the-conversation-@C@"
WORK_ITEM: Final = "@W@-the-work-item-id-@W@"
EVENT: Final = "@E@-the-event-its-id-@E@"
AGENT: Final = "@A@-the-agent-its-id-@A@"
OTHER_AGENT: Final = "@O@-another-agent-id-@O@"

_UPDATE: Final = "kustomer.conversation.update"
_STORED: Final = (Collection.CONVERSATIONS, Collection.WORK_ITEMS, Collection.SYNC_STATES)


class Template(Struct, frozen=True, kw_only=True):
    """The stored documents before the event, and the message body, as JSON. `announces`: whether it ends in a sync."""

    documents: tuple[tuple[Collection, bytes], ...]
    body: bytes
    announces: bool


@cache
def template(name: str) -> Template:
    """The template of a name: `own`, `unshared`, or one of the syncs `assign`, `snooze`, `queue`."""
    return asyncio.run(_made(name))


async def _made(name: str) -> Template:
    world = _TemplateWorld()
    item = wire.work_item(WORK_ITEM, of=CONVERSATION, rev=1, user=AGENT, queue=wire.QUEUE)
    await world.handle(wire.event("event-1", "kustomer.conversation.create", _conversation(1), None))
    await world.handle(wire.event("event-2", "kustomer.work-item.create", item, None))
    documents = tuple(world.documents())
    event = await _own_sync(world, item) if name == "own" else _update(name)
    handled = await world.handle(event)
    message = wire.wrapped(orjson.dumps(event), event["name"]).replace(_AT, wire.NOW.encode())
    return Template(documents=documents, body=message, announces=bool(handled.announcements))


def _update(name: str) -> dict[str, Any]:
    """An update event of the conversation at revision 2."""
    preview, at = "And now the depot says that it was never theirs.", wire.NOW
    changed: dict[str, Any] = {"messageCount": 8, "preview": preview}
    queue, users, linked = wire.QUEUE, [AGENT], {}
    match name:
        case "assign":
            users = changed["assignedUsers"] = [OTHER_AGENT]
        case "snooze":
            changed["status"] = "snoozed"
        case "queue":
            queue = wire.OTHER_QUEUE
            linked = {"queue": {"op": "replace", "before": _link(wire.QUEUE), "after": _link(queue)}}
    before = _conversation(1)["attributes"]
    attributes = {
        each: {"op": "replace", "before": before[each], "after": value}
        for each, value in {**changed, "rev": 2, "updatedAt": at, "modifiedAt": at}.items()
    }
    more = {key: value for key, value in changed.items() if key != "assignedUsers"}
    data = wire.conversation(CONVERSATION, rev=2, users=users, queue=queue, **more)
    return wire.event(EVENT, _UPDATE, data, {"attributes": attributes, "relationships": linked})


async def _own_sync(world: "_TemplateWorld", item: dict[str, Any]) -> dict[str, Any]:
    """The event that the worker publishes after it wrote the conversation because of a work-item's event."""
    moved = wire.work_item(WORK_ITEM, of=CONVERSATION, rev=2, user=AGENT, queue=wire.OTHER_QUEUE)
    changes = {"attributes": {}, "relationships": {"queue": {"op": "replace", "before": None, "after": None}}}
    reason = {"action": "UPDATE_COMMAND", "code": "API", "meta": {"conversationRev": item["attributes"]["rev"]}}
    update = wire.event("event-3", "kustomer.work-item.update", moved, changes, routingReasons=[reason])
    [announcement] = (await world.handle(update)).announcements
    event: dict[str, Any] = orjson.loads(announcement.message)
    event["id"] = event["body"]["id"] = EVENT
    return event


def _conversation(rev: int) -> dict[str, Any]:
    return wire.conversation(CONVERSATION, rev=rev, users=[AGENT], queue=wire.QUEUE)


def _link(queue: str) -> dict[str, Any]:
    return {"data": {"type": "queue", "id": queue}}


_NOW: Final = format_instant(START)
_AT: Final = _NOW.encode()


class _TemplateWorld:
    """A handler on a store in memory that holds both agents' sessions. Its clock stands still at `_NOW`."""

    def __init__(self) -> None:
        self._sessions = [
            Session(
                id=wire.session_of(agent),
                user=agent,
                capacity=10,
                work_items=(SessionEntry(id=WORK_ITEM, item_size=1),) if agent == AGENT else (),
            )
            for agent in (AGENT, OTHER_AGENT)
        ]
        self._store = MemoryStore()
        for session in self._sessions:
            self._store.put_session(session)
        for queue in wire.queues():
            self._store.put_queue(RoutingQueue(id=queue["_id"], key=queue["key"], item_size=1, priority=1))
        self._handler = BatchHandler(
            store=self._store, clock=HandClock(START), ids=CountedIds(), chance=FixedChance(), options=Options()
        )

    async def handle(self, message: dict[str, Any]) -> HandledEvent:
        """Parses and handles one event."""
        read = read_object(orjson.loads(orjson.dumps(message).replace(wire.NOW.encode(), _AT)))
        assert isinstance(read, Event), read
        [handled] = await self._handler.handle([read])
        return handled

    def documents(self) -> list[tuple[Collection, bytes]]:
        """The stored documents, with the placeholder of the time."""
        kept = [(each, document) for each in _STORED for document in self._store.documents(each)]
        kept += [(Collection.WORK_SESSIONS, session_document(session, wire.ORG)) for session in self._sessions]
        return [(each, orjson.dumps(document).replace(_AT, wire.NOW.encode())) for each, document in kept]
