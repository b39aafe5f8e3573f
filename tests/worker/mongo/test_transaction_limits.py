"""Limits of the server that a whole batch meets and its halves do not. Reports: docs/faults.md, *Reports of others*."""

from typing import Any

import pytest

from handlers.ports import CommitResult, LoadRequest, PlanRejected, StoreAway
from tests.worker.store.plans import first_plan
from tests.worker.store.store_bench import MongoBench

TOO_LARGE_FOR_CACHE = 388
TOO_MANY_SESSIONS = 261


async def _fail(mongo: MongoBench, command: str, code: int, mode: Any) -> None:
    data = {"failCommands": [command], "errorCode": code}
    await mongo.client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})


async def test_a_batch_too_large_for_the_cache_is_committed_by_halves(mongo: MongoBench) -> None:
    await _fail(mongo, "insert", TOO_LARGE_FOR_CACHE, {"times": 1})
    plans = [first_plan("c1"), first_plan("c2")]
    assert await mongo.store.commit(plans) == [CommitResult.COMMITTED, CommitResult.COMMITTED]


async def test_a_plan_too_large_for_the_cache_by_itself_is_rejected_and_holds_up_no_other(mongo: MongoBench) -> None:
    await _fail(mongo, "insert", TOO_LARGE_FOR_CACHE, {"times": 2})
    rejected, committed = await mongo.store.commit([first_plan("c1"), first_plan("c2")])
    assert rejected == PlanRejected(
        conversation_id="c1", reason="the plan is larger than MongoDB's cache can hold in one transaction"
    )
    assert committed is CommitResult.COMMITTED


async def test_too_many_sessions_name_the_remedy(mongo: MongoBench) -> None:
    await _fail(mongo, "find", TOO_MANY_SESSIONS, "alwaysOn")
    try:
        with pytest.raises(StoreAway, match=r"too many sessions: .*maxSessions"):
            await mongo.store.load([LoadRequest(conversation_id="c1")])
    finally:
        await _fail(mongo, "find", TOO_MANY_SESSIONS, "off")
