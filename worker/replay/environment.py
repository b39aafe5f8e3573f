"""The environment of a replay: the worker's own handler, with the time, ids and randomness of the capture.

None of them comes from the machine, so two replays of one capture print the same bytes. The clock of a conversation
shows the highest `publishedAt` of its events so far; an event without `publishedAt` does not move it. Each conversation
has a clock of its own, so the other conversations of a capture make no difference.
"""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from handlers.batch_handler import BatchHandler
from handlers.events.event import Event
from handlers.options import Options
from handlers.outcome import HandledEvent, PolledPair
from sync.state.sync_state import Waiting
from worker.replay.captured_events import EPOCH, CapturedEvent
from worker.store.memory.store import MemoryStore

DELIVERIES_MAX: Final = 5
"""The most deliveries of an event whose outcome is Retry: each later event of its conversation brings one more."""

DecisionSink = Callable[[HandledEvent | PolledPair, CapturedEvent | None, datetime], None]
"""Takes a decision, the captured event that caused it (None for a poll and for a second delivery) and its time."""


class ReplayMode(StrEnum):
    """What a replay does with the events (docs/replay.md)."""

    OBSERVE = "observe"
    SIMULATE = "simulate"
    EXPLORE = "explore"


def time_after(at: datetime, published_at: datetime | None) -> datetime:
    """The time of a conversation's clock at `at` after an event: the later of the two times.

    `published_at` is cut off below the millisecond; None leaves the clock as it is.
    """
    if published_at is None or published_at <= at:
        return at
    return published_at.replace(microsecond=published_at.microsecond // 1000 * 1000)


class ReplayClock:
    """A clock that shows `at` until it is set; implements `handlers.ports.Clock`."""

    def __init__(self, at: datetime = EPOCH) -> None:
        self.at = at

    def now(self) -> datetime:
        """`at`, aware, in UTC."""
        return self.at

    def monotonic(self) -> float:
        """Seconds from `EPOCH` to `at`."""
        return (self.at - EPOCH).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Return at once: a replay has no other writer to wait for."""


class SequentialIds:
    """Ids 1, 2, 3, … as 24 hexadecimal digits; implements `handlers.ports.Ids`."""

    def __init__(self) -> None:
        self._count = 0

    def new(self) -> str:
        """The next id."""
        self._count += 1
        return f"{self._count:024x}"


class ZeroRandomness:
    """Random numbers that are always 0; implements `handlers.ports.Chance`."""

    def random(self) -> float:
        """Return 0."""
        return 0.0


class ReplayEnvironment(Struct, frozen=True, kw_only=True):
    """The options and the ids of a replay; makes the handler for a store and a time."""

    options: Options
    ids: SequentialIds = field(default_factory=SequentialIds)

    def handler(self, store: MemoryStore, at: datetime) -> BatchHandler:
        """A handler on `store` whose clock shows `at`."""
        return BatchHandler(
            store=store, clock=ReplayClock(at), ids=self.ids, chance=ZeroRandomness(), options=self.options
        )

    async def handle(self, event: Event, store: MemoryStore, at: datetime) -> HandledEvent:
        """Handle one event. Its writes are in `store` afterwards."""
        [handled] = await self.handler(store, at).handle([event])
        return handled

    async def polls(
        self, conversation_id: str, store: MemoryStore, until: datetime | None = None
    ) -> AsyncIterator[tuple[PolledPair | None, datetime]]:
        """Run every gap poll that is due up to `until`, or until no field waits. Each poll's report, None where it has
        nothing to report, with its time.

        A pair may wait anew after a poll, for revisions later than those that it waited for. A poll that leaves the
        pair's waiting as it was, because a document is unreadable, is the last one.
        """
        waiting = store.state(conversation_id).waiting
        while waiting is not None and (until is None or self._poll_due(waiting) <= until):
            due = self._poll_due(waiting)
            page = await self.handler(store, due).close_gaps([conversation_id], self._watermark(due))
            yield (page.pairs[0] if page.pairs else None), due
            before, waiting = waiting, store.state(conversation_id).waiting
            if waiting == before:
                return

    def _poll_due(self, waiting: Waiting) -> datetime:
        """The time of the first gap poll whose watermark has passed the time since which the pair waits."""
        return waiting.since + timedelta(seconds=self.options.gap_seconds, milliseconds=1)

    def _watermark(self, at: datetime) -> datetime:
        """The watermark of a queue in which no message lies. `publishedAt` stands for the time of sending."""
        return at - timedelta(seconds=self.options.gap_seconds)
