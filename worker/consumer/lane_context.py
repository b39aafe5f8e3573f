"""The lane context: everything that a lane works with, and the entries that it handles."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from handlers.events.event import Event, Malformed, OwnSync, UnsupportedEvent
from handlers.outcome import HandledEvent
from handlers.planning.event_batch import EventBatch
from sync.gates import Policy
from worker.consumer.in_flight import InFlight
from worker.consumer.settlement import Settlement
from worker.ports.message_queue import Message
from worker.ports.outbox import Announcer
from worker.runtime.backoff import JitteredBackoff
from worker.runtime.context import RuntimeContext
from worker.runtime.unexpected import UnexpectedError


class LaneEntry(Struct, frozen=True, kw_only=True):
    """A message with the result of parsing it."""

    message: Message
    parsed: Event | OwnSync | UnsupportedEvent | Malformed | UnexpectedError

    @property
    def name(self) -> str | None:
        """The event's name, None if it could not be read."""
        return self.parsed.name if isinstance(self.parsed, Event | OwnSync | UnsupportedEvent) else None

    def ordering_keys(self, *, fifo: bool) -> frozenset[str]:
        """The keys whose messages must keep their order: the conversation id and, on a FIFO queue, the message group.

        Both kinds of key share one set. A message group named like a conversation is usually the group of that one.
        """
        conversation = self.parsed.conversation_id if isinstance(self.parsed, Event) else None
        return frozenset(key for key in (conversation, self.message.group if fifo else None) if key)


class EventHandler(Protocol):
    """Handles a lane's events (`handlers/batch_handler.py`)."""

    async def handle_batch(self, batch: EventBatch, conversations_max: int) -> bool:
        """Add an ending to each open event of the batch, except where its conversation met another writer.

        It commits `conversations_max` conversations at once, or fewer; returns whether an event needed the store. After
        StoreAway, call it again with the same batch; after CommitTimeout with a lower number.
        """
        ...

    async def handle_contended(self, events: Sequence[Event]) -> list[HandledEvent]:
        """The endings of one conversation's events, after it met another writer. Raises StoreAway."""
        ...


class MessageSettler(Protocol):
    """Settles a lane's messages (`settlement.py`)."""

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        """Settle the messages; returns the FIFO message groups of which a message was returned to the queue."""
        ...


class LaneContext(Struct, frozen=True, kw_only=True):
    """Everything that a lane works with.

    `fifo`: the queue keeps the order of each message group. `failed` makes the ending of an event that met an
    unexpected error. `store_pause` is the backoff while the store is away.
    """

    handler: EventHandler
    fifo: bool
    policy: Policy
    failed: Callable[[Event, Exception], HandledEvent]
    in_flight: InFlight
    settler: MessageSettler
    announcer: Announcer
    store_pause: JitteredBackoff
    runtime: RuntimeContext
