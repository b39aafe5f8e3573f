"""The sweep as a command: one run over the stored pairs, with the settings of `routing-sync run`."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from handlers.batch_handler import BatchHandler
from handlers.drift import SweepLimits
from handlers.options import Options, PolicyInUse
from handlers.ports import Clock
from worker.mongo.adapters.fleet import MongoFleet
from worker.mongo.adapters.outbox import MongoOutbox
from worker.mongo.adapters.queue_rules import MongoQueueRules
from worker.mongo.adapters.stored_pairs import MongoStoredPairs
from worker.mongo.client import mongo_client
from worker.mongo.store import MongoStore
from worker.ports.sweeps import SweepFleet, SweepPosition
from worker.runtime.clock import ObjectIds, SystemClock
from worker.settings.settings import Settings
from worker.sweeps.drift.drift_sweep import certain_s
from worker.sweeps.drift.sweep_run import SweepObserver, SweepRun

_ONLY_TOLD: Final = "nothing is repaired"
_BUSY_SHARE: Final = 2 / 3
"""More than the sweep of a worker, which takes its time from events. For most of it this process decides, and the
database rests."""

WentOn = Callable[[SweepPosition], None]


class SweepRequest(Struct, frozen=True, kw_only=True):
    """What to sweep. `after`: where a full sweep goes on; `quiet_queue`: nothing is in flight, says the caller."""

    everything: bool
    dry_run: bool
    quiet_queue: bool
    after: SweepPosition | None = None


class SweepPlan(Struct, frozen=True, kw_only=True):
    """How the request is carried out: `since` None: everything. `note`: what a person should know, else None."""

    limits: SweepLimits
    since: datetime | None
    note: str | None


class StoredSweep:
    """One sweep of the store. `position` is how far a full sweep has come."""

    def __init__(self, *, run: SweepRun, fleet: SweepFleet, settings: Settings) -> None:
        self._run = run
        self._fleet = fleet
        self._settings = settings
        self.position: SweepPosition | None = None

    async def plan(self, request: SweepRequest) -> SweepPlan:
        """How the request is carried out, by the fleet's watermark and bookmark. Raises StoreAway."""
        mark, bookmark = await self._fleet.fleet_watermark(), await self._fleet.sweep_bookmark()
        notes: list[str] = []
        certain = timedelta() if request.quiet_queue else timedelta(seconds=certain_s(self._settings))
        repairs = not request.dry_run
        watermark = mark.now if request.quiet_queue else mark.lowest
        if watermark is None:
            why = "a worker has no watermark yet" if mark.workers else "no worker lives to say what is in flight"
            notes.append(f"{why}: {_ONLY_TOLD}; --quiet-queue says that nothing is in flight")
            repairs = False
            watermark = mark.now - certain
        if self._settings.sync_policy is not PolicyInUse.CAUSAL:
            notes.append(f"SYNC_POLICY is {self._settings.sync_policy.value}: {_ONLY_TOLD}")
            repairs = False
        since = None if request.everything else bookmark.written_until
        if since is None and not request.everything:
            notes.append("no sweep has ended yet: everything is swept")
        limits = SweepLimits(watermark=watermark, certain_before=watermark - certain, repair=repairs)
        return SweepPlan(limits=limits, since=since, note="; ".join(notes) or None)

    async def carry_out(self, plan: SweepPlan, after: SweepPosition | None, *, went_on: WentOn) -> None:
        """Sweep. A finished sweep that repairs is noted in the bookmark. `went_on` is called after each page of a full
        sweep. Raises StoreAway."""
        if plan.since is None:
            await self._sweep_everything(plan.limits, after, went_on)
        else:
            await self._run.sweep_written(plan.since, plan.limits.watermark, plan.limits)
            ivr = timedelta(seconds=self._settings.ivr_seconds)
            until = min(plan.since, plan.limits.watermark - ivr)
            await self._run.sweep_written(plan.since - ivr, until, plan.limits, in_ivr=True)
        await self._run.look_at_outbox(plan.limits.watermark)
        if plan.limits.repair:
            await self._note(plan, is_whole=after is None)

    async def _sweep_everything(self, limits: SweepLimits, after: SweepPosition | None, went_on: WentOn) -> None:
        self.position = after or SweepPosition()
        while self.position is not None:
            self.position = await self._run.sweep_page(self.position, limits)
            if self.position is not None:
                went_on(self.position)

    async def _note(self, plan: SweepPlan, *, is_whole: bool) -> None:
        bookmark = await self._fleet.sweep_bookmark()
        swept_until = max(filter(None, (bookmark.written_until, plan.limits.watermark)))
        if plan.since is not None:
            await self._fleet.keep_sweep_bookmark(replace(bookmark, written_until=swept_until))
        elif is_whole:
            now = (await self._fleet.fleet_watermark()).now
            whole = replace(bookmark, written_until=swept_until, full_ended_at=now, position=None)
            await self._fleet.keep_sweep_bookmark(whole)


