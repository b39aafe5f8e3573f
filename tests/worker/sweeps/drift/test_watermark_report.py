"""The watermark report: a worker leaves its watermark in the store a few times a minute."""

import asyncio
from datetime import datetime, timedelta

from tests.worker.stand_ins.fake_clock import T0, FakeClock, run_ready_tasks
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.runtime.clock import ObjectIds
from worker.store.memory.fleet import MemoryFleet
from worker.sweeps.drift.watermark_report import WatermarkReport


class StandInWatermark:
    at: datetime | None = None

    def current(self) -> datetime | None:
        return self.at


async def test_the_last_watermark_or_its_absence_is_left_every_ten_seconds() -> None:
    clock, watermark = FakeClock(), StandInWatermark()
    fleet = MemoryFleet(clock)
    runtime = runtime_of(clock, TelemetryRecorder())
    report = WatermarkReport(fleet=fleet, watermark=watermark, ids=ObjectIds(), runtime=runtime)
    running = asyncio.ensure_future(report.run())
    await clock.advance(11)
    assert [(mark := await fleet.fleet_watermark()).workers, mark.lowest] == [1, None]
    watermark.at = T0
    await clock.advance(10)
    assert [(mark := await fleet.fleet_watermark()).workers, mark.lowest] == [1, T0]
    # The queue is silent. What was delivered before the last watermark stays delivered.
    watermark.at = None
    await clock.advance(10)
    assert [(mark := await fleet.fleet_watermark()).workers, mark.lowest] == [1, T0]
    # The queue lags: the present watermark counts, though it is lower.
    watermark.at = T0 - timedelta(minutes=5)
    await clock.advance(10)
    assert (await fleet.fleet_watermark()).lowest == watermark.at
    running.cancel()
    await run_ready_tasks()
    await clock.advance(61)
    assert (await fleet.fleet_watermark()).workers == 0
