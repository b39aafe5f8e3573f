"""The world of routing's tests: creation is on, and the worker's own announcements come back."""

from typing import Any

from commands.context import RoutingQueue
from commands.work_item import WorkItem
from handlers.documents.document_mapping import work_item_of
from handlers.outcome import HandledEvent
from tests.handlers.wire_events import Json
from tests.handlers.world import World
from worker.store.documents import Collection


def world_that_creates(**options: Any) -> World:
    """A world with two queues: q-1 with a size and a priority, q-2 without."""
    world = World(**{"create_work_items": True, **options})
    world.store.put_queue(RoutingQueue(id="q-1", item_size=3, priority=7))
    world.store.put_queue(RoutingQueue(id="q-2"))
    return world


def created_documents(world: World) -> list[Json]:
    """The work-items that the worker made, in their order."""
    stored = world.store.documents(Collection.WORK_ITEMS)
    return [dict(document) for document in stored if not document["_id"].startswith("w-")]


def created(world: World) -> WorkItem:
    """The only work-item that the worker made."""
    [document] = created_documents(world)
    return work_item_of(document)


def said(end: HandledEvent) -> list[tuple[str, str]]:
    """The reasons of an ending, by action and code."""
    return [(reason.action.value, reason.code.value) for reason in end.audit.reasons]


async def come_back(world: World) -> list[HandledEvent]:
    """Deliver all the worker's announcements so far, the latest first, each twice; the store stays as it is."""
    stored = {name: documents for name, documents in world.stored().items() if name is not Collection.OUTBOX}
    ends: list[HandledEvent] = []
    for message in [*reversed(world.announced()), *world.announced()]:
        ends += await world.take(message)
    assert {name: documents for name, documents in world.stored().items() if name is not Collection.OUTBOX} == stored
    return ends
