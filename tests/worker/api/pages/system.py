"""A system that the pages show: ports in memory with the content of `seeded`."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from handlers.ports import CommitResult, DocumentWrite, LoadRequest, Pair, Plan, PlanRejected, StoreAway
from sync.state.sync_state import SyncState
from tests.worker.api.pages import seeded
from worker.api.pages.status_view import PageSources
from worker.ports.sync_states import WaitingBacklog
from worker.ports.waiting_times import QueueDescription
from worker.store.memory.pair_history import MemoryPairHistory
from worker.store.memory.status import MemoryStatus
from worker.store.memory.store import MemoryStore
from worker.store.memory.waiting_times import MemoryQueueDirectory, MemoryWaitingTimes


class SettableClock:
    """Its wall clock stands where the test sets it. Sleeps take real time: a browser waits in real time."""

    def __init__(self, instant: datetime = seeded.NOW) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class System:
    """The ports of the pages, and what a test changes behind them.

    `away`: what the store raises. `reads`: how often a page looked for waiting pairs, or for a pair.
    """

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.store = MemoryStore()
        self.status = MemoryStatus(self.store, self.clock)
        self.away: StoreAway | None = None
        self.reads = 0

    @classmethod
    async def seeded(cls) -> "System":
        system = cls()
        for conversation in seeded.conversations():
            system.store.put_conversation(conversation)
        for item in seeded.work_items():
            system.store.put_work_item(item)
        for key, state in seeded.states().items():
            system.store.put_state(key, state)
        other = Plan(
            conversation_id="c-out",
            state=SyncState(version=1),
            announcements=tuple(seeded.announcements()),
            waits=tuple(DocumentWrite(before=None, after=wait) for wait in seeded.waits()),
        )
        await system.store.commit([other])
        for age_s, report in zip((2.0, 4.0), seeded.reports(), strict=True):
            system.clock.instant = seeded.ago(age_s)
            await system.status.post(report)
        system.clock.instant = seeded.NOW
        system.status.put_lease("heartbeat", "5ff4a1b2c3d4e5f6012345ff", seeded.ago(-14))
        return system

    @property
    def sources(self) -> PageSources:
        reads = _CountedReads(self)
        queues = MemoryQueueDirectory([QueueDescription(id=key, name=seeded.CUSTOMER) for key in seeded.QUEUES])
        return PageSources(
            store=reads,
            sync_states=reads,
            outbox=self.store,
            status=self.status,
            queues=queues,
            waiting_times=MemoryWaitingTimes(self.store),
            history=MemoryPairHistory(self.store),
            audit_days=30,
            clock=self.clock,
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def read_again(self, times: int = 3) -> None:
        """Wait until the store was read so many times more."""
        enough = self.reads + times
        await self.until(lambda: self.reads >= enough)


class _CountedReads:
    """The ports `Store` and `SyncStatesByAge` of a system that may be away."""

    def __init__(self, system: System) -> None:
        self._system = system

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        return await self._store().load(requests)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        raise AssertionError("a page writes nothing")

    async def waiting_since_before(self, instant: datetime, limit: int) -> Sequence[str]:
        return await self._store().waiting_since_before(instant, limit)

    async def waiting_backlog(self) -> WaitingBacklog:
        return await self._store().waiting_backlog()

    async def remove_finished(self, before: datetime, limit: int) -> int:
        raise AssertionError("a page removes nothing")

    def _store(self) -> MemoryStore:
        if self._system.away is not None:
            raise self._system.away
        self._system.reads += 1
        return self._system.store
