"""What a lane works with: its messages as they were read, and the ports behind which they are handled and end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from commands.record import record
from handlers.batch_handler import Contended
from handlers.events.event import Event, Malformed, Unsupported
from handlers.outcome import Handled
from handlers.ports import Clock
from sync.rule import Policy
from worker.consumer.queue_lag import BacklogLag
from worker.consumer.settlement import Settlement
from worker.ports import Announcer, Message
from worker.runtime.backoff import JitteredDelay
from worker.runtime.store_availability import Outage
from worker.runtime.unexpected import CodeFault
from worker.telemetry.health import Health
from worker.telemetry.metrics import Telemetry


@record
class Entry:
    """A message with what it was read as."""

    message: Message
    read: Event | Unsupported | Malformed | CodeFault

    @property
    def name(self) -> str | None:
        """The event's name, where it could be read."""
        return self.read.name if isinstance(self.read, Event | Unsupported) else None

    def ties(self, *, fifo: bool) -> frozenset[str]:
        """What messages have in common of which one may have to wait for the other: the conversation and, of a FIFO
        queue, the message group. The two share their names: a group named like a conversation is mostly its own."""
        conversation = self.read.conversation_id if isinstance(self.read, Event) else None
        return frozenset(each for each in (conversation, self.message.group if fifo else None) if each)


class Handler(Protocol):
    """What a lane does with its events (handlers/batch.py)."""

    async def handle(self, events: Sequence[Event], ends: dict[int, Handled], contended: Contended) -> list[Handled]:
        """Each event's end, in order; raises StoreAway, and goes on with the same `ends`. `contended` gets those of a
        conversation that met another writer, which have no end yet."""
        ...

    async def again(self, events: Sequence[Event]) -> list[Handled]:
        """Their ends: one conversation's, after all. Raises StoreAway."""
        ...


class Settler(Protocol):
    """Where a lane's messages end (settle.py)."""

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        """Settle; the FIFO groups of which something went back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneParts:
    """What every lane works with. `fifo`: the queue keeps groups in order. `failed` makes the end of an event that met
    a fault in our code; `store_pause` is the delay between tries while the store is away."""

    handler: Handler
    fifo: bool
    policy: Policy
    failed: Callable[[Event, Exception], Handled]
    settler: Settler
    announcer: Announcer
    outage: Outage
    lag: BacklogLag
    store_pause: JitteredDelay
    health: Health
    clock: Clock
    telemetry: Telemetry
