"""The gap poll: decides a pair whose field waits for an event that will not come any more (docs/rules.md, *Waiting, and
the gap poll*).

The sync state holds the waiting field, and no message does, so no redelivery brings the pair back to the worker. Each
worker polls the states a few times a minute, decides the pairs that wait since before its watermark, and measures the
others. Times of waiting and the watermark are by SQS's clock.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from handlers.outcome import PolledPage
from handlers.ports import CommitTimeout, QueueClock, StoreAway
from worker.ports.outbox import Announcer
from worker.ports.sync_states import SyncStatesByAge
from worker.ports.watermark import Watermark
from worker.runtime.context import RuntimeContext
from worker.runtime.transaction_limit import TransactionLimit
from worker.runtime.unexpected import UnexpectedError, catch_unexpected
from worker.telemetry.audit_log import log_polled
from worker.telemetry.logs import error_fields
from worker.telemetry.metrics import Metric

PAGE_SIZE: Final = 50
"""Pairs that one call decides, where the store is fast enough for so many."""
_INTERVAL_S_MAX: Final = 15.0


class GapCloser(Protocol):
    """Decides pairs without the event that they wait for (`handlers/batch_handler.py`)."""

    async def close_gaps(self, conversation_ids: Sequence[str], watermark: datetime) -> PolledPage:
        """Decide the pairs that wait since before the watermark, and return those. Raises StoreAway, CommitTimeout."""
        ...


class GapPoll:
    """One for the process, for the policy `causal`.

    It works beside the lanes of this process and beside the polls of other workers, without locks: the conditions of
    the store's writes decide which one wins. A lane that loses waits for a short, random time and decides again. A poll
    that loses waits for its next round.
    """

    def __init__(
        self,
        *,
        states: SyncStatesByAge,
        closer: GapCloser,
        announcer: Announcer,
        watermark: Watermark,
        queue_clock: QueueClock,
        gap_s: float,
        runtime: RuntimeContext,
    ) -> None:
        """A pair is decided once the watermark is later than the time since which it waits. `gap_s` is how far the
        watermark is behind at least."""
        self._states = states
        self._closer = closer
        self._announcer = announcer
        self._watermark = watermark
        self._queue_clock = queue_clock
        self._interval_s = min(gap_s / 4, _INTERVAL_S_MAX)
        self._runtime = runtime
        self._limit = TransactionLimit(PAGE_SIZE, runtime.clock)
        self._measured_at = runtime.clock.monotonic()

    async def run(self) -> None:
        """Run rounds until cancelled."""
        await self._runtime.run_rounds(self.round, interval_s=self._interval_s)

    async def round(self) -> None:
        """Measure the waiting pairs and decide those that have waited long enough, each once. Raises StoreAway."""
        await self._measure()
        watermark = self._watermark.current()
        if watermark is None:
            # The missing events may still come.
            return
        polled: set[str] = set()
        still_waiting = 0
        while True:
            # The store returns the longest-waiting pairs first, so the polled pairs that still wait come first again.
            # The limit leaves room for them, for as many of the last page, and for a page of new pairs.
            limit = still_waiting + 2 * PAGE_SIZE
            found = await self._states.waiting_since_before(watermark, limit)
            new = [conversation_id for conversation_id in found if conversation_id not in polled]
            still_waiting = len(found) - len(new)
            page = new[: self._limit.conversations_max]
            if page:
                await self._close(page, watermark)
                polled.update(page)
            if len(new) == len(page) and len(found) < limit:
                return
            if self._runtime.clock.monotonic() - self._measured_at >= self._interval_s:
                # On a slow store a round may take minutes.
                await self._measure()

    async def _close(self, page: Sequence[str], watermark: datetime) -> None:
        telemetry = self._runtime.telemetry
        began_with = self._limit.conversations_max
        try:
            decided = await catch_unexpected(self._closer.close_gaps(page, watermark))
        except CommitTimeout as timeout:
            self._note_timeout(timeout.conversations, began_with)
            raise
        if isinstance(decided, UnexpectedError):
            telemetry.metrics.count(Metric.BATCH_FAULT)
            telemetry.log.error(
                "the poll met a fault in our code", conversations=sorted(page), **error_fields(decided.error)
            )
            # Each pair alone, so that only the pair with the error waits on.
            for conversation_id in page if len(page) > 1 else ():
                await self._close([conversation_id], watermark)
            return
        for pair in decided.pairs:
            log_polled(pair, telemetry)
        self._announcer.offer([announcement for pair in decided.pairs for announcement in pair.announcements])
        if decided.complete:
            self._limit.handled()
            return
        self._note_timeout(decided.timed_out, began_with)
        raise StoreAway("the store went away while a page of the poll was committed")

    def _note_timeout(self, conversations: int, began_with: int) -> None:
        """The next round begins with the same pairs: a page as large would keep it from every pair behind them."""
        if self._limit.timed_out(conversations, began_with=began_with):
            self._runtime.telemetry.log.warning(
                "the poll decides fewer pairs at once: a commit timed out",
                conversations=self._limit.conversations_max,
                before=began_with,
                timedOut=conversations,
            )

    async def _measure(self) -> None:
        self._measured_at = self._runtime.clock.monotonic()
        backlog = await self._states.waiting_backlog()
        metrics = self._runtime.telemetry.metrics
        age_s = (self._queue_clock.now() - backlog.oldest).total_seconds() if backlog.oldest else 0.0
        metrics.gauge(Metric.WAITING, backlog.count)
        metrics.gauge(Metric.WAITING_OLDEST, max(age_s, 0.0))
