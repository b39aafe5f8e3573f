"""The metrics of queues: sent by one worker of the fleet, for a bounded number of queues."""

import asyncio
from datetime import timedelta

from handlers.documents.document import document_from_snapshot
from handlers.ports import WaitSighting
from tests.handlers.wire_events import ORG, work_item
from tests.worker.stand_ins.fake_clock import AutoAdvancingClock, FakeClock, run_ready_tasks
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from tests.worker.store.plans import state_plan, wait_write
from worker.ports.waiting_times import QueueDescription
from worker.runtime.clock import ObjectIds
from worker.store.memory.fleet import MemoryFleet
from worker.store.memory.store import MemoryStore
from worker.store.memory.waiting_times import MemoryQueueDirectory, MemoryWaitingTimes
from worker.sweeps.queue_metrics import QueueMetrics

WAITING, LATEST = "routing_sync.routing.queued", "routing_sync.routing.latest_wait_s"


class QueueMetricsBench:
    """The metrics of the queues q-1 to q-`queues`, of one worker or several."""

    def __init__(self, *, queues: int = 2, queues_max: int = 100, clock: FakeClock | None = None) -> None:
        self.clock, self.store = clock or FakeClock(), MemoryStore()
        self.fleet = MemoryFleet(self.clock)
        self.directory = MemoryQueueDirectory(QueueDescription(id=f"q-{number + 1}") for number in range(queues))
        self.queues_max = queues_max

    def worker(self) -> tuple[QueueMetrics, TelemetryRecorder]:
        recorder = TelemetryRecorder()
        metrics = QueueMetrics(
            fleet=self.fleet,
            queues=self.directory,
            waiting_times=MemoryWaitingTimes(self.store),
            queues_max=self.queues_max,
            ids=ObjectIds(),
            runtime=runtime_of(self.clock, recorder),
        )
        return metrics, recorder

    def queued(self, key: str, queue: str) -> None:
        data = work_item(1, key=key, of=f"c-{key}", queue=queue, status="queued")
        self.store.put_work_item(document_from_snapshot(data, org=ORG, rev=1))

    async def ended(self, queue: str, duration_ms: int, ago_s: float = 5) -> None:
        entered_at = self.clock.now() - timedelta(seconds=ago_s, milliseconds=duration_ms)
        sighting = WaitSighting(
            id=f"{queue}:{duration_ms}", rev=2, work_item="w", queue=queue, org=ORG, entered_at=entered_at,
            duration_ms=duration_ms,
        )  # fmt: skip
        await self.store.commit([state_plan(f"c-{queue}", waits=(wait_write(sighting),))])


async def test_each_stored_queue_has_its_gauges() -> None:
    bench = QueueMetricsBench()
    bench.queued("w-1", "q-1")
    bench.queued("w-2", "q-1")
    bench.queued("w-3", "a queue that is not stored")
    await bench.ended("q-2", 25_999)
    metrics, recorder = bench.worker()
    await metrics.round()
    assert recorder.gauges == {f"{WAITING} queue=q-1": 2, f"{WAITING} queue=q-2": 0, f"{LATEST} queue=q-2": 25}


async def test_a_wait_of_the_day_before_yesterday_is_not_sent() -> None:
    bench = QueueMetricsBench(queues=1)
    await bench.ended("q-1", 25_000, ago_s=2 * 86_400)
    metrics, recorder = bench.worker()
    await metrics.round()
    assert recorder.gauges == {f"{WAITING} queue=q-1": 0}


async def test_one_worker_of_the_fleet_sends_and_another_takes_over() -> None:
    bench = QueueMetricsBench()
    (first, told), (second, silent) = bench.worker(), bench.worker()
    await first.round()
    await second.round()
    assert (len(told.gauges), len(silent.gauges)) == (2, 0)
    await bench.clock.advance(121)
    await second.round()
    assert len(silent.gauges) == 2


async def test_of_too_many_queues_the_same_first_ones_have_metrics() -> None:
    bench = QueueMetricsBench(queues=4, queues_max=3)
    bench.queued("w-1", "q-4")
    metrics, recorder = bench.worker()
    for _ in range(2):
        await metrics.round()
    assert sorted(recorder.gauges) == [f"{WAITING} queue=q-{number}" for number in (1, 2, 3)]
    assert recorder.messages == ["more queues than QUEUE_METRICS_MAX: the others have no metrics"]


async def test_without_queues_nothing_is_sent() -> None:
    metrics, recorder = QueueMetricsBench(queues=0).worker()
    await metrics.round()
    assert (recorder.gauges, recorder.lines) == ({}, [])


async def test_it_runs_every_minute() -> None:
    bench = QueueMetricsBench(clock=AutoAdvancingClock())
    metrics, recorder = bench.worker()
    running = asyncio.ensure_future(metrics.run())
    await run_ready_tasks(5)
    running.cancel()
    await run_ready_tasks()
    assert set(bench.clock.slept) == {60}
    assert recorder.gauges