class _LaterClock:
    """`QueueClock` of a process that has no queue: the later of this machine's clock and the database's. A pair that
    waits since too late a time waits longer; since too early a time, it would not wait for its events."""

    def __init__(self, clock: Clock, ahead: timedelta) -> None:
        """`ahead`: how far the database's clock is ahead of `clock`."""
        self._clock = clock
        self._ahead = max(ahead, timedelta())

    def now(self) -> datetime:
        return self._clock.now() + self._ahead


@asynccontextmanager
async def opened_sweep(settings: Settings, observer: SweepObserver) -> AsyncIterator[StoredSweep]:
    """The sweep of the settings' store, whose server was checked. The announcements are left to the workers' relays.

    Raises SetupError, StoreAway.
    """
    clock, ids = SystemClock(), ObjectIds()
    database, deadline_s = settings.mongodb_database, settings.store_deadline_seconds
    async with mongo_client(settings.mongodb_uri, deadline_s) as client:
        store = MongoStore(client, database, clock=clock, ids=ids, deadline_s=deadline_s)
        await store.check_server()
        fleet = MongoFleet(client, database, deadline_s=deadline_s)
        database_now = (await fleet.fleet_watermark()).now
        options = Options(
            policy=settings.sync_policy,
            rollout=settings.rollout,
            state_from_events=settings.state_from_events,
            waiting_times=settings.waiting_times,
            gap_seconds=settings.sync_gap_seconds,
            ivr_seconds=settings.ivr_seconds,
            # A worker counts from the creation of its queue, if that was earlier. Of what was written in between,
            # every event before the watermark was delivered.
            deployed_at=await fleet.first_start() or database_now,
            create_work_items=settings.create_work_items,
            unassign_on_unavailable=settings.unassign_on_unavailable,
            queue_rules=settings.queue_rules,
            keeps_audit=settings.audit_days > 0,
        )
        rules = MongoQueueRules(client, database, deadline_s=deadline_s) if settings.queue_rules else None
        ahead = database_now - clock.now()
        handler = BatchHandler(
            store=store,
            clock=clock,
            queue_clock=_LaterClock(clock, ahead),
            ids=ids,
            chance=random,
            options=options,
            queue_rules=rules,
        )
        run = SweepRun(
            pairs=MongoStoredPairs(client, database, deadline_s=deadline_s),
            sweeper=handler,
            outbox=MongoOutbox(client, database, deadline_s=deadline_s),
            announcer=None,
            observer=observer,
            clock=clock,
            busy_share=_BUSY_SHARE,
        )
        yield StoredSweep(run=run, fleet=fleet, settings=settings)


def run_sweep(
    settings: Settings,
    request: SweepRequest,
    observer: SweepObserver,
    *,
    begins: Callable[[SweepPlan], None],
    went_on: WentOn,
) -> None:
    """Sweep the settings' store; `begins` is called with the plan before the first page, `went_on` after each page of a
    full sweep.

    Raises SetupError, StoreAway, and SweepInterrupted for Ctrl-C.
    """
    interrupted_at: list[StoredSweep] = []

    async def run() -> None:
        async with opened_sweep(settings, observer) as sweep:
            interrupted_at.append(sweep)
            plan = await sweep.plan(request)
            begins(plan)
            await sweep.carry_out(plan, request.after, went_on=went_on)

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        raise SweepInterrupted(interrupted_at[0].position if interrupted_at else None) from None


class SweepInterrupted(Exception):
    """Ctrl-C. `position`: where a full sweep goes on; None: no page of it is done."""

    def __init__(self, position: SweepPosition | None) -> None:
        super().__init__("interrupted")
        self.position = position
