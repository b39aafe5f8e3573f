"""The store against a real server: round trips and write conflicts."""

import asyncio

import pytest
from bson import Int64, ObjectId
from msgspec.structs import replace
from pymongo import AsyncMongoClient

from commands.context import RoutingQueue
from handlers.ports import CommitResult, DocumentWrite, LoadRequest
from mongod import Mongod
from tests.worker.mongo.failing_server import failing, store_on
from tests.worker.store.plans import announcement, changed, first_plan, held, loaded, next_plan, session, work_item
from tests.worker.store.store_bench import MongoBench
from worker.mongo.database import Client
from worker.store.documents import Collection

COMMITTED, CONFLICT = CommitResult.COMMITTED, CommitResult.CONFLICT


# Round trips


@pytest.mark.parametrize("conversations", [1, 40, 150])
async def test_the_number_of_commands_does_not_grow_with_the_batch(mongo: MongoBench, conversations: int) -> None:
    keys = [f"c{number}" for number in range(conversations)]
    await mongo.put(sessions=[session("s1", "u1")], queues=[RoutingQueue(id=f"q-{key}") for key in keys])
    mongo.commands.take()

    assert await mongo.store.commit([first_plan(key) for key in keys]) == [COMMITTED] * conversations
    # Outbox, revisions, states, conversations, work-items; the session; commit.
    assert mongo.commands.take() == [*["insert"] * 5, "update", "commitTransaction"]

    requests = [
        LoadRequest(conversation_id=key, users=frozenset({"u1"}), queues=frozenset({f"q-{key}"})) for key in keys
    ]
    pairs = await mongo.store.load(requests)
    assert len(pairs["c0"].context.queues) == conversations
    mongo_reads = mongo.commands.take()
    # Conversations, states, work-items; then queues, sessions.
    assert mongo_reads == ["find"] * 5

    plans = [
        replace(
            next_plan(pairs[key]),
            work_items=(DocumentWrite(before=pairs[key].work_items[0], after=changed(pairs[key].work_items[0])),),
        )
        for key in keys
    ]
    assert await mongo.store.commit(plans) == [COMMITTED] * conversations
    # Outbox, revisions; states, work-items, conversations, sessions; commit.
    assert mongo.commands.take() == [*["insert"] * 2, *["update"] * 4, "commitTransaction"]
    assert (mongo.watch.aborts, mongo.watch.conflicts, mongo.watch.transactions) == ([], 0, 2)


@pytest.mark.thorough
async def test_a_batch_larger_than_a_command_is_sent_in_several_of_one_transaction(mongo: MongoBench) -> None:
    keys = [f"c{number}" for number in range(8)]
    assert await mongo.store.commit([first_plan(key) for key in keys]) == [COMMITTED] * 8
    mongo.commands.take()
    pairs = await mongo.store.load([LoadRequest(conversation_id=key) for key in keys])
    large = [
        replace(
            next_plan(pairs[key]),
            work_items=(DocumentWrite(before=item, after=changed(item, note="x" * 3_000_000)),),
        )
        for key in keys
        for item in pairs[key].work_items
    ]
    assert await mongo.store.commit(large) == [COMMITTED] * 8
    assert mongo.commands.take().count("commitTransaction") == 1
    kept = await mongo.store.load([LoadRequest(conversation_id=key) for key in keys])
    assert all(kept[key].work_items[0]["attributes"]["note"] == "x" * 3_000_000 for key in keys)


async def test_a_plan_larger_than_a_command_is_sent_in_several(mongo: MongoBench) -> None:
    many = tuple(replace(announcement(f"a{number}"), message="x" * 1_000_000) for number in range(20))
    assert await mongo.store.commit([replace(first_plan(), announcements=many)]) == [COMMITTED]
    assert await mongo.database[Collection.OUTBOX].count_documents({}) == 20


@pytest.mark.parametrize("preference", ["secondaryPreferred", "nearest"])
async def test_a_read_preference_of_the_connection_string_does_not_stop_writes(
    mongod: Mongod, mongo: MongoBench, preference: str
) -> None:
    uri = f"{mongod.uri}{'&' if '?' in mongod.uri else '?'}readPreference={preference}"
    client: Client = AsyncMongoClient(uri)
    async with client:
        assert await store_on(client, mongo).commit([first_plan()]) == [COMMITTED]


async def test_an_empty_query_is_not_sent(mongo: MongoBench) -> None:
    await mongo.store.load([])
    assert mongo.commands.take() == []
    await mongo.store.load([LoadRequest(conversation_id="c1")])
    assert mongo.commands.take() == ["find"] * 3


async def test_a_completed_work_item_that_the_state_names_costs_no_other_command(mongo: MongoBench) -> None:
    await mongo.store.commit([first_plan()])
    await mongo.put(work_items=[work_item("w-c1", "c1", rev=2, active=False)])
    mongo.commands.take()
    assert [item["rev"] for item in (await loaded(mongo)).work_items] == [2]
    assert mongo.commands.take() == ["find"] * 3


