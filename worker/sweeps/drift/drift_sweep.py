"""The drift sweep of a worker: a round every SWEEP_INTERVAL_SECONDS, in one worker of the fleet, by a lease.

A round sweeps the pairs that were written since the last one and before the fleet's lowest watermark. The rest of its
time goes to the full sweep, if one is due: a write in the shell leaves no time of writing, and a restored document lies
behind the bookmark. Both go on where the last round of any worker stopped.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from handlers.drift import SweepLimits
from handlers.options import FIRST_SIGHT_GAPS, PolicyInUse
from handlers.ports import Ids
from worker.ports.fleet import Fleet
from worker.ports.outbox import Announcer, Outbox
from worker.ports.sweeps import PairSweeper, StoredPairs, SweepBookmark, SweepFleet, SweepPosition
from worker.runtime.context import RuntimeContext
from worker.settings.settings import Settings
from worker.sweeps.drift.drift_report import DriftReport
from worker.sweeps.drift.sweep_run import SweepRun, shown_position, shown_time
from worker.telemetry.metrics import Metric

LEASE_NAME: Final = "sweep"
_LEASE_INTERVALS: Final = 2.0
_FULL_SHARE: Final = 0.8
"""The full sweep works for this share of an interval; then the next round begins with what was written meanwhile."""
_SLICE: Final = timedelta(hours=1)
"""What was written since the bookmark is swept in slices of so much time, and the bookmark moves with each: after an
outage of days, a kill costs one slice."""
_KEEP_INTERVAL_S: Final = 10.0
"""How often the lease is prolonged and the position of a full sweep is kept."""


class SweepSchedule(Struct, frozen=True, kw_only=True):
    """When the sweep works.

    - `full_s`: between two full sweeps; 0: there are none.
    - `ivr_s`: how long a work-item may be in ivr without having been queued.
    - `certain_s`: what was written so long before the watermark has no event in flight, whatever the clocks show. A
      sweep that only tells needs no watermark, and leaves alone what is younger.
    """

    interval_s: float
    full_s: float
    ivr_s: float
    certain_s: float


class DriftSweep:
    """One for the process."""

    def __init__(
        self,
        *,
        run: SweepRun,
        fleet: Fleet,
        bookmarks: SweepFleet,
        repairs: bool,
        schedule: SweepSchedule,
        ids: Ids,
        runtime: RuntimeContext,
    ) -> None:
        self._run = run
        self._fleet = fleet
        self._bookmarks = bookmarks
        self._repairs = repairs
        self._schedule = schedule
        self._holder = ids.new()
        self._runtime = runtime
        self._leased_at = runtime.clock.monotonic()

    async def run(self) -> None:
        """Run rounds until cancelled."""
        await self._runtime.run_rounds(self.round, interval_s=self._schedule.interval_s)

    async def round(self) -> None:
        """Sweep, if this worker has the lease and the fleet has a watermark. Raises StoreAway."""
        began = self._runtime.clock.monotonic()
        if not await self._has_lease():
            return
        mark = await self._bookmarks.fleet_watermark()
        bookmark = await self._bookmarks.sweep_bookmark()
        metrics = self._runtime.telemetry.metrics
        if bookmark.written_until is not None:
            metrics.gauge(Metric.SWEEP_BEHIND, (mark.now - bookmark.written_until).total_seconds())
        certain = timedelta(seconds=self._schedule.certain_s)
        watermark = mark.lowest if self._repairs else mark.now - certain
        if watermark is None:
            # An event may be on its way to any worker without a watermark.
            return
        limits = SweepLimits(watermark=watermark, certain_before=watermark - certain, repair=self._repairs)
        swept = await self._sweep_written(bookmark, limits)
        if swept is None:
            return
        await self._run.look_at_outbox(watermark)
        if self._is_full_due(swept, mark.now):
            await self._sweep_full(swept, limits, until=began + _FULL_SHARE * self._schedule.interval_s)

    async def _sweep_written(self, bookmark: SweepBookmark, limits: SweepLimits) -> SweepBookmark | None:
        """Sweep what was written since the bookmark; returns the bookmark after it, None where another worker has the
        lease by now. The first round has a full sweep for what was written before it."""
        since, until = bookmark.written_until, limits.watermark
        if since is None:
            bookmark = replace(bookmark, written_until=until)
            await self._bookmarks.keep_sweep_bookmark(bookmark)
            return bookmark
        # The lowest watermark may fall back, as when a worker starts: then nothing is to be swept.
        if since < until:
            # Of those that were swept before, the work-items whose time in ivr is over by now. They come first: the
            # bookmark moves with what follows.
            ivr = timedelta(seconds=self._schedule.ivr_s)
            if not await self._sweep_slice(since - ivr, min(since, until - ivr), limits, in_ivr=True):
                return None
        while since < until:
            end = min(since + _SLICE, until)
            if not await self._sweep_slice(since, end, limits):
                return None
            since = end
            bookmark = replace(bookmark, written_until=end)
            await self._bookmarks.keep_sweep_bookmark(bookmark)
        return bookmark

    async def _sweep_slice(
        self, since: datetime, until: datetime, limits: SweepLimits, *, in_ivr: bool = False
    ) -> bool:
        return await self._run.sweep_written(since, until, limits, in_ivr=in_ivr, goes_on=self._keeps_lease)

    def _is_full_due(self, bookmark: SweepBookmark, now: datetime) -> bool:
        if not self._schedule.full_s:
            return False
        ended_at = bookmark.full_ended_at
        is_due = ended_at is None or now - ended_at >= timedelta(seconds=self._schedule.full_s)
        return is_due or bookmark.position is not None

    async def _sweep_full(self, bookmark: SweepBookmark, limits: SweepLimits, *, until: float) -> None:
        """Go on with the full sweep until this time of the monotonic clock."""
        clock, log = self._runtime.clock, self._runtime.telemetry.log
        if bookmark.position is None:
            log.info("full sweep begins", watermark=shown_time(limits.watermark), repairs=limits.repair)
        position: SweepPosition | None = bookmark.position or SweepPosition()
        while position is not None and clock.monotonic() < until:
            position = await self._run.sweep_page(position, limits)
            if position is not None and clock.monotonic() - self._leased_at >= _KEEP_INTERVAL_S:
                if not await self._has_lease():
                    return
                await self._bookmarks.keep_sweep_bookmark(replace(bookmark, position=position))
        if position is None:
            ended_at = (await self._bookmarks.fleet_watermark()).now
            await self._bookmarks.keep_sweep_bookmark(replace(bookmark, position=None, full_ended_at=ended_at))
            log.info("full sweep ended")
        else:
            await self._bookmarks.keep_sweep_bookmark(replace(bookmark, position=position))
            log.debug("full sweep goes on in the next round", position=shown_position(position))

    async def _keeps_lease(self) -> bool:
        """Whether the lease is this worker's still, as far as it knows; now and then it is prolonged."""
        is_young = self._runtime.clock.monotonic() - self._leased_at < _KEEP_INTERVAL_S
        return is_young or await self._has_lease()

    async def _has_lease(self) -> bool:
        self._leased_at = self._runtime.clock.monotonic()
        return await self._fleet.acquire_lease(LEASE_NAME, self._holder, _LEASE_INTERVALS * self._schedule.interval_s)


