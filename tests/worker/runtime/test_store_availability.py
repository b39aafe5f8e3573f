"""Store availability: an outage is counted once, and any part of the process can end it."""

import asyncio

import pytest

from handlers.ports import StoreAway
from tests.worker.stand_ins.fake_clock import FakeClock, MiddleChance, run_ready_tasks
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.runtime.backoff import JitteredBackoff
from worker.runtime.context import RuntimeContext
from worker.telemetry.metrics import Metric

PAUSE = JitteredBackoff(first_s=4, max_s=100, chance=MiddleChance())
"""3 s, 6 s, ..."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def recorder() -> TelemetryRecorder:
    return TelemetryRecorder()


@pytest.fixture
def runtime(clock: FakeClock, recorder: TelemetryRecorder) -> RuntimeContext:
    return runtime_of(clock, recorder)


class Work:
    """Raises StoreAway so many times, then returns 7."""

    def __init__(self, failures: int) -> None:
        self.calls = 0
        self._failures = failures

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._failures:
            raise StoreAway("no primary\nwith details")
        return 7


async def test_an_outage_is_counted_and_logged_once(runtime: RuntimeContext, recorder: TelemetryRecorder) -> None:
    runtime.store_availability.mark_away("no primary")
    runtime.store_availability.mark_away("still no primary")
    check = runtime.health.report()["checks"]["store"]
    assert check == {"ok": False, "reason": "MongoDB is away: still no primary"}
    runtime.store_availability.mark_back()
    runtime.store_availability.mark_back()
    await runtime.store_availability.wait_until_back()
    assert recorder.counts[Metric.STORE_PAUSE.value] == 1
    assert recorder.messages == ["store away, receiving pauses", "store back, receiving goes on"]


async def test_the_gauge_says_away_as_long_as_it_is_and_while_it_comes_and_goes(
    clock: FakeClock, runtime: RuntimeContext, recorder: TelemetryRecorder
) -> None:
    """A monitor goes by it: the count of outages falls silent while the outage goes on."""
    runtime.store_availability.mark_back()
    assert recorder.gauges[Metric.STORE_AWAY.value] == 0
    for _ in range(20):
        runtime.store_availability.mark_away("no primary")
        assert recorder.gauges[Metric.STORE_AWAY.value] == 1
        await clock.advance(5)
    for _ in range(20):
        runtime.store_availability.mark_back()
        assert recorder.gauges[Metric.STORE_AWAY.value] == 1
        runtime.store_availability.mark_away("it takes reads and refuses writes")
        await clock.advance(5)
    await clock.advance(30)
    runtime.store_availability.mark_back()
    assert recorder.gauges[Metric.STORE_AWAY.value] == 0


async def test_work_is_repeated_with_a_growing_pause_until_the_store_is_back(
    clock: FakeClock, runtime: RuntimeContext
) -> None:
    work = Work(failures=2)
    running = asyncio.ensure_future(runtime.store_availability.retry_while_away(work, PAUSE))
    await clock.advance(8)
    assert (work.calls, running.done()) == (2, False)
    assert runtime.health.report()["checks"]["store"]["reason"] == "MongoDB is away: no primary"
    await clock.advance(1)
    assert (await running, work.calls, clock.slept) == (7, 3, [3, 6])
    assert runtime.health.report()["checks"]["store"] == {"ok": True}


async def test_work_is_repeated_at_once_when_another_part_finds_the_store_back(runtime: RuntimeContext) -> None:
    work = Work(failures=1)
    running = asyncio.ensure_future(runtime.store_availability.retry_while_away(work, PAUSE))
    await run_ready_tasks()
    assert work.calls == 1
    runtime.store_availability.mark_back()
    assert await running == 7


async def test_work_that_succeeds_at_once_ends_no_outage(runtime: RuntimeContext) -> None:
    """It may not have called the store."""
    runtime.store_availability.mark_away("no primary")
    assert await runtime.store_availability.retry_while_away(Work(failures=0), PAUSE) == 7
    assert not runtime.health.report()["checks"]["store"]["ok"]


@pytest.mark.parametrize(("failures", "ok"), [(0, True), (9, False)])
async def test_each_round_reports_whether_the_store_is_available(
    clock: FakeClock, runtime: RuntimeContext, failures: int, ok: bool
) -> None:
    work = Work(failures)

    async def round_() -> None:
        await work()

    running = asyncio.ensure_future(runtime.run_rounds(round_, interval_s=10))
    await clock.advance(25)
    assert (work.calls, clock.slept) == (2, [10, 10, 10])
    assert runtime.health.report()["checks"]["store"]["ok"] == ok
    running.cancel()
    await run_ready_tasks()
