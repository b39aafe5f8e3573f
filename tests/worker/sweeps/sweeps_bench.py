"""A bench of the sweeps: a gap poll and its parts, on a store in memory."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from commands.instant import format_instant
from handlers.batch_handler import BatchHandler
from handlers.options import Options
from handlers.outcome import PolledPage
from handlers.ports import Announcement, CommitResult, Plan, PlanRejected, StoreAway, StoreTimeout
from tests.handlers.wire_events import changes, conversation, event, read, work_item
from tests.worker.stand_ins.fake_clock import FakeClock, MiddleChance
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.ports.sync_states import WaitingBacklog
from worker.runtime.clock import ObjectIds
from worker.store.memory.store import MemoryStore
from worker.sweeps.gap_poll import GapPoll


class SweepsStore(MemoryStore):
    """A store in memory that can be away, and that calls `before_commit` before each commit. A commit of more than
    `commit_max` plans has no answer in time. `committed_of_next`: how many plans of the next commit are committed, and
    the result of the others."""

    away = False
    commit_max: int | None = None
    committed_of_next: tuple[int, CommitResult] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.measured: list[int] = []
        self.sizes: list[int] = []
        self.before_commit: Callable[[], object] = lambda: None

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        self.before_commit()
        self.sizes.append(sum(not plan.empty for plan in plans))
        if self.commit_max is not None and sum(not plan.empty for plan in plans) > self.commit_max:
            raise StoreTimeout("no answer within 10 s")
        if self.committed_of_next is not None:
            (count, missing), self.committed_of_next = self.committed_of_next, None
            return [*await super().commit(plans[:count]), *(missing for _ in plans[count:])]
        return await super().commit(plans)

    async def waiting_backlog(self) -> WaitingBacklog:
        if self.away:
            raise StoreAway("no primary")
        backlog = await super().waiting_backlog()
        self.measured.append(backlog.count)
        return backlog

    async def waiting_since_before(self, instant: Any, limit: int) -> Sequence[str]:
        self.asked.append(limit)
        return await super().waiting_since_before(instant, limit)


class GapPollBench:
    """A gap poll on a store in memory, with the real batch handler.

    `watermark` is how far the watermark is behind; None: there is none.
    """

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock, self.recorder, self.store = clock or FakeClock(), TelemetryRecorder(), SweepsStore()
        self.handler = BatchHandler(
            store=self.store, clock=self.clock, ids=ObjectIds(), chance=MiddleChance(), options=Options()
        )
        self.runtime = runtime_of(self.clock, self.recorder)
        self.health = self.runtime.health
        self.offered: list[Announcement] = []
        self.told_when_offered: list[int] = []
        self.asked: list[list[str]] = []
        self.faulty: set[str] = set()
        self.watermark: timedelta | None = timedelta(seconds=60)
        self.poll = GapPoll(
            states=self.store,
            closer=self,
            announcer=self,
            watermark=self,
            queue_clock=self.clock,
            gap_s=60,
            runtime=self.runtime,
        )

    def current(self) -> datetime | None:
        return None if self.watermark is None else self.clock.now() - self.watermark

    async def close_gaps(self, conversation_ids: Sequence[str], watermark: datetime) -> PolledPage:
        self.asked.append(list(conversation_ids))
        if self.faulty & set(conversation_ids):
            raise KeyError("a customer's words")
        return await self.handler.close_gaps(conversation_ids, watermark)

    def offer(self, announcements: Sequence[Announcement]) -> None:
        self.offered.extend(announcements)
        self.told_when_offered.append(len(self.audits))

    @property
    def audits(self) -> list[dict[str, Any]]:
        return [line for line in self.recorder.lines if line["msg"] == "CONVERSATION_SYNC_AUDIT"]

    async def waits(self, key: str = "c-1") -> None:
        """Store an assignment that waits for the event of the work-item's first revision."""
        now = format_instant(self.clock.now())
        item = event(work_item(2, key=f"w-{key}", of=key, updatedAt=now), changes=changes({"priority": (1, 2)}))
        asks = event(
            conversation(2, key=key, users=("u-1",), updatedAt=now), changes=changes({"assignedUsers": ([], ["u-1"])})
        )
        ends = await self.handler.handle([read(item), read(asks)])
        assert [end.audit.reasons[0].code for end in ends][-1] == "AWAITING_EARLIER_EVENT"

    def waiting(self, *keys: str) -> list[str]:
        return [key for key in keys if self.store.state(key).waiting is not None]

    def assigned(self, key: str = "c-1") -> str | None:
        item = self.store.work_item(f"w-{key}")
        assert item is not None
        target = item["relationships"].get("assignedTo")
        return target and str(target["data"]["id"])

    async def later(self, seconds: float) -> None:
        await self.clock.advance(seconds)
