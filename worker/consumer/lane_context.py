"""What a lane works with: its messages as they were read, and the ports behind which they are handled and end."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from handlers.events.event import Event, Malformed, UnsupportedEvent
from handlers.outcome import HandledEvent
from handlers.planning.event_batch import EventBatch
from handlers.ports import Clock
from sync.rule import Policy
from worker.consumer.queue_lag import QueueLag
from worker.consumer.settlement import Settlement
from worker.ports import Announcer, Message
from worker.runtime.backoff import JitteredBackoff
from worker.runtime.store_availability import StoreAvailability
from worker.runtime.unexpected import UnexpectedError
from worker.telemetry.health import Health
from worker.telemetry.metrics import Telemetry


class LaneEntry(Struct, frozen=True, kw_only=True):
    """A message with what it was read as."""

    message: Message
    read: Event | UnsupportedEvent | Malformed | UnexpectedError

    @property
    def name(self) -> str | None:
        """The event's name, where it could be read."""
        return self.read.name if isinstance(self.read, Event | UnsupportedEvent) else None

    def ties(self, *, fifo: bool) -> frozenset[str]:
        """What messages have in common of which one may have to wait for the other: the conversation and, of a FIFO
        queue, the message group. The two share their names: a group named like a conversation is mostly its own."""
        conversation = self.read.conversation_id if isinstance(self.read, Event) else None
        return frozenset(each for each in (conversation, self.message.group if fifo else None) if each)


class EventHandler(Protocol):
    """Handles a lane's events (handlers/batch_handler.py)."""

    async def handle_batch(self, batch: EventBatch) -> None:
        """End each open event, save those whose conversation meets another writer. Raises StoreAway: hand the same
        batch in again."""
        ...

    async def handle_contended(self, events: Sequence[Event]) -> list[HandledEvent]:
        """The endings of one conversation's events, after it met another writer. Raises StoreAway."""
        ...


class MessageSettler(Protocol):
    """Where a lane's messages end (settle.py)."""

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        """Settle; the FIFO groups of which something went back."""
        ...


class LaneContext(Struct, frozen=True, kw_only=True):
    """What every lane works with. `fifo`: the queue keeps groups in order. `failed` makes the end of an event that met
    a fault in our code; `store_pause` is the delay between tries while the store is away."""

    handler: EventHandler
    fifo: bool
    policy: Policy
    failed: Callable[[Event, Exception], HandledEvent]
    settler: MessageSettler
    announcer: Announcer
    store_availability: StoreAvailability
    lag: QueueLag
    store_pause: JitteredBackoff
    health: Health
    clock: Clock
    telemetry: Telemetry
