"""The relay: publishes the outbox entries that a crash, an overflow or an outage left, and measures the backlog.

It takes entries above an age only, so that it does not compete with the publisher of a worker that is alive. The relays
of two workers may take the same entry: the event is then published twice, with the same id. An entry whose creation
lies in the future, by a clock that was ahead or was set back since, is taken too: its age is unknown.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from msgspec import Struct

from handlers.ports import Announcement
from sync.gates import Side
from worker.outbox.publisher import Publisher
from worker.ports.outbox import Outbox
from worker.runtime.context import RuntimeContext
from worker.telemetry.metrics import Metric

PAGE_SIZE: Final = 100
"""Entries read from the outbox at once."""
_SIDES: Final[tuple[Side, ...]] = ("conversation", "work-item")


class RelaySchedule(Struct, frozen=True, kw_only=True):
    """The mean pause between two rounds, and the age above which the relay takes an entry."""

    interval_s: float
    age_s: float


class Relay:
    """One for the process."""

    def __init__(
        self, *, outbox: Outbox, publisher: Publisher, schedule: RelaySchedule, runtime: RuntimeContext
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._schedule = schedule
        self._runtime = runtime

    async def run(self) -> None:
        """Run rounds until cancelled."""
        await self._runtime.run_rounds(self.round, interval_s=self._schedule.interval_s)

    async def round(self) -> None:
        """Measure the backlog and publish all entries above the age. Raises StoreAway."""
        await self._measure()
        now, age = self._runtime.clock.now(), timedelta(seconds=self._schedule.age_s)
        blocked: set[Side] = set()
        skip = 0
        while len(blocked) < len(_SIDES):
            found = await self._outbox.waiting_entries(now - age, PAGE_SIZE, skip=skip, or_after=now + age)
            cleared = 0
            for side in _SIDES:
                if side not in blocked:
                    cleared += await self._publish([entry for entry in found if entry.side == side], blocked)
            # Entries that stay in the outbox are skipped: a topic that refuses does not hold up the other topic.
            skip += len(found) - cleared
            if len(found) < PAGE_SIZE:
                return

    async def _publish(self, entries: Sequence[Announcement], blocked: set[Side]) -> int:
        """Publish the entries of one side; returns how many no longer wait. If none of them was cleared, the side is
        added to `blocked`."""
        left_over = [entry for entry in entries if not self._publisher.holds(entry.id)]
        if not left_over:
            return 0
        self._runtime.telemetry.metrics.count(Metric.RELAYED, len(left_over))
        cleared = await self._publisher.publish(left_over)
        if cleared == 0:
            blocked.add(left_over[0].side)
        return cleared

    async def _measure(self) -> None:
        backlog = await self._outbox.backlog()
        metrics = self._runtime.telemetry.metrics
        age_s = (self._runtime.clock.now() - backlog.oldest).total_seconds() if backlog.oldest else 0.0
        metrics.gauge(Metric.OUTBOX_BACKLOG, backlog.count)
        metrics.gauge(Metric.OUTBOX_OLDEST, max(age_s, 0.0))
        metrics.gauge(Metric.OUTBOX_SET_ASIDE, backlog.set_aside)