async def test_queues_and_sessions_of_other_services_are_read(mongo: MongoBench) -> None:
    """Rows 3 and 4 of the public failures: numbers of any type are read; a document of a wrong type fails the commands
    that need it."""
    await mongo.database[Collection.QUEUES].insert_many(
        [
            {"_id": "q1", "attributes": {"key": "one", "itemSize": 2.0, "priority": Int64(3)}},
            {"_id": "q2", "key": 7, "attributes": None},
        ]
    )
    await mongo.database[Collection.WORK_SESSIONS].insert_many(
        [
            {"_id": "s1", "user": "u1", "active": True, "capacity": 3.0, "workItems": [{"id": "w1"}]},
            {"_id": "s2", "user": "u2", "active": True, "capacity": float("nan"), "pausedWorkItems": None},
            {"_id": ObjectId("6b0893e8268b3381b9b8ee62"), "user": ["u3", "u4"], "active": True},
        ]
    )
    users, queues = frozenset({"u1", "u2", "u3"}), frozenset({"q1", "q2"})
    request = LoadRequest(conversation_id="c1", users=users, queues=queues)
    context = (await mongo.store.load([request]))["c1"].context
    assert context.queues == {"q1": RoutingQueue(id="q1", key="one", item_size=2, priority=3)}
    assert context.unreadable_queues == {"q2": "q2 in the store cannot be read: key is the number 7, not `str | null`"}
    assert context.sessions == {"s1": session("s1", "u1", work_items=(held("w1"),))}
    assert context.unreadable_sessions == {
        "u2": "s2 in the store cannot be read: capacity is the number nan, not `int | null`",
        **dict.fromkeys(
            ("u3", "u4"),
            "ObjectId 6b0893e8268b3381b9b8ee62 in the store cannot be read: "
            "_id is the ObjectId 6b0893e8268b3381b9b8ee62, not `str`",
        ),
    }


# Other writers


async def test_of_two_workers_on_one_conversation_exactly_one_commits(mongo: MongoBench, mongod: Mongod) -> None:
    await mongo.store.commit([first_plan()])
    other_client: Client = AsyncMongoClient(mongod.uri)
    async with other_client:
        other = store_on(other_client, mongo)
        for _ in range(10):
            plan = next_plan(await loaded(mongo))
            rival = replace(plan, announcements=(), revisions=())
            fates = await asyncio.gather(mongo.store.commit([plan]), other.commit([rival]))
            assert sorted(fate.name for (fate,) in fates if isinstance(fate, CommitResult)) == ["COMMITTED", "CONFLICT"]
    assert (await loaded(mongo)).state.version == 11


async def test_a_plan_that_conflicts_is_found_by_halves(mongo: MongoBench) -> None:
    keys = [f"c{number}" for number in range(8)]
    await mongo.store.commit([first_plan(key) for key in keys])
    pairs = await mongo.store.load([LoadRequest(conversation_id=key) for key in keys])
    plans = [next_plan(pairs[key]) for key in keys]
    assert await mongo.store.commit(plans[5:6]) == [COMMITTED]
    fates = await mongo.store.commit(plans)
    assert fates == [COMMITTED] * 5 + [CONFLICT] + [COMMITTED] * 2
    assert mongo.watch.aborts == [8, 4, 2, 1]


async def test_a_session_whose_lists_are_null_gets_and_loses_an_item(mongo: MongoBench) -> None:
    """Another service wrote it; the pair's messages must not become dead letters for it."""
    null = {"_id": "s1", "user": "u1", "active": True, "workItems": None, "pausedWorkItems": None}
    await mongo.database[Collection.WORK_SESSIONS].insert_one(null)
    assert await mongo.store.commit([first_plan("c1")]) == [COMMITTED]
    kept = await mongo.session("s1")
    assert kept is not None
    assert kept.work_items == (held("w-c1"),)


async def test_two_workers_that_share_a_session_both_commit(mongo: MongoBench, mongod: Mongod) -> None:
    await mongo.put(sessions=[session("s1", "u1")])
    async with failing(mongo, "update", times=1, errorCode=112):
        assert await mongo.store.commit([first_plan(f"c{number}") for number in range(3)]) == [COMMITTED] * 3
    assert mongo.watch.aborts == [3]
    async with failing(mongo, "update", times=1, errorCode=112):
        assert await mongo.store.commit([first_plan("c9")]) == [COMMITTED]
    assert mongo.watch.conflicts == 0
    kept = await mongo.session("s1")
    assert kept is not None
    assert [entry.id for entry in kept.work_items] == ["w-c0", "w-c1", "w-c2", "w-c9"]