def drift_sweep(
    settings: Settings,
    *,
    pairs: StoredPairs,
    sweeper: PairSweeper,
    outbox: Outbox,
    announcer: Announcer,
    fleet: Fleet,
    bookmarks: SweepFleet,
    ids: Ids,
    runtime: RuntimeContext,
) -> DriftSweep:
    """The sweep of a worker with these settings. It repairs under the policy `causal` alone."""
    return DriftSweep(
        run=SweepRun(
            pairs=pairs,
            sweeper=sweeper,
            outbox=outbox,
            announcer=announcer,
            observer=DriftReport(runtime.telemetry, runtime.clock),
            clock=runtime.clock,
        ),
        fleet=fleet,
        bookmarks=bookmarks,
        repairs=settings.sync_policy is PolicyInUse.CAUSAL,
        schedule=SweepSchedule(
            interval_s=settings.sweep_interval_seconds,
            full_s=settings.sweep_full_seconds,
            ivr_s=settings.ivr_seconds,
            certain_s=certain_s(settings),
        ),
        ids=ids,
        runtime=runtime,
    )


def certain_s(settings: Settings) -> float:
    """How long before the watermark a pair must have been written to have no event in flight, whatever the clocks of
    its writers show: as for a pair's first sight."""
    return FIRST_SIGHT_GAPS * settings.sync_gap_seconds
