"""How a replay decides: the worker's own handler on a store in memory, at a time that the capture gives."""

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
from handlers.ports import Document
from worker.replay.captured_events import CapturedEvent
from worker.replay.clock import CountedIds, NoChance, ReplayClock
from worker.replay.pair_archive import PairState
from worker.store.memory import MemoryStore

TRIES_MAX: Final = 5
"""How often an event comes again that ended with a fault: with each later event of its conversation."""

DecisionSink = Callable[[HandledEvent | PolledPair, CapturedEvent | None, datetime], None]
"""Takes a decision, the event that asked and the time."""


class ReplayMode(StrEnum):
    """What is done with the events (interfaces.md, *replay*)."""

    OBSERVE = "observe"
    SIMULATE = "simulate"
    EXPLORE = "explore"


class ReplayEnvironment(Struct, frozen=True, kw_only=True):
    """What all conversations of a replay share."""

    options: Options
    ids: CountedIds = field(default_factory=CountedIds)

    def handler(self, store: MemoryStore, at: datetime) -> BatchHandler:
        """The handler at that time."""
        return BatchHandler(store=store, clock=ReplayClock(at), ids=self.ids, chance=NoChance(), options=self.options)

    async def handle(self, event: Event, store: MemoryStore, at: datetime) -> HandledEvent:
        """One event's end."""
        [end] = await self.handler(store, at).handle([event])
        return end

    async def poll(self, conversation_id: str, store: MemoryStore, at: datetime) -> PolledPair | None:
        """What the poll makes of the pair; None: nothing to tell."""
        polled = await self.handler(store, at).close_gaps([conversation_id])
        return polled[0] if polled else None

    def poll_due(self, pair_state: PairState) -> datetime | None:
        """When the poll would take the pair up: no event of it can be in flight any more. None: nothing waits."""
        since = pair_state.state.waiting_since
        if since is None:
            return None
        documents = [pair_state.conversation, pair_state.work_item]
        written = [at for document in documents if document is not None and (at := updated_at(document)) is not None]
        return max([since, *written]) + timedelta(seconds=self.options.gap_seconds, milliseconds=1)


def updated_at(document: Document) -> datetime | None:
    """When the document says that it was written last."""
    text = document["attributes"].get("updatedAt")
    return parse_instant(text) if isinstance(text, str) else None
