"""An update by the API beside a sync, on both stores: each write has one revision, and no write is lost."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import count

import orjson
import pytest

from commands.engines.rollout import UpdateOrigin
from commands.reason import Refusal, RefusalCode
from commands.update import parse_update
from commands.work_item import Status
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.options import Options
from handlers.planning.planners.update import RefusedUpdate, UpdatedWorkItem, UpdateRequest, UpdateResult
from handlers.ports import CommitResult, LoadRequest, Pair, Plan, PlanRejected, Store, WorkItems
from handlers.work_item_update import WorkItemUpdate
from sync.audit import AuditOutcome
from tests.handlers.small_ports import FixedChance
from tests.handlers.wire_events import ORG, Json, changes, conversation, event, read, work_item
from tests.worker.store.plans import session
from tests.worker.store.store_bench import DEADLINE_S, Bench, MongoBench
from worker.mongo.adapters.work_items import MongoWorkItems
from worker.runtime.clock import ObjectIds, SystemClock
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore
from worker.store.memory.work_items import MemoryWorkItems


class MeetingStore:
    """A store on which the first loads of two callers wait for each other: both then decide on the same pair."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.loads = count(1)
        self.meeting = asyncio.Barrier(2)
        self.conflicts = 0

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        pairs = await self.inner.load(requests)
        if next(self.loads) <= 2:
            await self.meeting.wait()
        return pairs

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        results = await self.inner.commit(plans)
        self.conflicts += list(results).count(CommitResult.CONFLICT)
        return results


def work_items_of(bench: Bench) -> WorkItems:
    if isinstance(bench, MongoBench):
        return MongoWorkItems(bench.client, bench.database.name, deadline_s=DEADLINE_S)
    assert isinstance(bench.store, MemoryStore)
    return MemoryWorkItems(bench.store)


