"""Creating work-items on both stores: what is loaded for it, and the races for the one active work-item."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

import orjson
import pytest

from commands.context import RoutingQueue
from commands.session import Session
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.options import Options
from handlers.outcome import Done, HandledEvent
from handlers.ports import CommitResult, LoadRequest, Pair, Plan, PlanRejected, Store
from tests.handlers.small_ports import FixedChance, HandClock
from tests.handlers.wire_events import ORG, Json, changes, conversation, event, read, work_item
from tests.worker.store.store_bench import Bench, MongoBench
from worker.runtime.clock import ObjectIds
from worker.store.documents import Collection

LONG_AGO: Final = "2022-01-01T00:00:00.000Z"


def handler_on(store: Store, **options: Any) -> BatchHandler:
    return BatchHandler(
        store=store,
        clock=HandClock(),
        ids=ObjectIds(),
        chance=FixedChance(),
        options=Options(**{"create_work_items": True, "state_from_events": False, **options}),
    )


def stored(data: Json) -> Json:
    return document_from_snapshot(data, org=ORG, rev=data["attributes"]["rev"])


async def work_items(bench: Bench) -> list[Json]:
    return await bench.documents(Collection.WORK_ITEMS)


class TestLoading:
    REQUEST: Final = LoadRequest(conversation_id="c-1", may_create=True)

    async def test_the_latest_work_item_of_an_open_conversation(self, bench: Bench) -> None:
        old = [stored(work_item(3, key=f"w-{number}", number=number, status="completed")) for number in (2, 11, 7)]
        await bench.put(conversations=[stored(conversation(7))], work_items=old)
        pair = (await bench.store.load([self.REQUEST]))["c-1"]
        assert pair.latest_work_item == "w-11"
        assert [item["_id"] for item in pair.work_items] == ["w-11"]

    @pytest.mark.parametrize(
        "more",
        [
            {"conversations": [stored(conversation(7, status="done"))]},
            {"work_items": [stored(work_item(1, key="w-9", number=9))]},
            {"conversations": []},
        ],
        ids=["done", "active", "none"],
    )
    async def test_but_of_no_other(self, bench: Bench, more: Mapping[str, Any]) -> None:
        old = stored(work_item(3, status="completed"))
        await bench.put(**{"conversations": [stored(conversation(7))], "work_items": [old], **more})
        if "work_items" in more:
            await bench.put(work_items=[old])
        pair = (await bench.store.load([self.REQUEST]))["c-1"]
        assert pair.latest_work_item is None
        assert "w-1" not in [item["_id"] for item in pair.work_items]

    async def test_nor_where_it_is_not_asked_for(self, bench: Bench) -> None:
        await bench.put(conversations=[stored(conversation(7))], work_items=[stored(work_item(3, status="completed"))])
        assert (await bench.store.load([LoadRequest(conversation_id="c-1")]))["c-1"].latest_work_item is None

    async def test_the_sessions_and_queues_that_a_new_one_needs(self, bench: Bench) -> None:
        """Although the event and the conversation name the same, as for a pair in step."""
        await bench.put(
            conversations=[stored(conversation(7, users=("u-1",), queue="q-1"))],
            queues=[RoutingQueue(id="q-1", item_size=2)],
            sessions=[Session(id="s-1", user="u-1", capacity=3)],
        )
        request = LoadRequest(
            conversation_id="c-1",
            users=frozenset({"u-1"}),
            queues=frozenset({"q-1"}),
            same_users_and_queues=True,
            may_create=True,
        )
        context = (await bench.store.load([request]))["c-1"].context
        assert (sorted(context.queues), sorted(context.sessions)) == (["q-1"], ["s-1"])


class TestCreating:
    async def test_it_is_stored_with_its_place_and_its_event(self, bench: Bench) -> None:
        await bench.put(
            conversations=[stored(conversation(7, users=("u-1",), queue="q-1"))],
            work_items=[stored(work_item(3, number=4, status="completed", updatedAt=LONG_AGO))],
            queues=[RoutingQueue(id="q-1", item_size=2, priority=9)],
            sessions=[Session(id="s-1", user="u-1", capacity=3)],
        )
        [end] = await handler_on(bench.store).handle([read(event(conversation(7, users=("u-1",), queue="q-1")))])
        assert end.outcome == Done(reason="APPLIED")
        [made] = [item for item in await work_items(bench) if item["active"]]
        assert (made["workItemNumber"], made["attributes"]["itemSize"], made["attributes"]["priority"]) == (5, 2, 9)
        session = await bench.session("s-1")
        assert session is not None
        assert [(entry.id, entry.item_size) for entry in session.work_items] == [(made["_id"], 2)]
        [entry] = await bench.documents(Collection.OUTBOX)
        assert read(orjson.loads(entry["message"])).document_id == made["_id"]
        assert len(await bench.documents(Collection.WORK_ITEM_REVISIONS)) == 1

    async def test_the_un_assignment_is_in_the_same_transaction(self, bench: Bench) -> None:
        await bench.put(conversations=[stored(conversation(7, users=("u-9",)))])
        reopened = event(conversation(7, users=("u-9",)), changes=changes({"status": ("done", "open"), "rev": (6, 7)}))
        recorded = CountingStore(bench.store)
        await handler_on(recorded, unassign_on_unavailable=True).handle([read(reopened)])
        [made] = await work_items(bench)
        [after] = await bench.documents(Collection.CONVERSATIONS)
        assert (after["attributes"]["assignedUsers"], after["rev"]) == ([], 8)
        assert (made["attributes"]["status"], made["attributes"]["resourceRev"]) == ("ivr", 8)
        assert recorded.commits == 1


class CountingStore:
    """A store that counts commits, and where something happens before the first one."""

    def __init__(self, inner: Store, first: Callable[[], Coroutine[Any, Any, object]] | None = None) -> None:
        self.inner = inner
        self.first = first
        self.commits = 0

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        return await self.inner.load(requests)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        self.commits += 1
        if self.first is not None and self.commits == 1:
            await self.first()
        return await self.inner.commit(plans)


class TestRaces:
    async def test_two_workers_make_one(self, bench: Bench) -> None:
        """Each has loaded the conversation without a work-item when the other commits."""
        await bench.put(conversations=[stored(conversation(2))])
        both = asyncio.Barrier(2)

        async def meet() -> None:
            await both.wait()

        workers = [handler_on(CountingStore(bench.store, meet)) for _ in range(2)]
        events = [read(event(conversation(2))), read(event(conversation(2), at=1))]
        ends = await asyncio.gather(*(worker.handle([one]) for worker, one in zip(workers, events, strict=True)))
        codes = sorted(end.outcome.reason for [end] in ends)
        assert codes == ["APPLIED", "IN_SYNC"]
        assert len(await work_items(bench)) == 1
        assert len(await bench.documents(Collection.OUTBOX)) == 1

    async def test_the_owners_service_makes_one_at_the_same_moment(self, bench: Bench) -> None:
        await bench.put(conversations=[stored(conversation(2))])
        theirs = work_item(1, key="w-theirs", resourceRev=2)

        async def create() -> None:
            await bench.put(work_items=[stored(theirs)])

        worker = handler_on(CountingStore(bench.store, create))
        [end] = await worker.handle([read(event(conversation(2)))])
        assert end.outcome == Done(reason="IN_SYNC")
        assert [item["_id"] for item in await work_items(bench)] == ["w-theirs"]
        assert await bench.documents(Collection.OUTBOX) == []
        [end] = await worker.handle([read(event(theirs))])
        assert end.outcome == Done(reason="IN_SYNC")

    async def test_the_owners_service_closes_the_conversation_at_the_same_moment(self, bench: Bench) -> None:
        """The conversation was only read: the event of its closing completes the work-item."""
        await bench.put(conversations=[stored(conversation(2))])
        closed = conversation(3, status="done")

        async def close() -> None:
            await bench.put(conversations=[stored(closed)])

        worker = handler_on(CountingStore(bench.store, close))
        await worker.handle([read(event(conversation(2)))])
        [made] = await work_items(bench)
        assert made["active"] is True
        done = changes({"status": ("open", "done"), "rev": (2, 3)})
        await worker.handle([read(event(closed, changes=done))])
        assert [item["active"] for item in await work_items(bench)] == [False]

    async def test_the_owners_service_writes_it_while_it_is_un_assigned(self, bench: Bench) -> None:
        """The second update in quick succession: nothing of either is lost."""
        first = conversation(7, users=("u-9",))
        reopened = event(first, changes=changes({"status": ("done", "open"), "rev": (6, 7)}))
        second = conversation(8, users=("u-9",), preview="hello")
        await bench.put(conversations=[stored(first)])

        async def write() -> None:
            await bench.put(conversations=[stored(second)])

        worker = handler_on(CountingStore(bench.store, write), unassign_on_unavailable=True)
        await worker.handle([read(reopened)])
        await worker.handle([read(event(second, at=1))])
        [after] = await bench.documents(Collection.CONVERSATIONS)
        assert (after["rev"], after["attributes"]["assignedUsers"], after["attributes"]["preview"]) == (9, [], "hello")
        [made] = await work_items(bench)
        assert made["attributes"]["resourceRev"] == 9

    async def test_many_workers_and_conversations_make_one_each(self, bench: Bench) -> None:
        keys = [f"c-{number}" for number in range(8)]
        await bench.put(conversations=[stored(conversation(2, key=key)) for key in keys])
        workers = [handler_on(bench.store) for _ in range(4)]

        async def work(worker: BatchHandler, seconds: int) -> list[HandledEvent]:
            return await worker.handle([read(event(conversation(2, key=key), at=seconds)) for key in keys])

        ends = await asyncio.gather(*(work(worker, seconds) for seconds, worker in enumerate(workers)))
        assert all(isinstance(end.outcome, Done) for batch in ends for end in batch)
        assert sorted(item["conversationId"] for item in await work_items(bench)) == keys
        assert len(await bench.documents(Collection.OUTBOX)) == len(keys)


async def test_mongodb_reads_one_work_item_of_each_conversation(new_mongo: MongoBench) -> None:
    """By an index scan that skips from one conversation to the next."""
    await new_mongo.store.ensure_indexes(revision_days=0, create_work_items=True)
    keys = [f"c-{number}" for number in range(3)]
    items = [
        stored(work_item(3, key=f"w-{key}-{number}", of=key, number=number, status="completed"))
        for key in keys
        for number in range(1, 31)
    ]
    await new_mongo.put(work_items=items, conversations=[stored(conversation(2, key=key)) for key in keys])
    profile = new_mongo.database.client[new_mongo.database.name]
    await profile.command("profile", 2)
    try:
        await new_mongo.store.load([LoadRequest(conversation_id=key, may_create=True) for key in keys])
    finally:
        await profile.command("profile", 0)
    entry = await profile["system.profile"].find_one({"command.aggregate": "work_items"})
    assert entry is not None
    assert (entry["docsExamined"], entry["nreturned"]) == (3, 3)
    assert entry["keysExamined"] <= 6
    assert "DISTINCT_SCAN" in entry["planSummary"]


@pytest.mark.parametrize("named", [["c-1"], ["c-1", "c-2"]])
async def test_a_completed_work_item_of_a_list_of_conversations_is_no_conversations(
    mongo: MongoBench, named: list[str]
) -> None:
    """MongoDB finds it for each of them."""
    of_list = {**stored(work_item(3, number=4, status="completed")), "conversationId": named}
    await mongo.put(conversations=[stored(conversation(2))], work_items=[of_list])
    [end] = await handler_on(mongo.store).handle([read(event(conversation(2)))])
    assert end.outcome == Done(reason="APPLIED")
    [made] = [item for item in await work_items(mongo) if item["active"]]
    assert (made["conversationId"], made["workItemNumber"]) == ("c-1", 1)


async def test_a_worker_that_creates_none_reads_no_more(mongo: MongoBench) -> None:
    await mongo.put(conversations=[stored(conversation(2))])
    mongo.commands.take()
    for creates, commands in ((False, []), (True, ["aggregate"])):
        await mongo.store.load([LoadRequest(conversation_id="c-1", may_create=creates)])
        assert mongo.commands.take() == [*["find"] * 3, *commands]
