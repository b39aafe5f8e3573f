"""Decides the pairs whose field waits for an event that does not come (sync-rules.md, *Old news*), and measures them.

A field waits in the sync state, never in a message, so somebody has to look: each worker does, a few times a minute.
Leaves out deciding (handlers/batch.py).
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

from handlers.outcome import PolledPair
from handlers.ports import Chance, Clock
from worker.consumer.queue_lag import QueueLag
from worker.ports import Announcer, WaitingPairs
from worker.runtime.store_availability import StoreAvailability, run_rounds
from worker.runtime.unexpected import UnexpectedError, catch_unexpected
from worker.telemetry.audit_log import log_polled
from worker.telemetry.logs import error_fields
from worker.telemetry.metrics import Metric, Telemetry

PAGE: Final = 50
"""Pairs decided together."""
_INTERVAL_SECONDS_MAX: Final = 15.0


class GapCloser(Protocol):
    """Who decides the pairs (handlers/batch.py)."""

    async def close_gaps(self, conversation_ids: Sequence[str], late: timedelta) -> list[PolledPair]:
        """What was decided of them, events being so late; the rest is left to the next time. Raises StoreAway."""
        ...


class GapPoll:
    """One for the process, for the policy `causal`.

    It works beside the lanes and the polls of other workers, on conversations that one of them may have in hand, and
    relies on the conditional writes: a lane that loses against it decides again at once, it itself in its next round.
    """

    def __init__(
        self,
        *,
        pairs: WaitingPairs,
        closer: GapCloser,
        announcer: Announcer,
        lag: QueueLag,
        gap_seconds: float,
        store_availability: StoreAvailability,
        clock: Clock,
        chance: Chance,
        telemetry: Telemetry,
    ) -> None:
        self._pairs = pairs
        self._closer = closer
        self._announcer = announcer
        self._lag = lag
        self._gap = timedelta(seconds=gap_seconds)
        self._interval_seconds = min(gap_seconds / 4, _INTERVAL_SECONDS_MAX)
        self._store_availability = store_availability
        self._clock = clock
        self._chance = chance
        self._telemetry = telemetry

    async def run(self) -> None:
        """Rounds until cancelled."""
        await run_rounds(
            self.round,
            interval_seconds=self._interval_seconds,
            store_availability=self._store_availability,
            clock=self._clock,
            chance=self._chance,
        )

    async def round(self) -> None:
        """Ask the rules about all that have waited long enough, once each. Raises StoreAway."""
        await self._measure()
        late = self._lag.current()
        if late is None:
            # The queue does not answer: what is in it nobody knows.
            return
        longer_than = self._clock.now() - self._gap - late
        asked: set[str] = set()
        still_waiting = 0
        while True:
            # The oldest come first, so those asked before that still wait do too. Behind them, and behind as many of
            # the last page, there is room for a page of new ones.
            limit = still_waiting + 2 * PAGE
            found = await self._pairs.waiting_longer(longer_than, limit)
            new = [each for each in found if each not in asked]
            still_waiting = len(found) - len(new)
            page = new[:PAGE]
            if page:
                await self._close(page, late)
                asked.update(page)
            if len(new) <= PAGE and len(found) < limit:
                return

    async def _close(self, page: Sequence[str], late: timedelta) -> None:
        telemetry = self._telemetry
        done = await catch_unexpected(self._closer.close_gaps(page, late))
        if isinstance(done, UnexpectedError):
            telemetry.metrics.count(Metric.BATCH_FAULT)
            telemetry.log.error(
                "the poll met a fault in our code", conversations=sorted(page), **error_fields(done.error)
            )
            for each in page if len(page) > 1 else ():
                await self._close([each], late)
            return
        for polled in done:
            log_polled(polled, telemetry)
        self._announcer.offer([announcement for polled in done for announcement in polled.announcements])

    async def _measure(self) -> None:
        backlog = await self._pairs.waiting_backlog()
        age_seconds = (self._clock.now() - backlog.oldest).total_seconds() if backlog.oldest else 0.0
        self._telemetry.metrics.gauge(Metric.WAITING, backlog.count)
        self._telemetry.metrics.gauge(Metric.WAITING_OLDEST, max(age_seconds, 0.0))