class Two:
    """The worker and the API on one store; each loads before the other commits."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.store = MeetingStore(bench.store)
        ports = {"store": self.store, "clock": SystemClock(), "ids": ObjectIds(), "chance": FixedChance(0.9)}
        self.handler = BatchHandler(**ports, options=Options())  # type: ignore[arg-type]
        self.api = WorkItemUpdate(**ports, work_items=work_items_of(bench), options=Options())  # type: ignore[arg-type]

    async def put(self, *snapshots: Json) -> None:
        documents = [document_from_snapshot(each, org=ORG, rev=each["attributes"]["rev"]) for each in snapshots]
        await self.bench.put(
            conversations=[each for each in documents if each["type"] == "conversation"],
            work_items=[each for each in documents if each["type"] != "conversation"],
            sessions=[session("s-1", "u-1"), session("s-2", "u-2")],
        )

    async def update(self, raw: Json, *, key: str = "w-1", origin: UpdateOrigin = UpdateOrigin.API) -> UpdateResult:
        update = parse_update(raw)
        assert not isinstance(update, Refusal)
        return await self.api.handle(UpdateRequest(work_item_id=key, update=update, origin=origin))

    async def announced(self) -> list[Json]:
        """The announced events of the work-item, by revision."""
        entries = await self.bench.documents(Collection.OUTBOX)
        bodies = [orjson.loads(entry["message"])["body"] for entry in entries if entry["side"] == "work-item"]
        return sorted(bodies, key=_rev)


def _rev(body: Json) -> int:
    rev: int = body["data"]["attributes"]["rev"]
    return rev


def snoozed() -> Json:
    """The event of a conversation that was snoozed: its sync pauses the work-item."""
    return event(conversation(2, queue="q-1", status="snoozed"), changes=changes({"status": ("open", "snoozed")}))


@pytest.fixture
async def two(bench: Bench) -> Two:
    """A pair that was observed from the beginning; its conversation was just snoozed."""
    two = Two(bench)
    queued = work_item(1, queue="q-1", status="queued", queuedCount=1)
    await two.put(conversation(1, queue="q-1"), queued)
    worker = BatchHandler(
        store=bench.store, clock=SystemClock(), ids=ObjectIds(), chance=FixedChance(), options=Options()
    )
    await worker.handle([read(event(conversation(1, queue="q-1"))), read(event(queued, resourceRev=1))])
    await two.put(conversation(2, queue="q-1", status="snoozed"))
    return two


async def test_an_update_and_a_sync_of_one_work_item_are_both_written_once(two: Two) -> None:
    [[end], result] = await asyncio.gather(two.handler.handle([read(snoozed())]), two.update({"assignedTo": "u-1"}))
    assert two.store.conflicts == 1
    assert end.audit.outcome is AuditOutcome.APPLIED
    assert isinstance(result, UpdatedWorkItem)
    [document] = await two.bench.documents(Collection.WORK_ITEMS)
    item = work_item_of(document)
    assert (item.rev, item.paused, item.assigned_to, item.status) == (3, True, "u-1", Status.ASSIGNED)
    bodies = await two.announced()
    assert [_rev(body) for body in bodies] == [2, 3]
    assert sorted(body["isSync"] for body in bodies) == [False, True]
    held = await two.bench.session("s-1")
    assert held is not None
    assert [entry.id for entry in held.paused_work_items] == ["w-1"]
    # The conversation is synced by then, or by the update's own event.
    for body in bodies:
        await two.handler.handle([read(body)])
    [stored] = await two.bench.documents(Collection.CONVERSATIONS)
    assert conversation_of(stored).assigned_users == ("u-1",)


async def test_an_update_that_named_the_revision_is_written_or_refused_and_the_sync_is_written(two: Two) -> None:
    update = two.update({"assignedTo": "u-1", "rev": 1})
    [[end], result] = await asyncio.gather(two.handler.handle([read(snoozed())]), update)
    [document] = await two.bench.documents(Collection.WORK_ITEMS)
    item = work_item_of(document)
    assert (end.audit.outcome, item.paused) == (AuditOutcome.APPLIED, True)
    match result:
        case UpdatedWorkItem():
            assert (item.rev, item.assigned_to) == (3, "u-1")
        case RefusedUpdate(refusal=refusal):
            assert refusal.code is RefusalCode.REVISION_CONFLICT
            assert (item.rev, item.assigned_to) == (2, None)
        case _:
            raise AssertionError(result)
    assert len(await two.announced()) == item.rev - 1


async def test_two_updates_of_one_revision_are_one_write_and_one_refusal(two: Two) -> None:
    results = await asyncio.gather(
        two.update({"assignedTo": "u-1", "rev": 1}), two.update({"assignedTo": "u-2", "rev": 1})
    )
    refused = [result for result in results if isinstance(result, RefusedUpdate)]
    assert [result.refusal.code for result in refused] == [RefusalCode.REVISION_CONFLICT]
    [document] = await two.bench.documents(Collection.WORK_ITEMS)
    assert document["rev"] == 2
    assert len(await two.announced()) == 1


async def test_of_two_offers_to_one_agent_at_once_one_is_refused_and_the_other_is_pending(two: Two) -> None:
    """Each was decided on a session without a pending item."""
    await two.put(
        conversation(1, key="c-2", queue="q-1"),
        work_item(1, key="w-2", of="c-2", queue="q-1", status="queued", queuedCount=1),
    )
    offer = {"routed": {"to": "u-1"}}
    results = await asyncio.gather(*(two.update(offer, key=key, origin=UpdateOrigin.ROUTER) for key in ("w-1", "w-2")))
    refused = [result for result in results if isinstance(result, RefusedUpdate)]
    assert [result.refusal.code for result in refused] == [RefusalCode.SESSION_LOCKED]
    documents = await two.bench.documents(Collection.WORK_ITEMS)
    routed = [document["_id"] for document in documents if document["attributes"]["status"] == "routed"]
    held = await two.bench.session("s-1")
    assert held is not None
    assert [held.pending_item] == routed


async def test_an_offer_moves_from_agent_to_agent_and_back(two: Two) -> None:
    offer = {"routed": {"to": "u-1"}}
    two.store.loads = count(3)
    assert isinstance(await two.update(offer, origin=UpdateOrigin.ROUTER), UpdatedWorkItem)
    assert isinstance(await two.update({"routed": {"to": "u-2"}}, origin=UpdateOrigin.ROUTER), UpdatedWorkItem)
    assert isinstance(await two.update(offer, origin=UpdateOrigin.ROUTER), UpdatedWorkItem)
    held = [await two.bench.session(key) for key in ("s-1", "s-2")]
    assert [each and each.pending_item for each in held] == ["w-1", None]
