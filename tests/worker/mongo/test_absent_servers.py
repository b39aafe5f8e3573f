"""Servers that are absent, slow, or unfit for the store."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import PyMongoError

from handlers.ports import CommitResult, LoadRequest, StoreAway, StoreTimeout
from mongod import Mongod
from tests.worker.mongo.failing_server import end_transactions, failing, store_on
from tests.worker.store.plans import first_plan, loaded, next_plan, session
from tests.worker.store.store_bench import Commands, MongoBench, everything
from worker.errors import StoreUnfit
from worker.mongo.database import Client
from worker.mongo.store import MongoStore
from worker.runtime.clock import ObjectIds, SystemClock

COMMITTED = CommitResult.COMMITTED


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("insert", 13, "credentials"),
        ("insert", 50, "deadline"),
        ("update", 14031, "disk is full"),
        ("update", 10107, "no primary"),
        ("commitTransaction", 18, "credentials"),
        ("find", 13, "credentials"),
        # Reads are repeated until the deadline, and either error may end the last repeat.
        ("find", 10107, "no primary|reached|deadline"),
    ],
    ids=str,
)
async def test_a_server_that_refuses_is_away(
    mongo: MongoBench, mongod: Mongod, command: str, code: int, says: str
) -> None:
    await mongo.put(sessions=[session("s1", "u1")])
    before = await everything(mongo)
    store = store_on(mongo.client, mongo, deadline_s=0.7)
    async with failing(mongo, command, errorCode=code):
        with pytest.raises(StoreAway, match=says) as away:
            await (
                store.load([LoadRequest(conversation_id="c1")]) if command == "find" else store.commit([first_plan()])
            )
    await end_transactions(mongo)
    assert str(mongod.port) not in str(away.value)
    assert "127.0.0.1" not in str(away.value)
    assert isinstance(away.value, StoreTimeout) == ("deadline" in str(away.value))
    assert await everything(mongo) == before


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["find", "insert"])
async def test_a_server_that_does_not_answer_in_time_is_a_timeout(mongo: MongoBench, command: str) -> None:
    """Half a batch may then be committed in time."""
    before = await everything(mongo)
    store = store_on(mongo.client, mongo, deadline_s=0.3)
    async with failing(mongo, command, blockConnection=True, blockTimeMS=500):
        with pytest.raises(StoreTimeout, match="deadline"):
            await (
                store.load([LoadRequest(conversation_id="c1")])
                if command == "find"
                else store.commit([first_plan("c1"), first_plan("c2")])
            )
    assert await everything(mongo) == before


@pytest.mark.thorough
async def test_a_killed_server_is_away_within_the_deadline_and_then_back() -> None:
    commands = Commands()
    with Mongod() as server:
        client: Client = AsyncMongoClient(server.uri, event_listeners=[commands])
        async with client:
            bench = MongoBench(client, "killed", commands)
            await bench.store.ensure_indexes(revision_days=400)
            store = MongoStore(client, "killed", clock=SystemClock(), ids=ObjectIds(), deadline_s=0.4)
            assert await bench.store.commit([first_plan()]) == [COMMITTED]
            pair = await loaded(bench)
            server.kill()
            for call in (
                store.commit([next_plan(pair)]),
                store.load([LoadRequest(conversation_id="c1")]),
                store.check_server(),
            ):
                started = time.monotonic()
                with pytest.raises(StoreAway, match=r"reached|broke") as away:
                    await call
                assert time.monotonic() - started < 2
                assert str(server.port) not in str(away.value)
            server.start()
            assert await bench.store.commit([next_plan(pair)]) == [COMMITTED]
            assert (await bench.outbox.backlog()).count == 2


async def test_the_server_says_how_long_a_transaction_may_live(mongo: MongoBench) -> None:
    assert await mongo.store.check_server() == 5
    async with failing(mongo, "getParameter", errorCode=13):
        assert await mongo.store.check_server() is None


class _Standalone(Mongod):
    """A server outside of a replica set."""

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}"

    def _command(self) -> Sequence[str]:
        return [part for part in super()._command() if part not in ("--replSet", "rs0")]

    def _answers(self) -> bool:
        try:
            with MongoClient[dict[str, Any]](self.uri, serverSelectionTimeoutMS=1_000) as client:
                return bool(client.admin.command("ping")["ok"])
        except PyMongoError:
            return False


@pytest.mark.thorough
async def test_a_server_without_transactions_is_unfit() -> None:
    with _Standalone() as server:
        client: Client = AsyncMongoClient(server.uri)
        async with client:
            store = MongoStore(client, "alone", clock=SystemClock(), ids=ObjectIds(), deadline_s=5)
            with pytest.raises(StoreUnfit, match="replica set"):
                await store.check_server()
            await store.ensure_indexes(revision_days=400)
            with pytest.raises(StoreAway, match="no replica set"):
                await store.commit([first_plan()])
