"""The environment of a replay: the worker's own handler, with the time, ids and randomness of the capture.

None of them comes from the machine, so two replays of one capture print the same bytes. The clock of a conversation
shows the highest `publishedAt` of its events so far; an event without `publishedAt` does not move it. Each conversation
has a clock of its own, so the other conversations of a capture make no difference.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from handlers.batch_handler import BatchHandler
from handlers.events.event import Event
from handlers.options import Options
from handlers.outcome import HandledEvent, PolledPair
from handlers.ports import Pair
from worker.replay.captured_events import EPOCH, CapturedEvent
from worker.store.memory import MemoryStore

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

    async def poll(self, conversation_id: str, store: MemoryStore, at: datetime) -> PolledPair | None:
        """Run the gap poll on the pair. None: the poll has nothing to report."""
        watermark = at - timedelta(seconds=self.options.gap_seconds)
        polled = await self.handler(store, at).close_gaps([conversation_id], watermark)
        return polled[0] if polled else None

    def poll_due(self, pair: Pair) -> datetime | None:
        """The time of the gap poll: the first whose watermark has passed the time since which the pair waits. None: no
        field waits.

        `publishedAt` stands for the time at which SQS was sent the message, and no event lies in the queue.
        """
        waiting = pair.state.waiting
        if waiting is None:
            return None
        return waiting.since + timedelta(seconds=self.options.gap_seconds, milliseconds=1)
