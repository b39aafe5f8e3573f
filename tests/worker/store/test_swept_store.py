"""The sweep on both stores: what it finds through the store's own reads, and what its repair leaves there."""

from datetime import datetime, timedelta

import pytest

from commands.instant import format_instant
from commands.session import Session, SessionEntry
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.drift import DriftClass, DriftEnd, SweepLimits, SweptPair
from handlers.options import Options
from handlers.ports import Document, LoadRequest
from tests.handlers.small_ports import START, CountedIds, FixedChance, HandClock
from tests.handlers.wire_events import ORG, Json, conversation, event, link, read, work_item
from tests.worker.store.store_bench import Bench
from worker.store.documents import Collection

WATERMARK = START + timedelta(hours=1)


def _stored(data: Json, at: datetime = START) -> Document:
    data["attributes"]["updatedAt"] = format_instant(at)
    return document_from_snapshot(data, org=ORG, rev=data["attributes"]["rev"])


class SweptStore:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.clock = HandClock()
        self.handler = BatchHandler(
            store=bench.store, clock=self.clock, ids=CountedIds(), chance=FixedChance(), options=Options()
        )

    async def sweep(self, *keys: str) -> list[SweptPair]:
        limits = SweepLimits(watermark=WATERMARK, certain_before=WATERMARK, repair=True)
        requests = [LoadRequest(conversation_id=key, users=frozenset({"u-1"})) for key in keys or ("c-1",)]
        page = await self.handler.sweep_pairs(requests, limits)
        return list(page.pairs)

    async def item(self, key: str = "w-1") -> Document:
        return next(each for each in await self.bench.documents(Collection.WORK_ITEMS) if each["_id"] == key)


@pytest.fixture
def swept(bench: Bench) -> SweptStore:
    return SweptStore(bench)


async def test_a_lost_event_is_repaired_in_one_transaction(bench: Bench, swept: SweptStore) -> None:
    await bench.put(sessions=[Session(id="s-1", user="u-1", capacity=9)])
    await swept.handler.handle([read(event(conversation(1))), read(event(work_item(1, resourceRev=1)))])
    # The event of this write is lost.
    await bench.put(conversations=[_stored(conversation(3, users=("u-1",)))])
    [pair] = await swept.sweep()
    assert (pair.drift.kind, pair.drift.end) == (DriftClass.OUT_OF_STEP, DriftEnd.REPAIRED)
    assert (await swept.item())["relationships"]["assignedTo"]["data"]["id"] == "u-1"
    session = await bench.session("s-1")
    assert session is not None
    assert [entry.id for entry in session.work_items] == ["w-1"]
    [entry] = await bench.documents(Collection.OUTBOX)
    assert entry["conversationId"] == "c-1"
    [state] = await bench.documents(Collection.SYNC_STATES)
    assert (state["conversation"]["observed"], state["workItem"]["observed"]) == ([[1, 3]], [[1, 2]])
    assert await swept.sweep() == []


async def test_sessions_are_put_right_under_the_version_of_the_state(bench: Bench, swept: SweptStore) -> None:
    entries = (SessionEntry(id="w-1", item_size=3), SessionEntry(id="w-7", item_size=1))
    await bench.put(
        conversations=[_stored(conversation(2, users=("u-1",)))],
        work_items=[_stored(work_item(2, status="assigned", user="u-1", session="s-1"))],
        sessions=[
            Session(id="s-1", user="u-1", capacity=9, paused_work_items=entries),
            Session(id="s-2", user="u-1", capacity=9, pending_item="w-1"),
        ],
    )
    [pair] = await swept.sweep()
    assert pair.drift.kind is DriftClass.SESSION_PLACE
    held = [await bench.session(key) for key in ("s-1", "s-2")]
    assert [each and (each.work_items, each.paused_work_items, each.pending_item) for each in held] == [
        ((SessionEntry(id="w-1", item_size=1),), (SessionEntry(id="w-7", item_size=1),), None),
        ((), (), None),
    ]
    [state] = await bench.documents(Collection.SYNC_STATES)
    assert state["version"] == 1
    assert await swept.sweep() == []


async def test_an_offer_that_its_session_has_lost_locks_it_again(bench: Bench, swept: SweptStore) -> None:
    """Only the work-item names the agent: the conversation has no user yet."""
    routed = work_item(2, status="routed", queue="q-1", session="s-1", queuedCount=1)
    routed["relationships"]["routedTo"] = link("user", "u-7")
    await bench.put(
        conversations=[_stored(conversation(2, queue="q-1"))],
        work_items=[_stored(routed)],
        sessions=[Session(id="s-1", user="u-7", capacity=9)],
    )
    [pair] = await swept.sweep()
    assert (pair.drift.kind, pair.drift.end) == (DriftClass.SESSION_PLACE, DriftEnd.REPAIRED)
    session = await bench.session("s-1")
    assert session is not None
    assert session.pending_item == "w-1"
    assert await swept.sweep() == []
