"""Commits that are given up, or whose answer is lost, late or never comes: each is done once, or not at all."""

import asyncio
import contextlib
import time
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from handlers.ports import CommitResult, StoreTimeout
from mongod import Mongod
from tests.worker.mongo.failing_server import end_transactions, failing, store_on
from tests.worker.stand_ins.tcp_proxy import TcpProxy
from tests.worker.store.plans import first_plan, held, loaded, next_plan, session
from tests.worker.store.store_bench import MongoBench, everything, ids
from worker.mongo.database import Client
from worker.store.documents import Collection

COMMITTED, CONFLICT = CommitResult.COMMITTED, CommitResult.CONFLICT


async def test_an_unknown_commit_is_repeated(mongo: MongoBench) -> None:
    store = store_on(mongo.client, mongo)
    unknown = {"writeConcernError": {"code": 64, "errmsg": "timed out"}}
    async with failing(mongo, "commitTransaction", times=2, **unknown):
        assert await store.commit([first_plan()]) == [COMMITTED]
        assert mongo.commands.take().count("commitTransaction") == 3
    assert await ids(mongo, Collection.OUTBOX) == ["a-c1-1"]


async def test_a_commit_that_stays_unknown_is_found_committed(mongo: MongoBench) -> None:
    await mongo.put(sessions=[session("s1", "u1")])
    store = store_on(mongo.client, mongo)
    async with failing(mongo, "commitTransaction", writeConcernError={"code": 64, "errmsg": "timed out"}):
        assert await store.commit([first_plan("c1"), first_plan("c2")]) == [COMMITTED] * 2
        assert mongo.commands.take()[-2:] == ["killSessions", "find"]
    assert await ids(mongo, Collection.OUTBOX) == ["a-c1-1", "a-c2-1"]
    assert await mongo.session("s1") == session("s1", "u1", work_items=(held("w-c1"), held("w-c2")))
    assert mongo.watch.aborts == []


async def test_a_commit_that_is_not_done_is_found_not_committed(mongo: MongoBench) -> None:
    store = store_on(mongo.client, mongo)
    before = await everything(mongo)
    async with failing(mongo, "commitTransaction", errorCode=24, errorLabels=["UnknownTransactionCommitResult"]):
        assert await store.commit([first_plan()]) == [CONFLICT]
    assert await everything(mongo) == before
    # The transaction holds no lock on the server.
    assert await mongo.store.commit([first_plan()]) == [COMMITTED]


@pytest.mark.thorough
async def test_a_commit_that_never_arrives_leaves_neither_locks_nor_writes(mongo: MongoBench) -> None:
    store = store_on(mongo.client, mongo, deadline_s=0.7)
    before = await everything(mongo)
    async with failing(mongo, "commitTransaction", closeConnection=True):
        # The driver connects anew for each repeat, and the deadline may pass in the last.
        with contextlib.suppress(StoreTimeout):
            assert await store.commit([first_plan()]) == [CONFLICT]
    assert await everything(mongo) == before
    # The transaction holds no lock on the server.
    assert await mongo.store.commit([first_plan()]) == [COMMITTED]


@pytest.mark.thorough
@pytest.mark.parametrize("times", [1, 1000], ids=["once", "always"])
async def test_a_commit_whose_answer_is_lost_is_done_once(mongo: MongoBench, mongod: Mongod, times: int) -> None:
    await mongo.put(sessions=[session("s1", "u1")])
    async with TcpProxy(mongod.port) as proxy:
        client: Client = AsyncMongoClient("127.0.0.1", proxy.port, directConnection=True)
        async with client:
            proxy.lose_answers(b"commitTransaction", times)
            assert await store_on(client, mongo, deadline_s=1).commit([first_plan()]) == [COMMITTED]
            assert proxy.lost >= 1
    assert await ids(mongo, Collection.OUTBOX) == ["a-c1-1"]
    assert await mongo.session("s1") == session("s1", "u1", work_items=(held("w-c1"),))
    assert (await loaded(mongo)).state.version == 1


@pytest.mark.thorough
async def test_a_commit_that_stalls_past_the_deadline_is_a_timeout(mongo: MongoBench) -> None:
    """The halves of the batch are not tried: each would wait for a deadline."""
    before = await everything(mongo)
    store = store_on(mongo.client, mongo, deadline_s=0.4)
    async with failing(mongo, "commitTransaction", blockConnection=True, blockTimeMS=700):
        with pytest.raises(StoreTimeout, match="deadline"):
            await store.commit([first_plan("c1"), first_plan("c2")])
        assert mongo.commands.take().count("commitTransaction") == 1
    assert await everything(mongo) == before
    assert mongo.watch.aborts == [2]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("how", "missing"),
    [
        ({"blockConnection": True, "blockTimeMS": 700}, CommitResult.TIMED_OUT),
        ({"errorCode": 18}, CommitResult.AWAY),
    ],
    ids=["stall", "refusal"],
)
async def test_a_commit_by_halves_tells_why_a_plan_has_no_result(
    mongo: MongoBench, how: dict[str, Any], missing: CommitResult
) -> None:
    assert await mongo.store.commit([first_plan("c1")]) == [COMMITTED]
    store = store_on(mongo.client, mongo, deadline_s=0.4)
    async with failing(mongo, "commitTransaction", **how):
        assert await store.commit([first_plan("c1"), first_plan("c2")]) == [CONFLICT, missing]
    assert await ids(mongo, Collection.OUTBOX) == ["a-c1-1"]
    await end_transactions(mongo)


@pytest.mark.thorough
async def test_a_cancelled_commit_leaves_neither_locks_nor_writes(mongo: MongoBench) -> None:
    await mongo.store.commit([first_plan()])
    pair = await loaded(mongo)
    before = await everything(mongo)
    async with failing(mongo, "update", times=1, blockConnection=True, blockTimeMS=400):
        updating = mongo.commands.under_way("update")
        committing = asyncio.ensure_future(mongo.store.commit([next_plan(pair)]))
        await updating.wait()
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
    assert await everything(mongo) == before
    started = time.monotonic()
    assert await mongo.store.commit([next_plan(pair)]) == [COMMITTED]
    # The server's own limit is five seconds.
    assert time.monotonic() - started < 2
