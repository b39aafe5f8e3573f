"""Publishes what a crash, an overflow or an outage left in the outbox, and measures what waits there.

It takes entries older than an age, so that it does not compete with the publisher of a worker that lives. Two workers'
relays may take the same entry: it is then announced twice, by the same id. Of an entry from the future, written before
the clock was set back or by a worker whose clock is ahead, nobody knows the age: it is taken, too.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from msgspec import Struct

from handlers.ports import Announcement, Chance, Clock
from sync.gates import Side
from worker.outbox.publisher import Publisher
from worker.ports import Outbox
from worker.runtime.store_availability import StoreAvailability, run_rounds
from worker.telemetry.metrics import Metric, Telemetry

TAKEN_MAX: Final = 100
_SIDES: Final[tuple[Side, ...]] = ("conversation", "work-item")


class Rounds(Struct, frozen=True, kw_only=True):
    """How often, and how old an entry must be."""

    interval_seconds: float
    age_seconds: float


class Relay:
    """One for the process."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        publisher: Publisher,
        rounds: Rounds,
        store_availability: StoreAvailability,
        clock: Clock,
        chance: Chance,
        telemetry: Telemetry,
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._rounds = rounds
        self._store_availability = store_availability
        self._clock = clock
        self._chance = chance
        self._telemetry = telemetry

    async def run(self) -> None:
        """Rounds until cancelled."""
        await run_rounds(
            self.round,
            interval_seconds=self._rounds.interval_seconds,
            store_availability=self._store_availability,
            clock=self._clock,
            chance=self._chance,
        )

    async def round(self) -> None:
        """Publish all that has waited long enough. Raises StoreAway."""
        await self._measure()
        now, age = self._clock.now(), timedelta(seconds=self._rounds.age_seconds)
        stuck: set[Side] = set()
        skip = 0
        # What does not clear is skipped, so that a topic that refuses does not hold up the other one.
        while len(stuck) < len(_SIDES):
            found = await self._outbox.waiting(now - age, TAKEN_MAX, skip=skip, or_after=now + age)
            cleared = 0
            for side in _SIDES:
                if side not in stuck:
                    cleared += await self._publish([one for one in found if one.side == side], stuck)
            skip += len(found) - cleared
            if len(found) < TAKEN_MAX:
                return

    async def _publish(self, entries: Sequence[Announcement], stuck: set[Side]) -> int:
        """Publish one side's entries; how many need no more looking after. A side of which none clears is stuck."""
        ours = [one for one in entries if not self._publisher.has(one.id)]
        if not ours:
            return 0
        self._telemetry.metrics.count(Metric.RELAYED, len(ours))
        cleared = await self._publisher.publish(ours)
        if cleared == 0:
            stuck.add(ours[0].side)
        return cleared

    async def _measure(self) -> None:
        backlog = await self._outbox.backlog()
        metrics = self._telemetry.metrics
        age_seconds = (self._clock.now() - backlog.oldest).total_seconds() if backlog.oldest else 0.0
        metrics.gauge(Metric.OUTBOX_BACKLOG, backlog.count)
        metrics.gauge(Metric.OUTBOX_OLDEST, max(age_seconds, 0.0))
        metrics.gauge(Metric.OUTBOX_SET_ASIDE, backlog.set_aside)
