"""The waiting times on MongoDB: the indexes of its reads, the expiry of its records, and the round trips of a batch."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from handlers.batch_handler import BatchHandler
from handlers.options import Options
from tests.handlers.routing.queue_history import QueueHistory
from tests.handlers.small_ports import FixedChance, HandClock
from tests.worker.store.plans import T0, in_queue, state_plan, wait, wait_write, work_item
from tests.worker.store.store_bench import MongoBench
from worker.mongo.indexes.definitions import QUEUED
from worker.runtime.clock import ObjectIds
from worker.store.documents import Collection


async def _stages(mongo: MongoBench, reads: dict[str, Any]) -> set[str]:
    explained = await mongo.database.command({"explain": reads, "verbosity": "queryPlanner"})
    return set(_named(explained, "stage"))


def _named(plan: Any, name: str) -> list[str]:
    if isinstance(plan, list):
        return [found for each in plan for found in _named(each, name)]
    if not isinstance(plan, dict):
        return []
    here = [plan[name]] if isinstance(plan.get(name), str) else []
    return here + [found for key, each in plan.items() if key != "rejectedPlans" for found in _named(each, name)]


async def _recorded(mongo: MongoBench) -> None:
    waits = [wait(f"w{number}", queue=f"q{number % 3}", ended_s=number) for number in range(60)]
    plans = [state_plan(f"c{n}", waits=(wait_write(each, f"c{n}"),)) for n, each in enumerate(waits)]
    await mongo.store.commit(plans)


async def test_the_latest_wait_of_a_queue_is_one_entry_of_an_index(mongo: MongoBench) -> None:
    await _recorded(mongo)
    for of_org in ({}, {"org": "o1"}):
        query = {"queue": "q1", "endedAt": {"$gte": T0, "$lte": T0 + timedelta(days=1)}, **of_org}
        find = {"find": Collection.WAITS.value, "filter": query, "sort": {"endedAt": -1, "_id": -1}, "limit": 1}
        stages = await _stages(mongo, find)
        assert "IXSCAN" in stages
        assert not stages & {"COLLSCAN", "SORT"}


async def test_the_queues_of_an_org_are_one_entry_of_an_index_each(mongo: MongoBench) -> None:
    await _recorded(mongo)
    for of_org in ({}, {"org": "o1"}):
        distinct = {"distinct": Collection.WAITS.value, "key": "queue", "query": of_org}
        assert "DISTINCT_SCAN" in await _stages(mongo, distinct)


async def test_how_many_wait_is_answered_from_an_index_alone(mongo: MongoBench) -> None:
    await mongo.put(work_items=[in_queue(work_item(f"w{n}", f"c{n}"), "q1") for n in range(20)])
    pipeline: list[dict[str, Any]] = [
        {"$match": {**QUEUED, "relationships.queue.data.id": {"$in": ["q1", "q2"]}}},
        {"$group": {"_id": "$relationships.queue.data.id", "count": {"$sum": 1}}},
    ]
    reads = {"aggregate": Collection.WORK_ITEMS.value, "pipeline": pipeline, "cursor": {}, "hint": "queued_by_queue"}
    stages = await _stages(mongo, reads)
    assert "IXSCAN" in stages
    assert not stages & {"COLLSCAN", "FETCH"}


async def test_the_reads_of_an_answer_are_few(mongo: MongoBench) -> None:
    await _recorded(mongo)
    mongo.commands.take()
    await mongo.waiting_times.latest(["q0", "q1", "q2"], now=T0)
    assert mongo.commands.take() == ["aggregate"]
    await mongo.waiting_times.latest_in(T0, T0, queue_ids=None, org="o1")
    assert mongo.commands.take() == ["distinct", "aggregate"]


@pytest.mark.thorough
async def test_records_expire_ninety_days_after_the_end_of_the_wait(new_mongo: MongoBench) -> None:
    """The test's server looks every second."""
    await new_mongo.store.ensure_indexes(revision_days=0)
    index = (await new_mongo.database[Collection.WAITS].index_information())["expired_waits"]
    assert (index["key"], index["expireAfterSeconds"]) == ([("endedAt", 1)], 90 * 86_400)
    now = (await new_mongo.client.admin.command("hello"))["localTime"]
    waits = new_mongo.database[Collection.WAITS]
    async with await waits.watch([{"$match": {"operationType": "delete"}}]) as deletions, asyncio.timeout(30):
        old, young = now - timedelta(days=91), now - timedelta(days=89)
        await waits.insert_many([{"_id": "old", "endedAt": old}, {"_id": "young", "endedAt": young}])
        assert (await deletions.next())["documentKey"] == {"_id": "old"}
    assert [wait["_id"] async for wait in waits.find()] == ["young"]


async def test_only_a_batch_with_a_new_wait_costs_a_read_and_a_write_more(mongo: MongoBench) -> None:
    history = QueueHistory()
    history.write({"queue": "q-1"})
    history.write({"assignedTo": "u-1"}, after_ms=33_000)
    history.write({"paused": True}, after_ms=9_000)
    costs: dict[bool, list[list[str]]] = {}
    for waiting_times in (False, True):
        for collection in Collection:
            await mongo.database[collection].delete_many({})
        options = Options(waiting_times=waiting_times)
        handler = BatchHandler(
            store=mongo.store, clock=HandClock(), ids=ObjectIds(), chance=FixedChance(), options=options
        )
        costs[waiting_times] = []
        for event in (*history.events, history.events[2]):
            mongo.commands.take()
            await handler.handle([event])
            costs[waiting_times].append(mongo.commands.take())
    created, queued, assigned, *later = costs[False]
    assert costs[True][:2] == [created, queued]
    assert sorted(costs[True][2]) == sorted([*assigned, "find", "insert"])
    assert costs[True][3:] == later


async def test_a_record_in_another_form_is_passed_over(mongo: MongoBench) -> None:
    """Any service may write the collection."""
    await _recorded(mongo)
    waits = mongo.database[Collection.WAITS]
    await waits.insert_one({"_id": "other", "org": "o1", "queue": 7, "endedAt": T0, "durationMs": "long"})
    found = await mongo.waiting_times.latest_in(T0, T0 + timedelta(days=1), queue_ids=None, org=None)
    assert set(found) == {"q0", "q1", "q2"}
