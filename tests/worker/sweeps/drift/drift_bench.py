"""A bench of the drift sweep: its parts on a store in memory, with the real batch handler."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from commands.instant import format_instant
from handlers.batch_handler import BatchHandler, TakeSwept
from handlers.documents.document import document_from_snapshot
from handlers.drift import SweepLimits, SweptPage
from handlers.options import Options
from handlers.ports import Announcement, LoadRequest, StoreAway
from tests.handlers.wire_events import ORG, Json, conversation, work_item
from tests.worker.stand_ins.fake_clock import AutoAdvancingClock, FakeClock, MiddleChance
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from tests.worker.sweeps.sweeps_bench import SweepsStore
from worker.runtime.clock import ObjectIds
from worker.store.memory.fleet import MemoryFleet
from worker.store.memory.stored_pairs import MemoryStoredPairs
from worker.sweeps.drift.drift_report import DriftReport
from worker.sweeps.drift.drift_sweep import DriftSweep, SweepSchedule
from worker.sweeps.drift.sweep_run import SweepRun


class DriftBench:
    """A sweep every 300 s, with a full one a day, of a fleet with one worker whose watermark is a minute behind."""

    def __init__(self, clock: FakeClock | None = None, *, repairs: bool = True) -> None:
        self.clock = clock or AutoAdvancingClock()
        self.recorder, self.store = TelemetryRecorder(), SweepsStore()
        self.handler = BatchHandler(
            store=self.store, clock=self.clock, ids=ObjectIds(), chance=MiddleChance(), options=Options()
        )
        self.runtime = runtime_of(self.clock, self.recorder)
        self.fleet = MemoryFleet(self.clock)
        self.offered: list[Announcement] = []
        self.asked: list[list[str]] = []
        self.faulty: set[str] = set()
        self.away_after: int | None = None
        self.page_s = 0.0
        self.during_page: Callable[[int], Awaitable[None]] | None = None
        self.sweep = self.another(repairs=repairs)

    def another(self, *, repairs: bool = True) -> DriftSweep:
        """The sweep of another worker."""
        run = SweepRun(
            pairs=MemoryStoredPairs(self.store),
            sweeper=self,
            outbox=self.store,
            announcer=self,
            observer=DriftReport(self.recorder.telemetry, self.clock),
            clock=self.clock,
        )
        return DriftSweep(
            run=run,
            fleet=self.fleet,
            bookmarks=self.fleet,
            repairs=repairs,
            schedule=SweepSchedule(interval_s=300, full_s=86_400, ivr_s=300, certain_s=600),
            ids=ObjectIds(),
            runtime=self.runtime,
        )

    async def sweep_pairs(
        self,
        requests: Sequence[LoadRequest],
        limits: SweepLimits,
        *,
        repairs_max: int | None,
        took: TakeSwept,
    ) -> SweptPage:
        if self.away_after is not None and len(self.asked) >= self.away_after:
            raise StoreAway("no primary")
        self.asked.append([request.conversation_id for request in requests])
        self.clock.stop(self.page_s)
        if self.during_page is not None:
            await self.during_page(len(self.asked))
        if self.faulty & set(self.asked[-1]):
            raise KeyError("a customer's words")
        return await self.handler.sweep_pairs(requests, limits, repairs_max=repairs_max, took=took)

    def offer(self, announcements: Sequence[Announcement]) -> None:
        self.offered.extend(announcements)

    async def round(self, *, live: bool = True, behind_s: float | None = 60) -> None:
        """A round of the sweep, after the worker has left its watermark."""
        if live:
            at = None if behind_s is None else self.clock.now() - timedelta(seconds=behind_s)
            await self.fleet.leave_watermark("worker", at, 60)
        await self.sweep.round()
        # The publisher publishes what it was offered.
        await self.store.remove_entries([each.id for each in self.offered])

    async def sweep_fully(self) -> None:
        """The first round of a deployment, which has a full sweep."""
        await self.round()
        assert (await self.fleet.sweep_bookmark()).full_ended_at is not None
        self.asked.clear()

    async def poll(self) -> None:
        """The gap poll of a worker, a while later."""
        await self.later(120)
        watermark = self.clock.now() - timedelta(seconds=60)
        waiting = await self.store.waiting_since_before(watermark, 1_000)
        for polled in (await self.handler.close_gaps(waiting, watermark)).pairs:
            self.offer(polled.announcements)
        await self.store.remove_entries([each.id for each in self.offered])

    def put(self, key: str, users: Sequence[str] = (), *, user: str | None = None, **attributes: Any) -> None:
        """A pair that is written now. It has drifted apart where its users differ."""
        now = format_instant(self.clock.now())
        assigned = {"status": "assigned" if user else "queued", "queuedCount": 1}
        data: tuple[Json, Json] = (
            conversation(2, key=key, users=tuple(users), updatedAt=now),
            work_item(2, key=f"w-{key}", of=key, user=user, **{**assigned, "updatedAt": now, **attributes}),
        )
        self.store.put_conversation(document_from_snapshot(data[0], org=ORG, rev=2))
        self.store.put_work_item(document_from_snapshot(data[1], org=ORG, rev=2))

    def assigned(self, key: str) -> str | None:
        item = self.store.work_item(f"w-{key}")
        assert item is not None
        target = item["relationships"].get("assignedTo")
        return target and target["data"] and str(target["data"]["id"])

    def lines(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.recorder.lines if line["msg"] == message]

    @property
    def found(self) -> list[tuple[str | None, str]]:
        """The pairs of the drifts in the log, and what became of them."""
        return [(line["conversationId"], line["end"]) for line in self.lines("drift found by the sweep")]

    async def later(self, seconds: float) -> None:
        await self.clock.advance(seconds)
