"""The status page's reads on MongoDB: answered from an index, and from documents of others."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handlers.ports import StoreAway
from tests.worker.store.plans import work_item
from tests.worker.store.store_bench import DEADLINE_S, MongoBench
from worker.mongo.adapters.status_board import MongoStatusBoard
from worker.mongo.adapters.status_reads import MongoStatusReads
from worker.mongo.adapters.waiting_times import MongoWaitingTimes
from worker.mongo.indexes.definitions import QUEUED, QUEUED_BY_QUEUE
from worker.ports.status import WorkerReport
from worker.store.documents import Collection


@pytest.fixture
async def reads(mongo: MongoBench) -> MongoStatusReads:
    return MongoStatusReads(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)


def _item(number: int, status: str, queue: Any, entered: Any) -> dict[str, Any]:
    item = work_item(f"w{number}", f"c{number}", status=status, lastRevision={"enteredQueueAt": entered})
    return {**item, "relationships": {"queue": {"data": {"id": queue}}}}


async def test_the_index_is_made_where_the_worker_made_none(new_mongo: MongoBench) -> None:
    items = new_mongo.database[Collection.WORK_ITEMS]
    await items.drop_index(QUEUED_BY_QUEUE)
    reads = MongoStatusReads(new_mongo.client, new_mongo.database.name, deadline_s=DEADLINE_S)
    for _ in range(2):
        await reads.ensure_indexes()
    assert QUEUED_BY_QUEUE in await items.index_information()
    assert await reads.queue_backlogs(10) == []


async def test_the_index_may_have_another_name(new_mongo: MongoBench) -> None:
    """An administrator has made the index beforehand."""
    items = new_mongo.database[Collection.WORK_ITEMS]
    keys = (await items.index_information())[QUEUED_BY_QUEUE]["key"]
    await items.drop_index(QUEUED_BY_QUEUE)
    await items.create_index(keys, name="by_hand", partialFilterExpression=QUEUED)
    reads = MongoStatusReads(new_mongo.client, new_mongo.database.name, deadline_s=DEADLINE_S)
    await reads.ensure_indexes()
    await new_mongo.put(work_items=[_item(1, "queued", "q1", None)])
    assert [each.count for each in await reads.queue_backlogs(10)] == [1]
    times = MongoWaitingTimes(new_mongo.client, new_mongo.database.name, deadline_s=DEADLINE_S)
    assert await times.waiting(["q1"]) == {"q1": 1}


async def test_the_queues_are_counted_in_the_index_alone(mongo: MongoBench, reads: MongoStatusReads) -> None:
    items = [
        _item(number, "queued" if number % 10 == 0 else "assigned", f"q{number % 3}", "2024-05-06T07:08:09.000Z")
        for number in range(500)
    ]
    await mongo.put(work_items=items)
    await mongo.database.command("profile", 2)
    try:
        found = await reads.queue_backlogs(10)
    finally:
        await mongo.database.command("profile", 0)
    assert sum(each.count for each in found) == 50
    profiled = await mongo.database["system.profile"].find_one({"command.aggregate": Collection.WORK_ITEMS.value})
    await mongo.database.drop_collection("system.profile")
    assert profiled is not None
    assert profiled["planSummary"].startswith("IXSCAN { active: 1, attributes.status: 1,")
    assert (profiled["docsExamined"], profiled["keysExamined"]) == (0, 50)


async def test_a_work_item_leaves_the_index_when_it_leaves_the_queue(
    mongo: MongoBench, reads: MongoStatusReads
) -> None:
    await mongo.put(work_items=[_item(1, "queued", "q1", None), _item(2, "queued", "q1", None)])
    items = mongo.database[Collection.WORK_ITEMS]
    await items.update_one({"_id": "w1"}, {"$set": {"attributes.status": "assigned"}})
    (backlog,) = await reads.queue_backlogs(10)
    assert backlog.count == 1
    assert await items.count_documents(QUEUED, hint=QUEUED_BY_QUEUE) == 1


async def test_dates_of_others_and_odd_queues_are_read(mongo: MongoBench, reads: MongoStatusReads) -> None:
    date = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    await mongo.put(
        work_items=[
            _item(1, "queued", "q1", "2024-05-06T07:08:10.000Z"),
            _item(2, "queued", "q1", date),
            _item(3, "queued", "q1", 7),
            _item(4, "queued", 42, date + timedelta(hours=1)),
        ]
    )
    first, second = await reads.queue_backlogs(10)
    assert (first.queue, first.count, first.oldest) == ("q1", 3, date)
    assert (second.queue, second.count) == ("42", 1)


async def test_a_report_of_another_version_hides_no_other(mongo: MongoBench, reads: MongoStatusReads) -> None:
    board = MongoStatusBoard(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)
    await board.post(WorkerReport(worker="good", interval_s=5))
    fleet = mongo.database[Collection.FLEET]
    now = datetime.now(UTC)
    await fleet.insert_many(
        [
            {"_id": "worker/later", "at": now, "report": {"worker": ["another form"]}},
            {"_id": "worker/empty"},
            {"_id": "lease/odd", "until": "soon"},
        ]
    )
    found = await reads.fleet(10)
    assert [posted.report.worker for posted in found.reports] == ["good"]
    assert found.leases == ()


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["aggregate", "update", "delete"])
async def test_a_server_that_steps_down_is_the_store_being_away(mongo: MongoBench, command: str) -> None:
    reads = MongoStatusReads(mongo.client, mongo.database.name, deadline_s=0.5)
    board = MongoStatusBoard(mongo.client, mongo.database.name, deadline_s=0.5)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "aggregate": lambda: reads.fleet(10),
        "update": lambda: board.post(WorkerReport(worker="w", interval_s=5)),
        "delete": lambda: board.remove_old(5),
    }
    fail: dict[str, Any] = {"configureFailPoint": "failCommand", "mode": "alwaysOn"}
    await mongo.client.admin.command({**fail, "data": {"failCommands": [command], "errorCode": 189}})
    try:
        with pytest.raises(StoreAway):
            await calls[command]()
    finally:
        await mongo.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


async def test_a_report_in_another_form_is_passed_over(mongo: MongoBench, reads: MongoStatusReads) -> None:
    """The page would take the fault of the whole command for an outage."""
    fleet = mongo.database[Collection.FLEET]
    await fleet.insert_many([{"_id": "worker/a", "at": "now", "report": {}}, {"_id": "worker/b", "at": None}])
    board = MongoStatusBoard(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)
    await board.post(WorkerReport(worker="w", interval_s=5))
    assert [posted.report.worker for posted in (await reads.fleet(10)).reports] == ["w"]
