"""What every conversation of a replay shares: the worker's own handler, at a time that the capture gives."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from commands.instant import parse_instant
from handlers.batch_handler import BatchHandler
from handlers.events.event import Event
from handlers.options import Options
from handlers.outcome import HandledEvent, PolledPair
from handlers.ports import Document, Pair
from worker.replay.captured_events import EPOCH, CapturedEvent
from worker.replay.pair_archive import work_item_in
from worker.store.memory import MemoryStore

DELIVERIES_MAX: Final = 5
"""How often an event is delivered at most whose outcome is Retry: once more with each later event of its
conversation."""

DecisionSink = Callable[[HandledEvent | PolledPair, CapturedEvent | None, datetime], None]
"""Takes a decision, the captured event that caused it (None for a poll and for a second delivery) and its time."""


class ReplayMode(StrEnum):
    """What a replay does with the events (docs/replay.md)."""

    OBSERVE = "observe"
    SIMULATE = "simulate"
    EXPLORE = "explore"


def time_after(at: datetime, published_at: datetime | None) -> datetime:
    """The later of the two times, `published_at` cut off below the millisecond."""
    if published_at is None or published_at <= at:
        return at
    return published_at.replace(microsecond=published_at.microsecond // 1000 * 1000)


class ReplayClock:
    """A clock that stands still; implements `handlers.ports.Clock`."""

    def __init__(self, at: datetime = EPOCH) -> None:
        self.at = at

    def now(self) -> datetime:
        """Aware, UTC."""
        return self.at

    def monotonic(self) -> float:
        """Seconds from the epoch to `now`."""
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
    """Randomness that is always 0; implements `handlers.ports.Chance`."""

    def random(self) -> float:
        """0."""
        return 0.0


class ReplayEnvironment(Struct, frozen=True, kw_only=True):
    """The options and the ids of a replay; makes the handler for a store and a time."""

    options: Options
    ids: SequentialIds = field(default_factory=SequentialIds)

    def handler(self, store: MemoryStore, at: datetime) -> BatchHandler:
        """A handler whose clock stands at `at`."""
        return BatchHandler(
            store=store, clock=ReplayClock(at), ids=self.ids, chance=ZeroRandomness(), options=self.options
        )

    async def handle(self, event: Event, store: MemoryStore, at: datetime) -> HandledEvent:
        """Handle one event; what it writes is in the store."""
        [handled] = await self.handler(store, at).handle([event])
        return handled

    async def poll(self, conversation_id: str, store: MemoryStore, at: datetime) -> PolledPair | None:
        """Run the gap poll on the pair. None: the poll has nothing to report."""
        polled = await self.handler(store, at).close_gaps([conversation_id])
        return polled[0] if polled else None

    def poll_due(self, pair: Pair) -> datetime | None:
        """When the gap poll takes the pair up: as soon as no event of it can be in flight. None: the pair waits for no
        event."""
        since = pair.state.waiting_since
        if since is None:
            return None
        documents = [pair.conversation, work_item_in(pair)]
        written = [at for document in documents if document is not None and (at := updated_at(document)) is not None]
        return max([since, *written]) + timedelta(seconds=self.options.gap_seconds, milliseconds=1)


def updated_at(document: Document) -> datetime | None:
    """The document's `updatedAt`, or None where it has none."""
    text = document["attributes"].get("updatedAt")
    return parse_instant(text) if isinstance(text, str) else None
