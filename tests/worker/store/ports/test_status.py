"""The contract of the ports `StatusBoard` and `StatusReads` (worker/ports/status.py): one suite for both stores."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import Struct

from tests.worker.stand_ins.fake_clock import FakeClock
from tests.worker.store.plans import T0, work_item
from tests.worker.store.store_bench import DEADLINE_S, Bench, MemoryBench, MongoBench
from worker.mongo.adapters.fleet import MongoFleet
from worker.mongo.adapters.status_board import MongoStatusBoard
from worker.mongo.adapters.status_reads import MongoStatusReads
from worker.ports.status import (
    DecisionReason,
    PartHealth,
    QueueBacklog,
    RecentDecision,
    StatusBoard,
    StatusReads,
    WorkerReport,
)
from worker.store.documents import Collection
from worker.store.memory.status import MemoryStatus

DECISION = RecentDecision(
    at=T0,
    conversation_id="$c1",
    work_item_id=None,
    outcome="applied",
    direction="forward",
    trigger="conversation",
    reasons=(DecisionReason(action="SYNC_WORK_ITEM", code="CONVERSATION_ASSIGNED", rule="B1"),),
    work_item_fields=("assignedTo", "$queue"),
    event="kustomer.conversation.update",
    event_rev=7,
)
FULL = WorkerReport(
    worker="host:1",
    interval_s=2.5,
    parts=(PartHealth(part="queue", reason="$away"), PartHealth(part="store")),
    watermark="2024-05-06T07:06:09.123Z",
    no_watermark="SILENCE",
    decisions=(DECISION,),
)


class StatusBench(Struct, frozen=True):
    """Both ports on one store; `pass_time` lets so many seconds pass, `put_lease` holds a lease for so many."""

    board: StatusBoard
    reads: StatusReads
    pass_time: Callable[[float], Awaitable[None]]
    put_lease: Callable[[str, str, float], Awaitable[None]]


@pytest.fixture
async def status(bench: Bench) -> AsyncIterator[StatusBench]:
    if isinstance(bench, MemoryBench):
        clock = FakeClock()
        memory = MemoryStatus(bench.store, clock)

        async def put_lease(name: str, holder: str, seconds: float) -> None:
            memory.put_lease(name, holder, clock.now() + timedelta(seconds=seconds))

        yield StatusBench(memory, memory, clock.advance, put_lease)
        return
    assert isinstance(bench, MongoBench)
    name, documents = bench.database.name, bench.database[Collection.FLEET]

    async def pass_time(seconds: float) -> None:
        """The server's clock cannot be set, so all stored times go back instead."""
        back = {"$subtract": ["$at", round(seconds * 1_000)]}
        await documents.update_many({"at": {"$type": "date"}}, [{"$set": {"at": back}}])

    async def hold(name_of_lease: str, holder: str, seconds: float) -> None:
        assert await MongoFleet(bench.client, name, deadline_s=DEADLINE_S).acquire_lease(name_of_lease, holder, seconds)

    reads = MongoStatusReads(bench.client, name, deadline_s=DEADLINE_S)
    yield StatusBench(MongoStatusBoard(bench.client, name, deadline_s=DEADLINE_S), reads, pass_time, hold)


async def test_an_empty_store_has_no_workers_no_leases_and_no_queues(status: StatusBench) -> None:
    fleet = await status.reads.fleet(10)
    assert (fleet.reports, fleet.leases) == ((), ())
    assert await status.reads.queue_backlogs(10) == []


async def test_a_report_comes_back_as_it_was_left_with_its_age(status: StatusBench) -> None:
    await status.board.post(FULL)
    await status.pass_time(30)
    (posted,) = (await status.reads.fleet(10)).reports
    assert posted.report == FULL
    assert 30 <= posted.age_s < 45


async def test_a_workers_report_takes_the_place_of_its_last_one(status: StatusBench) -> None:
    await status.board.post(FULL)
    await status.pass_time(30)
    stopped = WorkerReport(worker="host:1", interval_s=2.5, stopped=True)
    await status.board.post(stopped)
    (posted,) = (await status.reads.fleet(10)).reports
    assert posted.report == stopped
    assert posted.age_s < 15


async def test_the_latest_reports_come_first_up_to_the_limit(status: StatusBench) -> None:
    for name in ("a", "b", "c"):
        await status.board.post(WorkerReport(worker=name, interval_s=5))
        await status.pass_time(10)
    assert [posted.report.worker for posted in (await status.reads.fleet(2)).reports] == ["c", "b"]


async def test_old_reports_are_removed(status: StatusBench) -> None:
    await status.board.post(WorkerReport(worker="old", interval_s=5))
    await status.put_lease("heartbeat", "w", 20)
    await status.pass_time(101)
    await status.board.post(WorkerReport(worker="new", interval_s=5))
    await status.board.remove_old(100)
    fleet = await status.reads.fleet(10)
    assert [posted.report.worker for posted in fleet.reports] == ["new"]
    assert [lease.name for lease in fleet.leases] == ["heartbeat"]


async def test_leases_come_by_name_with_the_time_that_is_left(status: StatusBench) -> None:
    await status.put_lease("sweep", "$w2", 300)
    await status.put_lease("heartbeat", "w1", 20)
    beat, sweep = (await status.reads.fleet(10)).leases
    assert (beat.name, beat.holder, sweep.name, sweep.holder) == ("heartbeat", "w1", "sweep", "$w2")
    assert 5 < beat.left_s <= 20
    assert 285 < sweep.left_s <= 300


def _queued(key: str, queue: str | None, entered: Any = None, **fields: Any) -> dict[str, Any]:
    item = work_item(key, f"c-{key}", **{"status": "queued", "lastRevision": {"enteredQueueAt": entered}, **fields})
    if queue is not None:
        item["relationships"] = {"queue": {"data": {"id": queue, "type": "queue"}}}
    return item


async def test_queues_come_with_how_many_wait_and_the_oldest(status: StatusBench, bench: Bench) -> None:
    await bench.put(
        work_items=[
            _queued("w1", "q1", "2024-05-06T07:08:09.000Z"),
            _queued("w2", "q1", "2024-05-06T07:08:07.000Z"),
            _queued("w3", "q2", None),
            _queued("w4", "q1", "2024-05-06T07:08:00.000Z", status="assigned"),
            {**_queued("w5", "q1", "2024-05-06T07:00:00.000Z"), "active": False},
            _queued("w6", None, "2024-05-06T07:08:01.000Z"),
            _queued("w7", None, "yesterday"),
        ]
    )
    # Of two that are as long, the one without an id comes first.
    assert list(await status.reads.queue_backlogs(10)) == [
        QueueBacklog(queue=None, count=2, oldest=datetime(2024, 5, 6, 7, 8, 1, tzinfo=UTC)),
        QueueBacklog(queue="q1", count=2, oldest=datetime(2024, 5, 6, 7, 8, 7, tzinfo=UTC)),
        QueueBacklog(queue="q2", count=1, oldest=None),
    ]
    assert len(await status.reads.queue_backlogs(2)) == 2
